"""The registrar: owner of what belongs to no host, and of the ledger of requests and deeds.

`lifecycle` has the rules for guests from admission to tombstone, `tenancy` those for people, flavors and keys,
`signin` those for tokens.
`reconciler` pursues what hasn't ended: builds are sent again, deletes carried to their hosts.
"""

"""The network worker: one for each cluster, owner of its networks, subnets, ports, security groups and their quotas.

Rules, which touch nothing: `lifecycle` (builds and the leases of guests; the tables are on top), `networks`, `ports`,
`groups`, `addressing`; `questions` says which rule answers what. They look at `holdings` (what is, with its indexes)
and write into a `draft` (what is being decided). `records` keeps what was decided, `hosts` hears how leases end,
`effects` sends builds on, `reconciler` checks, `worker` is the loop.
"""

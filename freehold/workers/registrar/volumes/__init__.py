"""Volumes and snapshots, as the registrar admits them, finds them a pool, and pursues what hasn't ended.

The same files as a role's: `lifecycle` decides, `effects` asks others, `records` keeps, `reconciler` pursues, `owners`
hears the volume workers, and `questions` answers the API.
"""

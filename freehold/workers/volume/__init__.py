"""The volume worker: owner of the volumes and snapshots in one pool.

Besides the five files of every role: `doing` does one thing at a time to each volume.
"""

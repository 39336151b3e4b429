"""The host worker: one on each machine that runs guests, owner of those guests and of the machine's capacity.

`lifecycle` has the rules; the table of a guest's moves stands on its top. `messages` are all that may come to a guest.
`effects` performs what a state in progress asks for, `records` keeps what was decided, `reconciler` compares the
world with the records, `filters` knows what may pass a port, `metadata` answers guests' questions about themselves,
`local_door` those of the machine's operator, `worker` is the loop.
"""

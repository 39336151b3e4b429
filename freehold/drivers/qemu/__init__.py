"""QEMU's programs, as more than one family runs them: guests are processes, and so are the servers of volumes.

`process` starts, finds and ends what outlives us, `monitor` speaks with it over `sockets`, `records` keeps what is
written down beside it, and `tool` runs what ends by itself. What runs, and why, is each family's own.
"""

"""Clock, chance, tasks, logs and the local socket: the only door to time, randomness, threads and sockets besides the
drivers.

They are handed in from the top, so that a simulation can put its own in their place.
"""

"""Clock, chance, tasks and logs: the only door to time, randomness and threads besides the drivers.

They are handed in from the top, so that a simulation can put its own in their place.
"""

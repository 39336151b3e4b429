"""Owning: the one implementation of a store that is the truth about something.

`database` keeps rows and the log in SQLite and commits in groups, `digest` chains the log. Nothing here knows what a
guest
or an image is, and nothing is said to anybody: `workers/base.py` tells what became durable.
"""

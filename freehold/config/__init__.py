"""Settings: typed, read once, handed down. Everything has a default that works on one machine.

`settings` has what an operator may set, `checks` what makes sense of it, `reading` how it comes from a file and the
command line.
"""

from freehold.config.checks import bus_servers, listed
from freehold.config.reading import read
from freehold.config.settings import EVERY_ROLE, ROLES, Settings, clusters, store_files

__all__ = ["EVERY_ROLE", "ROLES", "Settings", "bus_servers", "clusters", "listed", "read", "store_files"]

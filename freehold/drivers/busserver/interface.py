"""A server of the bus.

Promises of every member, checked by `tests/contract/test_busserver.py`:

- Its files are its own alone: nobody else reads them.
- `start` returns when it takes connections. One that an earlier process of ours has left is ended before.
- `change` is one step: connections that the new files don't let in are ended, and the others stand.
- When it ends by itself, `ended` returns, and `start` may be called again.
"""

from collections.abc import Mapping
from typing import Protocol

from freehold.vocabulary.secret import Secret

Files = Mapping[str, Secret]
"""Its files by their names (no folders): its configuration is ``server.conf``."""

CONFIGURATION = "server.conf"


class BusServer(Protocol):
    """See the module."""

    @property
    def folder(self) -> str:
        """Where its files are, as its configuration may name them."""

    async def start(self, files: Files) -> None:
        """Runs it. Raises Unavailable if it isn't installed or is too old, Broken with its words if it doesn't run."""

    async def change(self, files: Files) -> None:
        """Goes on with other files. Raises Broken with its words if it doesn't take them; it goes on as it was then."""

    async def ended(self) -> str:
        """Waits until it has ended by itself, and gives its last words."""

    async def close(self) -> None:
        """Ends it."""

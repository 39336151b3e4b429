"""What a server must be able to do to keep backups: named bytes in folders, made once, and a clock of its own.

Names have letters, digits, dots and dashes; a folder is the id of a store. What is said to be there stays there: calls
return when it is durable. They raise Unavailable when the server can't be reached in time or refuses, NoRoom when it is
full.
"""

from typing import Final, Protocol

from freehold.drivers.places import refusals
from freehold.vocabulary.errors import BadRequest, Unavailable
from freehold.vocabulary.place import BACKUPS
from freehold.vocabulary.secret import Secret

REQUEST_S_MAX: Final = 20.0
"""How long one request may take."""
CONNECT_S_MAX: Final = 5


class Objects(Protocol):
    """See the module."""

    async def folders(self) -> list[str]:
        """The folders in which there is something."""

    async def names(self, folder: str) -> list[str]:
        """The names in a folder, in no order."""

    async def create(self, folder: str, name: str, content: bytes) -> bool:
        """Keeps bytes under a new name; False, and nothing changed, if there is one. Of two at once one gets True."""

    async def put(self, folder: str, name: str, content: bytes) -> None:
        """Keeps bytes under a name, in place of what is there."""

    async def read(self, folder: str, name: str) -> bytes | None:
        """The bytes; None if there are none of that name."""

    async def has(self, folder: str, name: str) -> bool:
        """Whether there is something of that name."""

    async def age_s(self, folder: str, name: str) -> float | None:
        """How long ago, by the server's own clock, that name was written; None if there is none."""

    async def delete(self, folder: str, name: str) -> None:
        """Deletes a name; one that isn't there is no error."""

    async def close(self) -> None:
        """Ends the connections."""


def refused(shown: str, error: BaseException, *secrets: Secret) -> Unavailable:
    """What a server said, for a person."""
    return refusals.refused(BACKUPS, shown, error, *secrets)


def missing(kind: str, extra: str) -> BadRequest:
    """A library that isn't installed."""
    return refusals.missing(BACKUPS, kind, extra)

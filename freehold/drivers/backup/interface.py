"""Where backups of owners' stores are kept.

For each store there are numbered segments: bytes that this floor doesn't look into. What a member promises:

- A segment is written whole and durably, or not at all; one that is there is never written over.
- A segment after the first is written only while the one before it is there: a place that forgot something is noticed.
- One process at a time writes the segments of a store: the one that holds it (`hold`). A process that ends lets go: at
  once, or, where that can't be seen from the place, before long.
- What was written is read back byte for byte, unless the medium is damaged: the reader has a checksum for that.
- Only what is deleted goes, and deleting what isn't there does nothing.
- Ids of stores are UUID texts (BadRequest otherwise). Whatever else lies there is left alone and not listed.
- Besides what is said below, calls raise Broken, NoRoom or Unavailable when the medium refuses.
"""

from typing import Protocol

from freehold.vocabulary.errors import Broken


class Plain(Broken):
    """A segment that should be encrypted and isn't."""


class OtherKey(Broken):
    """A segment that is encrypted with a key that isn't here."""


class Backups(Protocol):
    """See the module."""

    async def stores(self) -> list[str]:
        """The ids of the stores that have segments here, sorted."""

    async def hold(self, store: str) -> None:
        """Keeps every other process from writing segments of `store`. Raises Conflict if another holds it. Holding
        what one holds does nothing.
        """

    async def numbers(self, store: str) -> list[int]:
        """The numbers of the store's segments, ascending."""

    async def write(self, store: str, number: int, content: bytes) -> None:
        """Keeps a segment. It is durable when this returns. Raises Conflict if there is one of that number, if the one
        before it isn't there, or if the store isn't held.
        """

    async def read(self, store: str, number: int) -> bytes:
        """A segment. Raises NotFound."""

    async def delete(self, store: str, number: int) -> None:
        """Deletes a segment. Raises Conflict if the store isn't held."""

    async def close(self) -> None:
        """Lets go of every store that is held."""

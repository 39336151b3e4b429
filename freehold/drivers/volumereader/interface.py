"""This machine as a reader of volumes.

Promises of every member, checked by `tests/contract/test_volumereader.py`:

- The key is this machine's own, stays the same, and never leaves it: pools are told its other half.
- What is accepted is what was promised: the server at that address is the pool's own, and has an export of that name,
  size and description for this reader. Everything else is refused before a guest sees a byte of it.
- Errors are FreeholdError: Conflict where another volume is served than was promised, Forbidden where the server isn't
  the pool's or doesn't let this reader in, Unavailable where nobody answers, BadRequest for what no pool would say,
  Broken else.
"""

from typing import Protocol

from freehold.vocabulary.attachment import Opened, RemoteDisk


class VolumeReader(Protocol):
    """See the module."""

    async def key(self) -> bytes:
        """The public half of the key (Ed25519, 32 bytes)."""

    async def accept(self, attachment: str, store: str, opened: Opened) -> RemoteDisk:
        """The volume as a guest can be given it, when it was made sure that it is the one that was promised.

        `store`: the volume worker's, by which the pool's credentials are kept apart from other pools'.
        """

    async def close(self) -> None:
        """Lets go of what is open."""

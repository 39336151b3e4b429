"""A host's cache of images: the base files that guests' disks are laid over.

Promises of every member, checked by `tests/contract/test_imagefetch.py`:

- `fetch` gives the path of a file that has the size and SHA-256 of the offer, or raises: a half-fetched or damaged file
  is never seen under that path. It is read-only, and used as it is, raw or qcow2: nothing is converted.
- One image is fetched once at a time, however many wait for it.
- The path depends on the image and its checksum only, so it is the same after a restart, and other bytes under the same
  id never take the place of a base that a guest's disk is laid over.
- A cached file is trusted while its size, time of change and inode are those at its last verification; otherwise it is
  read again in full, and fetched again if it is damaged. A guest that has the damaged file open keeps that one.
- `evict` removes nothing that is being fetched.
"""

from pathlib import Path
from typing import Protocol

from freehold.vocabulary.image import ImageOffer


class ImageCache(Protocol):
    """See the module."""

    async def fetch(self, offer: ImageOffer) -> Path:
        """The verified local file of the offered image.

        Raises Unavailable (the server can't be reached, or the offer's key has expired: ask again with a new offer),
        NotFound (the image is gone), Broken (the bytes aren't the ones of the offer, or the disk fails), NoRoom (the
        disk is full), BadRequest (an offer that can't be one).
        """

    async def evict(self, keep: frozenset[str]) -> None:
        """Removes what is cached of images whose ids aren't in `keep`, and what a crash left half-fetched."""

    async def close(self) -> None:
        """Gives up what is being fetched."""

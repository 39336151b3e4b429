"""A pool of volumes: disks that are no guest's own, and the exports through which hosts reach them.

Promises of every member, checked by `tests/contract/test_volumestore.py`:

- Every verb may be repeated and gives the same end, also after a crash at any point: what is half made is finished by
  the repeat, or removed by `delete` or `tidy`. A volume that exists is never made anew.
- A new volume holds zeros but for what it was made from; what another one held before is never read in it. A copy has
  nothing in common with its source from then on.
- The bytes of an image are looked into before they are used (`freehold/drivers/imagestore/inspection.py`) and copied
  into the pool's own form. What a guest writes on a volume is bytes for ever, whatever it looks like.
- A snapshot is the volume at one moment, also while it is exported and written to, and costs its readers no more than a
  pause, whatever the volume's size.
- An export is for one reader. Nobody else can open it, nor can anybody without the reader's key; but those to whom the
  same volume is exported with `multi_attach` may open each other's. Its name and its description say which volume and
  which attachment it is.
- What a reader was told is written outlives the server of the exports: a reader that connects again finds it.
- A volume has one export at a time, unless all of them say `multi_attach`. When `withdraw` returns, the reader can't
  read or write the volume any more, connected or not, unless it has another export of it; nothing that it sends later
  has an effect.
- Exports outlive the process that made them; a new one over the same pool finds them. A server that dies is started
  again at the same address with the same exports, so that a reader that is told to connect again only pauses.
- Ids of volumes, snapshots and readers are UUID texts (BadRequest otherwise).
- Errors are FreeholdError: BadRequest where it can't be, NotFound where there is no such volume or snapshot, Conflict
  where the volume's snapshots, exports or copies don't allow it now, NoRoom where the pool is full (then nothing is
  left of what was begun), Unavailable where a server doesn't answer, Broken else.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from freehold.vocabulary.attachment import Certificate, Export, Served
from freehold.vocabulary.word import Word


class Pool(Word, frozen=True, kw_only=True):
    """The room that there is. Volumes take what is written on them, not their size: promising less than
    `capacity_bytes` in all is the caller's."""

    driver: str
    capacity_bytes: int
    free_bytes: int


class VolumePlan(Word, frozen=True, kw_only=True):
    """A volume to be made."""

    volume: str
    size_bytes: int
    """A multiple of a GiB."""
    encryption: str = ""
    """How its bytes are encrypted at rest. No member can yet: anything but the empty text is refused."""


class Volume(Word, frozen=True, kw_only=True):
    """A volume that is whole."""

    volume: str
    size_bytes: int
    used_bytes: int
    """What it takes of the pool, with its snapshots."""
    snapshots: tuple[str, ...] = ()
    """From the oldest to the newest."""


class VolumeStore(Protocol):
    """See the module."""

    async def pool(self) -> Pool:
        """How much room there is. Raises Broken, saying what to install, if volumes can't be kept or served here."""

    async def volumes(self) -> frozenset[str]:
        """Every id that has bytes here, also half-made ones (which the caller makes again or deletes)."""

    async def look(self, volume: str) -> Volume:
        """What there is of a volume. Raises NotFound unless it is whole."""

    async def make(self, plan: VolumePlan) -> None:
        """Makes an empty volume unless it is there."""

    async def make_from_image(self, plan: VolumePlan, image_format: str, chunks: AsyncIterator[bytes]) -> None:
        """Makes a volume that begins with an image's content. `image_format`: ``raw`` or ``qcow2``.

        Raises BadRequest for an image that isn't what it is said to be, refers to anything outside itself or is larger
        than the volume; and what `chunks` raises. What failed leaves no volume.
        """

    async def make_copy(self, plan: VolumePlan, source: str, snapshot: str = "") -> None:
        """Makes a volume that begins with the content of another volume's snapshot, or of the volume itself.

        Raises Conflict for a volume that is exported to somebody who may write: a copy wouldn't be of one moment.
        BadRequest if the new one is smaller.
        """

    async def extend(self, volume: str, size_bytes: int) -> None:
        """Makes the volume larger; does nothing if it is that large. Raises BadRequest if it is larger.

        Readers of an exported volume are cut off for a moment and find the new size when they connect again.
        """

    async def delete(self, volume: str) -> None:
        """Deletes the volume with its snapshots. Raises Conflict while it is exported or copied."""

    async def take_snapshot(self, volume: str, snapshot: str) -> None:
        """Keeps the volume as it is now; does nothing if there is a snapshot of this id. Raises Conflict if there are
        as many as there may be."""

    async def delete_snapshot(self, volume: str, snapshot: str) -> None:
        """Forgets the snapshot. Its bytes that nothing else needs are given back now or, where they can't be, by a
        later `tidy`. Raises Conflict while it is copied."""

    async def revert(self, volume: str, snapshot: str) -> None:
        """Puts the volume's content back to its newest snapshot, which stays; the volume's size stays too.

        Raises Conflict for an older one, and while the volume is exported or copied.
        """

    async def export(self, export: Export) -> Served:
        """Serves the volume to the reader. Raises Conflict if it is exported to another or under another number
        (without multi-attach), or under this number in another way."""

    async def withdraw(self, volume: str, number: int) -> None:
        """Serves the volume under this number no more. Connections are cut, and the reader is asked nothing."""

    async def exports(self) -> tuple[Served, ...]:
        """What is served now, by volume and number."""

    async def certify(self, reader: str, public_key: bytes) -> Certificate:
        """A certificate for a reader's Ed25519 key (32 bytes): for who holds the key's other half, and no one else.

        Another one at each call; all of them hold. Raises BadRequest for a key that is none.
        """

    async def tidy(self) -> None:
        """Finishes and removes what earlier calls or processes left: bytes of deleted snapshots, parts of what was
        never made. May take as long as copying what it gives back; a verb that needs a volume interrupts it. To be
        called now and then."""

    async def close(self) -> None:
        """Lets go: what is exported stays so."""

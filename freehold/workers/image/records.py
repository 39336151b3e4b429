"""The image worker's own store.

Beside the records, which everyone is told, there are private rows: ``image_held`` for every image whose bytes lie, or
may lie, in the image store because this worker put them there, written before the first byte and dropped after the
last is deleted. Bytes are deleted on that evidence only: bytes this store knows nothing of may be another's, or what is
left of a store that was lost.
"""

from collections.abc import Callable
from typing import Final

from freehold.store.database import Store, drop, keep_private, put
from freehold.store.writing import Change
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.image import Image, ImageMember, member_key

_HELD: Final = "image_held"
_KEY: Final = "image_door_key"


class Records:
    """What is decided is staged here."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, image: str) -> Image | None:
        """The record of an image."""
        return self._store.read_as(Image, image)

    def all(self) -> list[Image]:
        """All records, by id."""
        return self._store.scan(Image)

    def owned(self, project: str) -> int:
        """How many images a project has."""
        return sum(image.project == project for image in self.all())

    def is_held(self, image: str) -> bool:
        """Whether bytes of ours may lie in the image store."""
        return self._store.read_private(_HELD, image) is not None

    def held(self) -> frozenset[str]:
        """The images whose bytes may lie in the image store."""
        return frozenset(image for image, _ in self._store.scan_private(_HELD))

    def stage(self, record: Image, cause: str, *, held: bool | None = None) -> Position:
        """Puts a record, and (unless None) whether bytes of it may lie in the image store."""
        changes = [put(record.id, record)]
        if held is not None:
            changes.append(_held(record.id, held))
        return self._store.stage(changes, cause)

    def stage_gone(self, image: str, cause: str) -> Position:
        """Deletes a record, and with whom the image is shared. That its bytes may lie there stays known."""
        members = [drop("image_member", member_key(image, one.project)) for one in self.members(image)]
        return self._store.stage([drop("image", image), *members], cause)

    def member(self, image: str, project: str) -> ImageMember | None:
        """What is kept of a project that an image is shared with."""
        return self._store.read_as(ImageMember, member_key(image, project))

    def members(self, image: str) -> list[ImageMember]:
        """The projects that an image is shared with."""
        return self._store.scan(ImageMember, f"{image}/")

    def stage_member(self, member: ImageMember, cause: str, *, is_one: bool = True) -> Position:
        """Keeps that an image is shared with a project, or that it isn't."""
        key = member_key(member.image, member.project)
        return self._store.stage([put(key, member) if is_one else drop("image_member", key)], cause)

    def stage_cleared(self, image: str) -> None:
        """No bytes of the image lie in the image store any more."""
        self._store.stage([_held(image, False)], "cleared")

    async def durable(self) -> None:
        """Waits until all that was staged is on disk. Raises Broken if the disk refused it: the worker must end."""
        await self._store.durable()

    def done(self, position: Position, key: str) -> Done:
        """The answer to a change."""
        return Done(store=self._store.id, position=position, key=key)

    def position(self) -> Position:
        """Where the durable log stands."""
        return self._store.position()

    def door_key(self, fresh: Callable[[int], bytes], length: int) -> bytes:
        """The secret that keys to the bytes door are signed with; a fresh one is made with the store."""
        secret = self._store.read_private(_KEY, "")
        if secret is None:
            secret = fresh(length)
            self._store.stage([keep_private(_KEY, "", secret)], "bootstrap")
        return secret


def _held(image: str, held: bool) -> Change:
    return keep_private(_HELD, image, b"" if held else None)

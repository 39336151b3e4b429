"""Backups in a bucket: S3 and what speaks like it, Google's and Azure's, by obstore.

A new name is made with `If-None-Match: *`, which the server must know. Times are the server's: how old an object is, is
told by another that is written now.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from freehold.drivers.backup.objects import REQUEST_S_MAX, Objects, refused
from freehold.drivers.places.buckets import Said, open_bucket
from freehold.vocabulary.place import BACKUPS, Place
from freehold.vocabulary.secret import Secret

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")


class BucketObjects:
    """See Objects."""

    def __init__(self, store: "ObjectStore", shown: str, secrets: tuple[Secret, ...]) -> None:
        import obstore

        self._api, self._store, self._shown, self._secrets = obstore, store, shown, secrets

    async def folders(self) -> list[str]:
        """See Objects."""
        found = await self._do(self._api.list_with_delimiter_async(self._store))
        return [path.strip("/").rpartition("/")[2] for path in found["common_prefixes"]]

    async def names(self, folder: str) -> list[str]:
        """See Objects."""
        return [meta["path"].rpartition("/")[2] for meta in await self._do(self._list(folder))]

    async def _list(self, folder: str) -> list[Any]:
        return [meta async for chunk in self._api.list(self._store, folder) for meta in chunk]

    async def create(self, folder: str, name: str, content: bytes) -> bool:
        """See Objects."""
        try:
            await self._do(self._api.put_async(self._store, f"{folder}/{name}", content, mode="create"))
        except self._api.exceptions.AlreadyExistsError:
            return False
        return True

    async def put(self, folder: str, name: str, content: bytes) -> None:
        """See Objects."""
        await self._do(self._api.put_async(self._store, f"{folder}/{name}", content))

    async def read(self, folder: str, name: str) -> bytes | None:
        """See Objects."""
        try:
            return await self._do(self._get(f"{folder}/{name}"))
        except FileNotFoundError:
            return None

    async def _get(self, path: str) -> bytes:
        found = await self._api.get_async(self._store, path)
        return bytes(await found.bytes_async())

    async def has(self, folder: str, name: str) -> bool:
        """See Objects."""
        try:
            await self._do(self._api.head_async(self._store, f"{folder}/{name}"))
        except FileNotFoundError:
            return False
        return True

    async def age_s(self, folder: str, name: str) -> float | None:
        """See Objects. A probe is written beside it, and taken away again."""
        probe = f"{folder}/clock-{uuid4()}"
        try:
            written = (await self._do(self._api.head_async(self._store, f"{folder}/{name}")))["last_modified"]
        except FileNotFoundError:
            return None
        await self._do(self._api.put_async(self._store, probe, b""))
        now = (await self._do(self._api.head_async(self._store, probe)))["last_modified"]
        await self._do(self._api.delete_async(self._store, probe))
        return max(0.0, (now - written).total_seconds())

    async def delete(self, folder: str, name: str) -> None:
        """See Objects."""
        try:
            await self._do(self._api.delete_async(self._store, f"{folder}/{name}"))
        except FileNotFoundError:
            return

    async def close(self) -> None:
        """See Objects."""

    async def _do(self, call: Awaitable[T]) -> T:
        passed = (FileNotFoundError, self._api.exceptions.AlreadyExistsError)
        try:
            async with asyncio.timeout(REQUEST_S_MAX):  # with what is tried again
                return await call
        except passed:
            raise
        except TimeoutError:
            raise refused(self._shown, TimeoutError(f"no answer within {REQUEST_S_MAX:.0f} s")) from None
        except (self._api.exceptions.BaseError, OSError, ValueError) as error:
            raise refused(self._shown, Said(error), *self._secrets) from None  # its traceback has the request


def bucket_objects(place: Place, secrets: Mapping[str, Secret]) -> Objects:
    """The bucket of a place. Raises BadRequest where obstore isn't installed, or refuses the settings."""
    return BucketObjects(open_bucket(place, secrets, BACKUPS, REQUEST_S_MAX), place.shown(), tuple(secrets.values()))

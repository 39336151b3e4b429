"""The bytes of images, streamed between a client and the door that an image worker opens for them."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from importlib import import_module
from types import ModuleType
from typing import Final

from starlette.requests import ClientDisconnect

from freehold.api.asking import DEADLINE_S, image_subject
from freehold.api.call import Answer, Call
from freehold.api.faults import HttpRefusal
from freehold.api.image.images import check_active, owned, visible
from freehold.bus import talk
from freehold.vocabulary.errors import BadRequest, TooLarge, Unavailable
from freehold.vocabulary.image import (
    UPLOAD_BYTES_MAX,
    BeginDownload,
    BeginUpload,
    BytesDoor,
    ImageStatus,
)

CHUNK_BYTES: Final = 256 * 1024


def bytes_door() -> ModuleType:
    """What passes bytes through a door. It is loaded when the first do: an API that is started answers sooner."""
    return import_module("freehold.api.image.bytes_door")


async def upload(call: Call) -> Answer:
    """PUT /v2/images/{image_id}/file."""
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/octet-stream":
        raise HttpRefusal(415, "The bytes of an image come with Content-Type application/octet-stream.")
    length = _declared_bytes(call)
    image = await owned(call)
    door = await _door(call, BeginUpload(id=image.id))
    arriving = _Arriving(call.chunks())
    try:
        await bytes_door().put(door, arriving.bounded(), length)
    except Unavailable as error:
        if arriving.failure is not None:
            raise arriving.failure from error
        raise
    await call.cloud.view.fresh(["image"])
    return Answer(204)


def _declared_bytes(call: Call) -> int | None:
    text = call.headers.get("content-length")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise BadRequest("the Content-Length header must be a whole number")
    if int(text) > UPLOAD_BYTES_MAX:
        raise TooLarge(f"An image has at most {UPLOAD_BYTES_MAX} bytes.")
    return int(text)


class _Arriving:
    """The client's bytes on their way to the image worker. `failure`: why they ended early, if it was on this side."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.failure: TooLarge | ClientDisconnect | None = None

    async def bounded(self) -> AsyncIterator[bytes]:
        """The bytes, up to the limit. What it raises makes the image worker's connection break off."""
        sent = 0
        try:
            async for chunk in self._chunks:
                sent += len(chunk)
                if sent > UPLOAD_BYTES_MAX:
                    raise TooLarge(f"An image has at most {UPLOAD_BYTES_MAX} bytes.")
                yield chunk
        except (TooLarge, ClientDisconnect) as error:
            self.failure = error
            raise


async def _door(call: Call, question: BeginUpload | BeginDownload) -> BytesDoor:
    return await talk.ask(call.cloud.bus, image_subject(call, question), question, BytesDoor, DEADLINE_S)


async def download(call: Call) -> Answer:
    """GET /v2/images/{image_id}/file; 204 where nothing was uploaded yet, as Glance has it."""
    image = await visible(call)
    if image.status is ImageStatus.QUEUED:
        return Answer(204)
    check_active(image)
    headers = {"content-length": str(image.size_bytes or 0)}
    if image.checksum_md5:
        headers["content-md5"] = image.checksum_md5
    if call.method == "HEAD" or not image.size_bytes:
        return Answer(200, b"", headers, "application/octet-stream")
    chunks = bytes_door().read(await _door(call, BeginDownload(id=image.id)))
    # The first piece is read before anything is answered, so that a refusal can still be told by its status.
    first = await anext(chunks, b"")
    return Answer(200, None, headers, "application/octet-stream", _joined(first, chunks))


async def _joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk

"""The bytes of images, streamed between a client and the door that an image worker opens for them."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

import aiohttp
import msgspec
from starlette.requests import ClientDisconnect

from freehold.api.asking import DEADLINE_S, image_subject
from freehold.api.call import Answer, Call
from freehold.api.faults import HttpRefusal
from freehold.api.image.images import check_active, owned, visible
from freehold.bus import talk
from freehold.vocabulary.errors import BadRequest, Fault, TooLarge, Unavailable, raised_from
from freehold.vocabulary.image import (
    UPLOAD_BYTES_MAX,
    BeginDownload,
    BeginUpload,
    BytesDoor,
    ImageStatus,
)

CHUNK_BYTES: Final = 256 * 1024

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=300.0)
"""No bound for the whole: a large image over a slow line takes hours. Each wait has one."""


async def upload(call: Call) -> Answer:
    """PUT /v2/images/{image_id}/file."""
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/octet-stream":
        raise HttpRefusal(415, "The bytes of an image come with Content-Type application/octet-stream.")
    length = _declared_bytes(call)
    image = await owned(call)
    door = await _door(call, BeginUpload(id=image.id))
    headers = {"authorization": f"Bearer {door.key.reveal()}", "content-type": "application/octet-stream"}
    if length is not None:
        headers["content-length"] = str(length)
    arriving = _Arriving(call.chunks())
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.put(door.url, data=arriving.bounded(), headers=headers) as response,
        ):
            await _check(response)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if arriving.failure is not None:
            raise arriving.failure from error
        raise Unavailable(f"The upload of image {image.id} was cut off: try again.") from error
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


async def _check(response: aiohttp.ClientResponse) -> None:
    """Raises what the image worker refused with."""
    if response.status < 300:
        return
    text = await response.content.read(64 * 1024)
    try:
        fault = msgspec.json.decode(text, type=Fault)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Unavailable(f"The image worker answered {response.status}: try again.") from error
    raise raised_from(fault)


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
    chunks = _read(await _door(call, BeginDownload(id=image.id)))
    # The first piece is read before anything is answered, so that a refusal can still be told by its status.
    first = await anext(chunks, b"")
    return Answer(200, None, headers, "application/octet-stream", _joined(first, chunks))


async def _joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk


async def _read(door: BytesDoor) -> AsyncGenerator[bytes, None]:
    headers = {"authorization": f"Bearer {door.key.reveal()}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(door.url, headers=headers) as response,
        ):
            await _check(response)
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable("The image can't be read now: try again.") from error

"""The API's side of the door that an image worker opens for the bytes of an image."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import aiohttp
import msgspec

from freehold.vocabulary.errors import Fault, Unavailable, raised_from
from freehold.vocabulary.image import BytesDoor

CHUNK_BYTES: Final = 256 * 1024
FAULT_BYTES_MAX: Final = 64 * 1024

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=300.0)
"""No bound for the whole: a large image over a slow line takes hours. Each wait has one."""


async def put(door: BytesDoor, chunks: AsyncIterator[bytes], length: int | None) -> None:
    """Sends bytes. Raises what the image worker refused them with, and Unavailable if they were cut off."""
    headers = _headers(door) | {"content-type": "application/octet-stream"}
    if length is not None:
        headers["content-length"] = str(length)
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.put(door.url, data=chunks, headers=headers) as response,
        ):
            await _check(response)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable("The upload of the image was cut off: try again.") from error


async def read(door: BytesDoor) -> AsyncGenerator[bytes, None]:
    """The bytes. Raises what the image worker refused them with, and Unavailable if they were cut off."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(door.url, headers=_headers(door)) as response,
        ):
            await _check(response)
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable("The image can't be read now: try again.") from error


def _headers(door: BytesDoor) -> dict[str, str]:
    return {"authorization": f"Bearer {door.key.reveal()}"}


async def _check(response: aiohttp.ClientResponse) -> None:
    """Raises what the image worker refused with."""
    if response.status < 300:
        return
    text = await response.content.read(FAULT_BYTES_MAX)
    try:
        fault = msgspec.json.decode(text, type=Fault)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Unavailable(f"The image worker answered {response.status}: try again.") from error
    raise raised_from(fault)

"""Image bytes over HTTP: connections that fall silent are ended, and where one breaks, what is left is asked for."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import aiohttp

from freehold.drivers.imagestore.receiving import BLOCK_BYTES
from freehold.vocabulary.errors import BadRequest, Broken, FreeholdError, Unavailable
from freehold.vocabulary.units import KIB

CONNECT_S_MAX: Final = 10.0
SILENCE_S_MAX: Final = 30.0
"""How long a server may send nothing where it has something to send."""
TRIES_MAX: Final = 4
"""Without a byte or an answer between."""
PAUSE_S: Final = 0.5
"""Before the second try; each further one waits as much longer."""

BROKEN_OFF: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""What comes of a connection that can't be made, breaks or stands still: another one may do better."""


def trusted(certificates: str) -> ssl.SSLContext | bool:
    """Who vouches for servers: whose certificates (PEM) are in that file, or without one the system's. Blocks. Raises
    BadRequest.
    """
    if not certificates:
        return True
    try:
        return ssl.create_default_context(cafile=certificates)
    except (OSError, ValueError) as error:
        raise BadRequest(f"the certificates in {certificates} can't be used: {error}") from error


def session(trust: ssl.SSLContext | bool) -> aiohttp.ClientSession:
    """Connections for one piece of work, which ends them; so that nobody else has to."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S_MAX, sock_read=SILENCE_S_MAX)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust),
        timeout=timeout,
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
        read_bufsize=256 * KIB,
    )


async def read_on(
    image: str,
    opened: Callable[[int], AbstractAsyncContextManager[aiohttp.ClientResponse]],
    span: tuple[int, int],
    refused: Callable[[BaseException], FreeholdError],
) -> AsyncGenerator[bytes, None]:
    """The bytes of `image` from the first number of `span` up to the second, over as many connections as it takes.

    `opened` asks for the bytes from a number on, always of the same version; it raises Unavailable where another try
    may do better. Raises what it raises, and Broken for bytes that end too soon.
    """
    at, end = span
    tries = 0
    while at < end:
        before = at
        try:
            async with opened(at) as answer:
                while at < end and (chunk := await answer.content.read(min(BLOCK_BYTES, end - at))):
                    at += len(chunk)
                    yield chunk
        except (*BROKEN_OFF, Unavailable) as error:
            tries = 1 if at > before else tries + 1
            if tries == TRIES_MAX:
                raise error if isinstance(error, FreeholdError) else refused(error) from None
            await pause(tries if at == before else 0)
            continue
        if at < end:
            raise Broken(f"image {image} became shorter while it was read. Upload the image again.")


async def pause(tries: int) -> None:
    """Waits after so many tries that came to nothing."""
    await asyncio.sleep(PAUSE_S * tries)

"""The bytes door: HTTP for what is too big for the bus.

    PUT /images/{id}    bytes of a QUEUED image    200 with Done as JSON, when the image is ACTIVE and durable
    GET /images/{id}    bytes of an ACTIVE image   200, or 206 for a Range of one part

Each needs ``Authorization: Bearer KEY`` with a key for that image and method. Faults come as JSON: ``{"code",
"message"}``.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.vocabulary.errors import (
    BadRequest,
    Broken,
    Conflict,
    Forbidden,
    FreeholdError,
    NoRoom,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from freehold.vocabulary.image import UPLOAD_BYTES_MAX, BytesDoor, Image
from freehold.workers.image.keys import DoorKeys, Verb
from freehold.workers.image.transfers import Transfers

SILENCE_S_MAX: Final = 60.0
"""How long a sender or a receiver may do nothing before it is taken for gone."""

STATUS: Final[dict[type[FreeholdError], int]] = {
    TooLarge: 413,
    BadRequest: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    NoRoom: 507,
    Unavailable: 503,
    Broken: 500,
}

_log = logger("image")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class DoorAddress:
    """Where the door listens (port 0: any free one); `advertise` is the URL others reach it by, if another."""

    host: str = "127.0.0.1"
    port: int = 0
    advertise: str = ""


class Door:
    """Lets bytes in and out; without an address it stands nowhere, and only its keys and names can be had."""

    def __init__(self, transfers: Transfers, keys: DoorKeys, clock: Clock, address: DoorAddress | None) -> None:
        self._transfers, self._keys, self._clock, self._address = transfers, keys, clock, address
        self._base = "http://image.invalid"
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Listens. Raises Broken if it can't."""
        if self._address is None:
            return
        app = web.Application(middlewares=[_faults])
        app.router.add_put("/images/{image}", self._put)
        app.router.add_get("/images/{image}", self._get, allow_head=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._address.host, self._address.port).start()
        except OSError as error:
            await self._runner.cleanup()
            place = f"{self._address.host}:{self._address.port}"
            raise Broken(f"the door for image bytes can't listen on {place}: {error.strerror}.") from error
        self._base = self._address.advertise.rstrip("/") or _own_url(self._address.host, self._runner)

    async def close(self) -> None:
        """Ends what goes on: an upload that isn't whole by now is cut off."""
        if self._runner is not None:
            await self._runner.cleanup()

    def admission(self, image: str, verb: Verb) -> BytesDoor:
        """Where an image's bytes go in or out, with a fresh key."""
        return BytesDoor(url=f"{self._base}/images/{image}", key=self._keys.give(image, verb, self._now_s()))

    async def _put(self, request: web.Request) -> web.StreamResponse:
        image = self._authorized(request, Verb.WRITE)
        if (request.content_length or 0) > UPLOAD_BYTES_MAX:
            raise TooLarge(f"an image may have {UPLOAD_BYTES_MAX} bytes.")
        done = await self._transfers.take(image, _arriving(request))
        return web.Response(body=msgspec.json.encode(done), content_type="application/json")

    async def _get(self, request: web.Request) -> web.StreamResponse:
        image = self._transfers.readable(self._authorized(request, Verb.READ))
        size_bytes = image.size_bytes or 0
        start, stop = _span(request, size_bytes)
        response = _headed(image, start, stop)
        await response.prepare(request)
        try:
            await self._send(response, image.id, start, stop)
        except (FreeholdError, TimeoutError) as error:
            # The status is out already: only a connection that breaks off tells the receiver.
            _log.warning("an image wasn't sent to its end", image=image.id, error=str(error) or type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _send(self, response: web.StreamResponse, image: str, start: int, stop: int) -> None:
        left = stop - start
        if not left:
            return
        async with aclosing(self._transfers.read(image, start)) as chunks:
            async for chunk in chunks:
                async with asyncio.timeout(SILENCE_S_MAX):
                    await response.write(chunk[:left])
                left -= min(left, len(chunk))
                if not left:
                    break
        if left:
            raise Broken(f"the image store has {left} bytes fewer of image {image} than its record says.")

    def _authorized(self, request: web.Request, verb: Verb) -> str:
        image = request.match_info["image"]
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        self._keys.check(shown if scheme == "Bearer" else "", image, verb, self._now_s())
        return image

    def _now_s(self) -> int:
        return self._clock.unix_ms() // 1000


@web.middleware
async def _faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers with the fault of what was raised."""
    try:
        return await handler(request)
    except FreeholdError as error:
        status = next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        body = msgspec.json.encode(error.fault())
        return web.Response(status=status, body=body, content_type="application/json", headers=headers)


async def _arriving(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Unavailable when the sender falls silent or is gone."""
    while True:
        try:
            async with asyncio.timeout(SILENCE_S_MAX):
                chunk = await request.content.readany()
        except TimeoutError as error:
            raise Unavailable(f"no bytes came for {SILENCE_S_MAX:g} s. Upload the image again.") from error
        except (ClientError, ConnectionError, HttpProcessingError) as error:
            raise Unavailable("the connection broke before all bytes had come. Upload the image again.") from error
        if not chunk:
            return
        yield chunk


def _span(request: web.Request, size_bytes: int) -> tuple[int, int]:
    """The first byte asked for and the one after the last. Raises 416 for a range that isn't there or isn't one."""
    try:
        asked = request.http_range
    except ValueError:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size_bytes}"}) from None
    start, stop, _ = asked.indices(size_bytes)
    if "Range" in request.headers and start >= stop:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size_bytes}"})
    return start, stop


def _headed(image: Image, start: int, stop: int) -> web.StreamResponse:
    size_bytes = image.size_bytes or 0
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Length": str(stop - start),
        "ETag": f'"{image.checksum_sha256}"',
    }
    if (start, stop) == (0, size_bytes):
        return web.StreamResponse(headers=headers)
    return web.StreamResponse(status=206, headers=headers | {"Content-Range": f"bytes {start}-{stop - 1}/{size_bytes}"})


def _own_url(host: str, runner: web.AppRunner) -> str:
    port = runner.addresses[0][1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""Requests to a Swift account: with a token that is fetched anew when it has run out, and again where they came to
nothing. All that are made here may be repeated.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import aiohttp

from freehold.drivers.imagestore.over_http import (
    BROKEN_OFF,
    CONNECT_S_MAX,
    SILENCE_S_MAX,
    TRIES_MAX,
    pause,
    session,
    trusted,
)
from freehold.drivers.imagestore.swift_login import Granted, login_of
from freehold.drivers.places.refusals import refused
from freehold.vocabulary.errors import FreeholdError, NoRoom, Unavailable
from freehold.vocabulary.place import IMAGES, Place
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import KIB, MIB

REQUEST_S_MAX: Final = 120.0
"""For a request and its answer, besides what the bytes take that are sent; a manifest's is long to come."""
SEND_BYTES_PER_S_MIN: Final = 256 * KIB
ANSWER_BYTES_MAX: Final = 8 * MIB
"""Of an answer that is held whole."""

_AGAIN: Final = frozenset({408, 422, 429, 498, 499, 500, 502, 503, 504})
"""Answers that another try may change; 422: the bytes came otherwise than they were sent."""
_FULL: Final = frozenset({413, 507})
"""A quota, or the disks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class SwiftAccount:
    """A container of a Swift account, as one user may use it."""

    def __init__(self, place: Place, secrets: Mapping[str, Secret]) -> None:
        """Blocks. Raises BadRequest."""
        self.container = place.host
        self._shown, self._secrets = place.shown(), tuple(secrets.values())
        self._login, self._trust = login_of(place, secrets), trusted(place.options.get("ca", ""))
        self._granted: Granted | None = None
        self._asking: asyncio.Task[Granted] | None = None

    @asynccontextmanager
    async def session(self) -> AsyncIterator["SwiftSession"]:
        """Connections for one piece of work."""
        async with session(self._trust) as http:
            yield SwiftSession(self, http)

    async def granted(self, instead_of: Granted | None = None) -> Granted:
        """What opens the account: another than the one that was refused. Asked for once for all who wait."""
        if self._granted is not None and self._granted is not instead_of:
            return self._granted
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask(), name="swift token")
            self._asking.add_done_callback(self._asked)
        # Whoever gives up waiting must not end it for the others.
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Granted:
        async with asyncio.timeout(REQUEST_S_MAX), session(self._trust) as http:
            self._granted = await self._login(http)
        return self._granted

    def _asked(self, task: "asyncio.Task[Granted]") -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # who waits is told; nobody may wait any more

    def refused(self, error: BaseException) -> FreeholdError:
        """What went wrong, for people."""
        if isinstance(error, TimeoutError):
            error = TimeoutError("it didn't answer in time")
        tokens = (self._granted.token,) if self._granted is not None else ()
        return refused(IMAGES, self._shown, error, *self._secrets, *tokens)

    def complaint(self, answer: Answer) -> FreeholdError:
        """What an answer means that isn't one of those that were expected."""
        if answer.status in _FULL:
            return NoRoom(f"the place for images {self._shown} is full, or its quota is. Make room and try again.")
        if answer.status in (401, 403):
            return self.refused(PermissionError(f"this user may not do that there (it answered {answer.status})"))
        if answer.status == 404:
            return self.refused(FileNotFoundError(f"there is no container {self.container}: make it"))
        said = answer.body[:KIB].decode(errors="replace")
        return self.refused(RuntimeError(f"it answered {answer.status}: {said}"))


class SwiftSession:
    """Connections to an account's container."""

    def __init__(self, account: SwiftAccount, http: aiohttp.ClientSession) -> None:
        self._account, self._http = account, http

    async def ask(
        self,
        method: str,
        name: str,
        *expected: int,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Sequence[bytes] = (),
    ) -> Answer:
        """Asks for the object `name`, or for the container if it is empty, until there is an answer that is expected.

        Raises NoRoom, Unavailable.
        """
        request = _Request(method, name, query or {}, headers or {}, body)
        tries = 0
        while True:
            tries += 1
            try:
                if tries > 1 and body:
                    # A token that has run out may have shown as no more than a connection that broke under the bytes.
                    await self._answered(_Request("HEAD", "", {}, {}, ()))
                answer = await self._answered(request)
            except BROKEN_OFF as error:
                trouble = self._account.refused(error)
            else:
                if answer.status in expected:
                    return answer
                trouble = self._account.complaint(answer)
                if answer.status not in _AGAIN:
                    raise trouble
            if tries == TRIES_MAX:
                raise trouble from None
            await pause(tries)

    @asynccontextmanager
    async def opened(self, name: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a GET, whatever it is, for its bytes to be read as they come."""
        granted = await self._granted()
        for refused_before in (False, True):
            url, shown = self._url(granted, name), _opening(granted, headers)
            async with self._http.get(url, headers=shown, allow_redirects=False) as answer:
                if answer.status != 401 or refused_before:
                    yield answer
                    return
            granted = await self._granted(granted)

    async def _answered(self, request: "_Request") -> Answer:
        granted = await self._granted()
        answer = await self._sent(request, granted)
        if answer.status == 401:
            answer = await self._sent(request, await self._granted(granted))
        return answer

    async def _granted(self, instead_of: Granted | None = None) -> Granted:
        try:
            return await self._account.granted(instead_of)
        except Unavailable as error:
            raise self._account.refused(error) from None

    async def _sent(self, request: "_Request", granted: Granted) -> Answer:
        size_bytes = sum(map(len, request.body))
        headers, silence_s_max = dict(request.headers), REQUEST_S_MAX if size_bytes else SILENCE_S_MAX
        if request.method == "PUT":
            headers["Content-Length"] = str(size_bytes)
        async with (
            asyncio.timeout(REQUEST_S_MAX + size_bytes / SEND_BYTES_PER_S_MIN),
            self._http.request(
                request.method,
                self._url(granted, request.name),
                params=dict(request.query),
                headers=_opening(granted, headers),
                data=_each(request.body) if request.body else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S_MAX, sock_read=silence_s_max),
            ) as answer,
        ):
            return Answer(answer.status, answer.headers, await _held(answer))

    def _url(self, granted: Granted, name: str) -> str:
        container = f"{granted.account_url}/{quote(self._account.container)}"
        return f"{container}/{quote(name)}" if name else container


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    name: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Sequence[bytes]


def _opening(granted: Granted, headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "X-Auth-Token": granted.token.reveal()}


async def _each(blocks: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
    for block in blocks:
        yield block


async def _held(answer: aiohttp.ClientResponse) -> bytes:
    """The body. Raises ClientPayloadError for one that is too long."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(MIB):
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise aiohttp.ClientPayloadError(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)

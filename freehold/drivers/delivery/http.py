"""Over HTTP: the name is resolved once for a connection, every address it stands for is checked, and the connection is
made to one of exactly those.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from freehold.drivers.delivery.interface import (
    ANSWER_BYTES_MAX,
    AT_ONCE_MAX,
    BODY_BYTES_MAX,
    CONNECT_S_MAX,
    DEADLINE_S,
    DOUBTFUL_AT_ONCE_MAX,
    DOUBTFUL_OF_LANE_MAX,
    HOST_AT_ONCE_MAX,
    LANE_AT_ONCE_MAX,
    Answered,
    Failed,
    Outcome,
    Outgoing,
)
from freehold.runtime.log import logger
from freehold.vocabulary.receiver import Network, inside, receiver_of, refused_url

LOOKUP_S_MAX: Final = 5.0
LOOKUP_THREADS: Final = 64
"""The system's resolver blocks: a name whose servers don't answer must not keep others waiting."""
ADDRESSES_MAX: Final = 16
KEPT_OPEN_S: Final = 15.0
HEADER_VALUE_MAX: Final = 200

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""(name, port) -> the addresses that it stands for now."""

_log = logger("delivery")


class Forbidden(OSError):
    """A name stands for an address that is no receiver's."""


class HttpDelivery:
    """See Delivery. `allowed`: networks of the operator's own that receivers may be in."""

    def __init__(
        self, allowed: Sequence[Network] = (), lookup: Lookup | None = None, deadline_s: float = DEADLINE_S
    ) -> None:
        self._allowed, self._deadline_s = tuple(allowed), deadline_s
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")
        self._resolver = _Checked(lookup or self._look_up, self._allowed)
        self._session: aiohttp.ClientSession | None = None
        self._room = {True: asyncio.Semaphore(DOUBTFUL_AT_ONCE_MAX), False: asyncio.Semaphore(AT_ONCE_MAX)}
        self._lanes = {True: _Lanes(DOUBTFUL_OF_LANE_MAX), False: _Lanes(LANE_AT_ONCE_MAX)}
        self._hosts = {True: _Lanes(HOST_AT_ONCE_MAX), False: _Lanes(HOST_AT_ONCE_MAX)}

    def refused(self, url: str) -> str:
        """See Delivery."""
        return refused_url(url, self._allowed)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """See Delivery."""
        reason = self.refused(outgoing.url)
        if reason:
            return Failed(reason, forbidden=True)
        if len(outgoing.body) > BODY_BYTES_MAX:
            return Failed(f"what was to be sent has more than {BODY_BYTES_MAX} bytes")
        async with AsyncExitStack() as room:
            doubtful = outgoing.doubtful
            await room.enter_async_context(self._lanes[doubtful].one(outgoing.lane))
            await room.enter_async_context(self._hosts[doubtful].one(receiver_of(outgoing.url).host))
            await room.enter_async_context(self._room[doubtful])
            return await self._sent(outgoing)

    async def _sent(self, outgoing: Outgoing) -> Outcome:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._request(outgoing)
        except TimeoutError:
            return Failed(f"no answer within {self._deadline_s:g} s")
        except aiohttp.ClientConnectorError as error:
            return _unconnected(error.os_error)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed(f"cut off: {_said(error)}")

    async def _request(self, outgoing: Outgoing) -> Answered:
        url = URL(outgoing.url, encoded=True)
        headers = {"Accept-Encoding": "identity", "User-Agent": "Freehold", **dict(outgoing.headers)}
        body = outgoing.body or None
        async with self._http().request(
            outgoing.method, url, headers=headers, data=body, allow_redirects=False, proxy=None
        ) as answer:
            beginning = await _beginning(answer)
            return Answered(
                answer.status,
                beginning,
                answer.headers.get("Location", "")[:HEADER_VALUE_MAX],
                answer.headers.get("Retry-After", "")[:HEADER_VALUE_MAX],
            )

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver, use_dns_cache=False, limit=0, keepalive_timeout=KEPT_OPEN_S
            )
            # `total` is kept by `_sent`, which also covers what aiohttp doesn't count.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S_MAX)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                trust_env=False,  # a proxy of the environment would resolve the name once more
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        return list(dict.fromkeys(str(one[4][0]) for one in found))

    async def close(self) -> None:
        """See Delivery."""
        if self._session is not None:
            await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Checked(AbstractResolver):
    """What aiohttp connects to: the addresses that were checked, each as it is."""

    def __init__(self, lookup: Lookup, allowed: Sequence[Network]) -> None:
        self._lookup, self._allowed = lookup, allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises Forbidden if one of the addresses is no receiver's: then the name as a whole isn't trusted."""
        try:
            async with asyncio.timeout(LOOKUP_S_MAX):
                addresses = list(await self._lookup(host, port))[:ADDRESSES_MAX]
        except TimeoutError as error:
            raise OSError(f"its name wasn't resolved within {LOOKUP_S_MAX:g} s") from error
        if not addresses:
            raise OSError(f"{host} has no address")
        for address in addresses:
            whose = inside(address, self._allowed)
            if whose:
                _log.warning("a receiver's name leads inside; nothing was sent", host=host, address=address)
                raise Forbidden(f"{host} belongs to {whose}; nothing is sent there.")
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        """There is nothing to close."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)


class _Lanes:
    """So many at once of each name; names that nobody uses aren't kept."""

    def __init__(self, at_once_max: int) -> None:
        self._at_once_max = at_once_max
        self._of: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def one(self, name: str) -> AsyncIterator[None]:
        """Waits for one of the places of `name`."""
        places, users = self._of.get(name, (asyncio.Semaphore(self._at_once_max), 0))
        self._of[name] = (places, users + 1)
        try:
            async with places:
                yield
        finally:
            places, users = self._of[name]
            if users > 1:
                self._of[name] = (places, users - 1)
            else:
                del self._of[name]


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    found = b""
    try:
        async for chunk in answer.content.iter_any():
            found += chunk
            if len(found) >= ANSWER_BYTES_MAX:
                answer.close()  # the rest isn't read, and the connection not used again
                break
    except aiohttp.ClientError:
        pass  # who broke off in the middle of the answer has said its status
    return found[:ANSWER_BYTES_MAX]


def _unconnected(error: OSError) -> Failed:
    if isinstance(error, Forbidden):
        return Failed(str(error), forbidden=True)
    if isinstance(error, socket.gaierror):
        return Failed("its name can't be resolved")
    if isinstance(error, ssl.SSLError):
        return Failed(f"its certificate isn't good: {_said(error)}")
    return Failed(f"no connection: {_said(error)}")


def _said(error: BaseException) -> str:
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return (text.splitlines() or [type(error).__name__])[0][:HEADER_VALUE_MAX]

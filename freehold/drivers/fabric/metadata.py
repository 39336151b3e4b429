"""The HTTP server behind 169.254.169.254, one for each network, on the one event loop.

The port is known by the source address within the network, which anti-spoofing makes the tap's own; headers of the
request are never looked at. A guest is a stranger: its requests are bounded in size, time and number.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

import httptools

from freehold.drivers.fabric.interface import Metadata, MetadataAnswer
from freehold.runtime.log import logger
from freehold.vocabulary.errors import FreeholdError

_HEAD_BYTES_MAX = 8_192
_HEAD_S = 5.0
_ANSWER_S = 20.0
_AT_ONCE_MAX = 8
"""Questions of one guest at the same time; more are closed without an answer."""

_log = logger("fabric")

PortAt = Callable[[str], str | None]
"""The port that has an address on the network."""


class MetadataServer:
    """Answers the guests of one network."""

    def __init__(self, port_at: PortAt, answer: Callable[[], Metadata | None]) -> None:
        self._port_at = port_at
        self._answer = answer
        self._asking: Counter[str] = Counter()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self, listener: socket.socket) -> None:
        """Serves what comes to `listener`, which is ours from now on."""
        self._server = await asyncio.start_server(self._connected, sock=listener, limit=_HEAD_BYTES_MAX)

    async def close(self) -> None:
        """Stops listening and ends what is being answered."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        address: str = writer.get_extra_info("peername")[0]
        self._connections.add(task)
        self._asking[address] += 1
        try:
            if self._asking[address] <= _AT_ONCE_MAX:
                await self._serve(address, reader, writer)
        except (ConnectionError, TimeoutError):
            _log.debug("a guest left before its answer", address=address)
        finally:
            self._asking[address] -= 1
            if not self._asking[address]:
                del self._asking[address]
            self._connections.discard(task)
            writer.transport.abort()

    async def _serve(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_S + _ANSWER_S):
            head = await _read_head(reader)
            question = _Question.parse(head) if head is not None else None
            answer = await self._answered(address, question)
            writer.write(_rendered(answer, with_body=question is None or question.method != "HEAD"))
            writer.close()
            await writer.wait_closed()

    async def _answered(self, address: str, question: "_Question | None") -> MetadataAnswer:
        if question is None:
            return _plain(HTTPStatus.BAD_REQUEST)
        if question.method not in ("GET", "HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        port, answer = self._port_at(address), self._answer()
        if answer is None:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE)
        if port is None:
            return _plain(HTTPStatus.NOT_FOUND)
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await answer(port, question.path)
        except (FreeholdError, TimeoutError) as error:
            _log.warning("metadata can't be answered", port=port, error=str(error))
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE)


class _Question:
    """Collects a request's method and path; httptools calls the `on_…`."""

    def __init__(self) -> None:
        self._target = b""
        self.complete = False
        self.method = ""
        self.path = ""

    @classmethod
    def parse(cls, head: bytes) -> "_Question | None":
        """The question in a request's head; None if it isn't HTTP."""
        question = cls()
        parser = httptools.HttpRequestParser(question)
        try:
            parser.feed_data(head)
            question.path = httptools.parse_url(question._target).path.decode("ascii")
        except httptools.HttpParserUpgrade:
            return None
        except (httptools.HttpParserError, httptools.HttpParserInvalidURLError, AttributeError, UnicodeDecodeError):
            return None
        question.method = parser.get_method().decode("ascii")
        return question if question.complete else None

    def on_url(self, part: bytes) -> None:
        """Called with the target, maybe in parts."""
        self._target += part

    def on_headers_complete(self) -> None:
        """Called at the end of the head."""
        self.complete = True


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    """The request up to its empty line; None if it is too long or ends before."""
    try:
        async with asyncio.timeout(_HEAD_S):
            return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.LimitOverrunError, asyncio.IncompleteReadError):
        return None


def _plain(status: HTTPStatus) -> MetadataAnswer:
    return MetadataAnswer(status=status, content_type="text/plain", body=f"{status.phrase}\n".encode())


def _rendered(answer: MetadataAnswer, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (answer.body if with_body else b"")

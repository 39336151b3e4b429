"""Calls over kept connections at little cost to who makes them: who measures shares the machine with what is measured.

An HTTP library costs its user as much for a call as the call costs the API. Here the same bytes are sent each time, and
of an answer only what is counted is read.
"""

import asyncio
import json
import re
from collections import Counter
from functools import partial
from typing import Any, Final, cast
from urllib.parse import urlsplit

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def post(url: str, path: str, headers: dict[str, str], body: Any) -> bytes:
    """A POST with a JSON body, as it is sent."""
    content = json.dumps(body).encode()
    told = {"Host": urlsplit(url).netloc, "Accept": "*/*", "User-Agent": "freehold-benchmark"} | headers
    told |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


class Answers:
    """What came back."""

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.without_retry_after = 0
        self.broken: Counter[str] = Counter()
        """Calls without an answer, by why."""

    def add(self, head: bytes) -> None:
        """Takes the head of an answer."""
        status = int(head[9:12])
        self.by_status[status] += 1
        self.without_retry_after += status in (429, 503) and b"\r\nretry-after: " not in head.lower()


class Connection(asyncio.Protocol):
    """A connection with one call at a time. `ended` is called with it after each call; not after a call that broke."""

    def __init__(self, answers: Answers, connections: "Connections") -> None:
        self._answers, self._connections = answers, connections
        self._transport: asyncio.Transport | None = None
        self._got = b""
        self._asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's isn't one by name

    def ask(self, request: bytes) -> None:
        """Sends a request."""
        assert self._transport is not None
        self._asked = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._got[: end + 2]
        length = _LENGTH.search(head)
        assert length is not None, head
        if len(self._got) < end + 4 + int(length[1]):
            return
        self._got, self._asked = b"", False
        self._answers.add(head)
        self._connections.ended(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if self._asked:
            self._answers.broken[type(exc).__name__ if exc else "closed"] += 1
        self._connections.lost(self, self._asked)

    def close(self) -> None:
        """Ends the connection."""
        assert self._transport is not None
        self._transport.close()


class Connections:
    """As many connections as there are calls open at once, kept for the next ones."""

    def __init__(self, url: str, open_max: int) -> None:
        self._open_max = open_max
        where = urlsplit(url)
        self._host, self._port = where.hostname or "", where.port or 80
        self.answers = Answers()
        self.unsent = 0
        """Calls that weren't made, as there were as many open as there may be."""
        self.open = 0
        self._idle: dict[Connection, None] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()

    def ask(self, request: bytes) -> None:
        """Makes a call; its answer is counted."""
        if self.open >= self._open_max:
            self.unsent += 1
            return
        self.open += 1
        self._none_open.clear()
        if self._idle:
            self._idle.popitem()[0].ask(request)
            return
        opening = asyncio.create_task(self._ask_anew(request))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _ask_anew(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            make = partial(Connection, self.answers, self)
            _, connection = await loop.create_connection(make, self._host, self._port)
        except OSError as error:
            self.answers.broken[f"connect: {type(error).__name__}"] += 1
            self._over()
            return
        connection.ask(request)

    def ended(self, connection: Connection) -> None:
        """A call is over, and its connection free."""
        self._idle[connection] = None
        self._over()

    def lost(self, connection: Connection, asked: bool) -> None:
        """A connection is no more; `asked`: during a call."""
        self._idle.pop(connection, None)
        if asked:
            self._over()

    def _over(self) -> None:
        self.open -= 1
        if not self.open:
            self._none_open.set()

    async def all_ended(self) -> None:
        """Waits for the answers."""
        await self._none_open.wait()

    def close(self) -> None:
        """Ends connections that have no call."""
        for connection in list(self._idle):
            connection.close()

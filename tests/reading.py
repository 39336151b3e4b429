"""A client that reads a stream of events as server-sent events are read."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

from tests.api.asgi import Client

EVENTS = "/freehold/v1/events"
PATIENCE_S = 20.0


@dataclass
class Reader:
    """A client that reads a stream as server-sent events are read. While `took` is clear, it takes nothing."""

    app: ASGIApp
    task: "asyncio.Task[None] | None" = None
    status: int = 0
    events: list[Any] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """The last id after each event."""
    last: str = ""
    comments: int = 0
    took: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    asked: bool = False
    _text: str = ""

    @property
    def types(self) -> list[str]:
        return [event["type"].removeprefix("freehold.") for event in self.events]

    def open(self, path: str, headers: dict[str, str]) -> None:
        raw, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": "GET",
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
        }
        self.took.set()
        self.task = asyncio.create_task(self._read(scope))

    async def _read(self, scope: dict[str, Any]) -> None:
        await self.app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.took.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self._text += message["body"].decode()
        while "\n\n" in self._text:
            block, _, self._text = self._text.partition("\n\n")
            self._block(block)

    def _block(self, block: str) -> None:
        data = ""
        for line in block.splitlines():
            name, _, value = line.partition(": ")
            if name == "id":
                self.last = value
            elif name == "data":
                data = value
            elif not name:
                self.comments += 1
        if data:
            self.events.append(json.loads(data))
            self.ids.append(self.last)

    async def until(self, holds: Callable[["Reader"], object]) -> "Reader":
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not holds(self):
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE_S} s; it has {self.types}") from None
        return self

    async def seen(self, kind: str, count: int = 1) -> "Reader":
        """Waits until it has been given so many events of a type."""
        return await self.until(lambda reader: reader.types.count(kind) >= count)

    async def over(self) -> "Reader":
        """Waits until the stream has ended."""
        assert self.task is not None
        await asyncio.wait_for(self.task, PATIENCE_S)
        return self

    async def leave(self) -> str:
        """Goes away; gives the last id."""
        self.left.set()
        await self.over()
        return self.last


@asynccontextmanager
async def reading(client: Client, path: str = EVENTS, last: str = "") -> AsyncIterator[Reader]:
    reader = Reader(client.app)
    reader.open(path, client.headers | ({"last-event-id": last} if last else {}))
    try:
        await reader.until(lambda reader: reader.last or (reader.task is not None and reader.task.done()))
        yield reader
    finally:
        await reader.leave()

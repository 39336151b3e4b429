"""A client of an ASGI application in this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Client:
    """Asks with the same headers each time."""

    app: ASGIApp
    headers: dict[str, str] = field(default_factory=dict)

    def with_token(self, token: str) -> "Client":
        return Client(self.app, {**self.headers, "x-auth-token": token})

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.ask("GET", path, b"", headers)

    async def delete(self, path: str, **headers: str) -> Reply:
        return await self.ask("DELETE", path, b"", headers)

    async def post(self, path: str, body: Any) -> Reply:
        return await self.ask("POST", path, body)

    async def put(self, path: str, body: Any = b"") -> Reply:
        return await self.ask("PUT", path, body)

    async def patch(self, path: str, body: Any) -> Reply:
        return await self.ask("PATCH", path, body)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = b"",
        headers: dict[str, str] | None = None,
        chunks: AsyncIterator[bytes] | None = None,
    ) -> Reply:
        """`body`: bytes, or anything else as JSON; `chunks` instead: a ConnectionError from it is a disconnect."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        raw, _, query = path.partition("?")
        sent = {"content-type": "application/json", **self.headers}
        if chunks is None:
            sent["content-length"] = str(len(content))
        sent |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(raw),
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
        }
        got: list[Message] = []

        async def send(message: Message) -> None:
            got.append(message)

        await self.app(scope, _receiver(content, chunks), send)
        if not got:
            raise ConnectionError("nothing was answered")
        start = got[0]
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], told, b"".join(m.get("body", b"") for m in got))


def _receiver(content: bytes, chunks: AsyncIterator[bytes] | None) -> Any:
    done = False

    async def receive() -> Message:
        nonlocal done
        if done:
            await asyncio.Event().wait()  # the connection stays open until the answer is there
        if chunks is None:
            done = True
            return {"type": "http.request", "body": content, "more_body": False}
        try:
            return {"type": "http.request", "body": await anext(chunks), "more_body": True}
        except StopAsyncIteration:
            done = True
            return {"type": "http.request", "body": b"", "more_body": False}
        except ConnectionError:
            done = True
            return {"type": "http.disconnect"}

    return receive


async def until(ask: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    """Asks until the answer holds; gives it.

    Raises:
        AssertionError: it didn't within PATIENCE_S seconds.
    """
    answer: Any = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not holds(answer := await ask()):
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE_S} s; it stands at {answer}") from None
    return answer

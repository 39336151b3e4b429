"""A client's calls: HTTP by hand to an API process in the world, over a connection that may break."""

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from freehold.sim.process import Process

if TYPE_CHECKING:
    from freehold.sim.site import ApiSite
    from freehold.sim.world import World

CALL_S: Final = 30.0


class Unanswered(Exception):
    """No answer came: what was asked may have happened or not."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Caller:
    """Somebody at `place` who calls API processes with a token."""

    def __init__(self, world: "World", process: Process, place: str, token: str = "") -> None:
        self._world, self._process, self._place = world, process, place
        self.token = token

    async def call(
        self, api: "ApiSite", method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """The answer. Raises Unanswered if none comes in `CALL_S`."""
        loop, network = asyncio.get_running_loop(), self._world.network
        answered: asyncio.Future[Reply] = loop.create_future()
        process, app = api.process, api.app
        if process is None or not process.alive or app is None or not network.connected(self._place, api.name):
            await asyncio.sleep(0.01)
            raise Unanswered("the connection was refused")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        scope = self._scope(method, path, content, headers or {})

        def arrive(reply: Reply) -> None:
            if not answered.done():
                answered.set_result(reply)

        async def serve() -> None:
            reply = await _served(app, scope, content)
            if network.connected(api.name, self._place):
                self._process.call_later(0.001, arrive, reply)

        process.call_later(0.001, lambda: process.start(serve()))
        try:
            return await asyncio.wait_for(answered, CALL_S)
        except TimeoutError:
            raise Unanswered(f"{method} {path} wasn't answered by {api.name}") from None

    def _scope(self, method: str, path: str, content: bytes, headers: dict[str, str]) -> dict[str, Any]:
        raw, _, query = path.partition("?")
        sent = {"x-auth-token": self.token, "openstack-api-version": "compute 2.96", **headers}
        if content:
            sent = {"content-type": "application/json", "content-length": str(len(content)), **sent}
        return {
            "type": "http",
            "method": method,
            "path": unquote(raw),
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
        }


async def _served(app: Any, scope: dict[str, Any], content: bytes) -> Reply:
    got: list[dict[str, Any]] = []
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.get_running_loop().create_future()
        asked = True
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        got.append(message)

    await app(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in got[0]["headers"]}
    return Reply(got[0]["status"], told, b"".join(message.get("body", b"") for message in got))

"""The API's HTTP server: uvicorn, within a loop that somebody else runs and stops."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from freehold.api.connection import Connection
from freehold.api.gate import Gate
from freehold.api.server import Server
from freehold.runtime.accepting import Accepting
from freehold.vocabulary.errors import Unavailable

CLOSE_S: Final = 5
"""How long requests that run may take when the server closes."""
POLL_S: Final = 0.005
BACKLOG: Final = 4096
"""Connections that clients may have opened and that weren't taken yet; the system may allow fewer (somaxconn)."""
KEEP_ALIVE_S: Final = 75
"""How long a connection without a request stays open. While the process is busy, a request may have come that it hasn't
read yet: whoever closes early cuts that off, and a client doesn't know whether its POST was taken.
"""


class _Server(uvicorn.Server):
    """Signals belong to the command that runs everything. Connections are taken as fast as they come."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._accepting: list[Accepting] = []

    async def startup(self, sockets: Any = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        for server in self.servers:
            self._accepting += [Accepting(listening.fileno(), self._connect) for listening in server.sockets]

    async def shutdown(self, sockets: Any = None) -> None:
        """See uvicorn."""
        for accepting in self._accepting:
            await accepting.close()
        await super().shutdown(sockets)

    async def _connect(self, taken: Any) -> None:
        given = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        make = partial(self.config.http_protocol_class, **given)
        await asyncio.get_running_loop().connect_accepted_socket(make, taken)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes none."""
        yield


class Listener:
    """Serves what `app` makes, given the port, on an address and port; port 0 takes a free one. `setting`: what says
    which.
    """

    def __init__(self, app: Callable[[int], ASGIApp], host: str, port: int, setting: str = "port") -> None:
        self._app: ASGIApp | None = None
        self._known = asyncio.Event()
        self._make, self._host, self._port, self._setting = app, host, port, setting
        config = uvicorn.Config(
            self._serve_one,
            http=partial(Connection, self._gate_now),  # type: ignore[arg-type]  # called as a class would be
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=CLOSE_S,
        )
        self._server = _Server(config)
        self._gate: Gate | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> int:
        """Listens; gives the port. Raises Unavailable if it can't."""
        self._task = asyncio.create_task(self._run(), name="api.listen")
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise Unavailable(f"the API can't listen on {self._host}:{self._port}; the log says why")
            await asyncio.sleep(POLL_S)
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        self._app = self._make(port)
        self._gate = self._app.gate if isinstance(self._app, Server) else None
        self._known.set()
        return port

    def _gate_now(self) -> Gate | None:
        return self._gate

    async def _serve_one(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._known.wait()  # requests may come between listening and knowing the port
        assert self._app is not None
        await self._app(scope, receive, send)

    async def _run(self) -> None:
        try:
            await self._server.serve()
        except SystemExit as error:  # uvicorn's way to say that it couldn't bind
            where = f"{self._host}:{self._port}"
            raise Unavailable(
                f"the API can't listen on {where}: it is in use, or not this machine's; set another {self._setting}"
            ) from error

    async def close(self) -> None:
        """Stops listening and lets running requests end."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task])

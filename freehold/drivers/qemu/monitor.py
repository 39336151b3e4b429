"""A monitor: QEMU's machine protocol (QMP) over its socket.

A monitor serves one client, and that is this one. It reconnects when it has to; whether the process behind it still
lives is not its concern.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from qemu.qmp import ExecuteError, Message, QMPClient, QMPError, Runstate

from freehold.drivers.qemu.sockets import socket_path
from freehold.vocabulary.errors import Broken, Unavailable

SOCKET: Final = "qmp.sock"
"""Its name in the folder of the process."""
ANSWER_S: Final = 5.0
"""How long a command may take: a monitor answers in a millisecond, seconds mean a machine under water."""
GREETING_S: Final = 20.0
"""How long QEMU may take to come up."""


class Monitor:
    """See the module. `folder`: has the socket. `who`: for people, such as ``Guest 7``. `heard`: the events that are
    listened to. `answer_s`: how long a command may take."""

    def __init__(self, folder: Path, who: str, heard: tuple[str, ...] = (), answer_s: float = ANSWER_S) -> None:
        self._folder, self._who, self._heard, self._answer_s = folder, who, heard, answer_s
        self._client: QMPClient | None = None
        self._connecting = asyncio.Lock()

    async def connect(self) -> QMPClient:
        """The connected client. Raises Unavailable if nobody answers."""
        async with self._connecting:
            if self._client is not None and self._client.runstate is Runstate.RUNNING:
                return self._client
            await self._disconnect()
            client = QMPClient(self._who)
            client.events.names = set(self._heard)  # it would keep all others for ever
            try:
                with socket_path(self._folder, SOCKET) as path:
                    async with asyncio.timeout(GREETING_S):
                        await client.connect(path)
            except (OSError, QMPError, TimeoutError) as error:
                await _disconnect(client)
                raise Unavailable(f"{self._who} has no process that answers.") from error
            self._client = client
            return client

    async def command(self, name: str, /, **arguments: Any) -> Any:
        """What QEMU answers. Raises Unavailable if it doesn't, Broken if it refuses."""
        client = await self.connect()
        try:
            async with asyncio.timeout(self._answer_s):
                return await client.execute(name, arguments or None)
        except ExecuteError as error:
            raise Broken(f"QEMU refused {name}: {error}.") from error
        except (QMPError, OSError, TimeoutError) as error:
            raise Unavailable(f"{self._who} didn't answer to {name}.") from error

    async def changes(self) -> AsyncIterator[Message]:
        """Events that are listened to, until the connection is lost."""
        client = await self.connect()
        lost = asyncio.ensure_future(_lost(client))
        heard = asyncio.ensure_future(client.events.get())
        try:
            while True:
                await asyncio.wait((heard, lost), return_when=asyncio.FIRST_COMPLETED)
                if not heard.done():
                    return
                event = heard.result()
                heard = asyncio.ensure_future(client.events.get())
                yield event
        finally:
            heard.cancel()
            lost.cancel()

    async def close(self) -> None:
        """Lets go of the monitor: another client may have it."""
        async with self._connecting:
            await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _disconnect(client)


async def _lost(client: QMPClient) -> None:
    while client.runstate is Runstate.RUNNING:
        await client.runstate_changed()


async def _disconnect(client: QMPClient) -> None:
    try:
        await client.disconnect()
    except (QMPError, OSError, EOFError):
        return  # how a connection ended that we are done with is nobody's concern

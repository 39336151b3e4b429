"""The monitor of one guest: QEMU's machine protocol (QMP) over its socket.

A monitor serves one client, and that is this one. It reconnects when it has to; whether the guest's process still lives
is not its concern.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from qemu.qmp import ExecuteError, Message, QMPClient, QMPError, Runstate

from freehold.drivers.hypervisor.guest_folder import GuestFolder
from freehold.vocabulary.errors import Broken, Unavailable
from freehold.vocabulary.guest import Power

ANSWER_S = 5.0
"""How long a command may take: a monitor answers in a millisecond, seconds mean a machine under water."""
GREETING_S = 20.0
"""How long QEMU may take to come up."""
_CHANGES = ("SHUTDOWN", "STOP", "RESUME", "GUEST_PANICKED")

_POWERS = {
    "shutdown": Power.OFF,
    "guest-panicked": Power.CRASHED,
    "internal-error": Power.CRASHED,
    "running": Power.RUNNING,
    "debug": Power.PAUSED,
    "inmigrate": Power.PAUSED,
    "postmigrate": Power.PAUSED,
    "finish-migrate": Power.RUNNING,
    "restore-vm": Power.PAUSED,
    "save-vm": Power.RUNNING,
    "watchdog": Power.PAUSED,
    "io-error": Power.PAUSED,
    "paused": Power.PAUSED,
    "prelaunch": Power.PAUSED,
    "suspended": Power.RUNNING,
    "colo": Power.RUNNING,
}
"""QEMU's run states. A guest that sleeps (suspended) is on: it wakes by itself."""


class Monitor:
    """See the module."""

    def __init__(self, folder: GuestFolder) -> None:
        self._folder = folder
        self._client: QMPClient | None = None
        self._connecting = asyncio.Lock()

    async def connect(self) -> QMPClient:
        """The connected client. Raises Unavailable if nobody answers."""
        async with self._connecting:
            if self._client is not None and self._client.runstate is Runstate.RUNNING:
                return self._client
            await self._disconnect()
            client = QMPClient(self._folder.guest)
            client.events.names = set(_CHANGES)  # it would keep all others for ever
            try:
                with self._folder.socket_path("qmp.sock") as path:
                    async with asyncio.timeout(GREETING_S):
                        await client.connect(path)
            except (OSError, QMPError, TimeoutError) as error:
                await _disconnect(client)
                raise Unavailable(f"Guest {self._folder.guest} has no process that answers.") from error
            self._client = client
            return client

    async def command(self, name: str, **arguments: Any) -> Any:
        """What QEMU answers. Raises Unavailable if it doesn't, Broken if it refuses."""
        client = await self.connect()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await client.execute(name, arguments or None)
        except ExecuteError as error:
            raise Broken(f"QEMU refused {name}: {error}.") from error
        except (QMPError, OSError, TimeoutError) as error:
            raise Unavailable(f"Guest {self._folder.guest} didn't answer to {name}.") from error

    async def power(self) -> tuple[Power, str]:
        """The guest's power, and QEMU's own word for it."""
        status: str = (await self.command("query-status"))["status"]
        return _POWERS.get(status, Power.PAUSED), status

    async def changes(self) -> AsyncIterator[Message]:
        """Events that may mean another power, until the connection is lost."""
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

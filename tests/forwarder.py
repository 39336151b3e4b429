"""A wire between two ports of this machine that a test can cut and mend."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

BYTES = 64 * 1024


class Wire:
    """Carries connections to `port` (its own is `here`) unless it is cut."""

    def __init__(self, port: int) -> None:
        self._port, self._cut = port, False
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self.here = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        self.here = int(self._server.sockets[0].getsockname()[1])

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        self._carrying.add(me)
        try:
            if not self._cut:
                await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # an end of it is gone, or the wire is cut
        finally:
            self._carrying.discard(me)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [asyncio.create_task(_pour(reader, back)), asyncio.create_task(_pour(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            back.transport.abort()

    def cut(self) -> None:
        """Nothing passes any more; what was connected is broken off."""
        self._cut = True
        for one in self._carrying:
            one.cancel()

    def mend(self) -> None:
        """New connections pass."""
        self._cut = False

    async def close(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(BYTES):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """A wire that is open."""
    wire = Wire(port)
    await wire.open()
    try:
        yield wire
    finally:
        await wire.close()

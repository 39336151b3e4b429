"""Lines to servers, which break."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Line:
    """A line to a server that breaks after so many bytes have come from it, so many times; then it holds.

    It breaks when it `may`: until then no more bytes come. It alters the chunk that goes to the server after so many
    bytes, once.
    """

    def __init__(self, port: int, breaks: int, after_bytes: int) -> None:
        self.port, self.breaks, self.after_bytes = port, breaks, after_bytes
        self.alters_at: int | None = None
        self.may = asyncio.Event()
        self.may.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.port)
        alters_at, self.alters_at = self.alters_at, None
        sending = asyncio.create_task(_pump(reader, to_server, alters_at=alters_at))
        if await _pump(from_server, writer, self.after_bytes if self.breaks else None):
            self.breaks -= 1
            await self.may.wait()
        for end in (writer, to_server):
            end.transport.abort()
        sending.cancel()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upto: int | None = None, alters_at: int | None = None
) -> bool:
    """Carries bytes to their end. True if it stops before: where there are so many."""
    carried = 0
    while chunk := await reader.read(64 * 1024):
        if alters_at is not None and carried > alters_at:
            chunk, alters_at = bytes(len(chunk)), None
        if upto is not None and carried + len(chunk) > upto:
            writer.write(chunk[: upto - carried])
            await writer.drain()
            return True
        carried += len(chunk)
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()
    return False


@asynccontextmanager
async def broken_line(to: int, breaks: int, after_bytes: int) -> AsyncIterator[tuple[Line, int]]:
    """Such a line to a port, and the port where it begins."""
    line = Line(to, breaks, after_bytes)
    listening = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    async with listening:
        yield line, listening.sockets[0].getsockname()[1]

"""The queue behind `news`: told by the driver, read by one reader, ended by `close`."""

import asyncio
from collections.abc import AsyncIterator

from freehold.drivers.hypervisor.interface import News


class Newsroom:
    """Keeps what was told until it is read, so that nothing is lost between a driver's start and its reader's."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[News | None] = asyncio.Queue()

    def tell(self, news: News) -> None:
        """Hands a piece of news to the reader."""
        self._queue.put_nowait(news)

    def close(self) -> None:
        """Ends the reader after what was told."""
        self._queue.put_nowait(None)

    async def read(self) -> AsyncIterator[News]:
        """What is told, in order, until `close`."""
        while (news := await self._queue.get()) is not None:
            yield news

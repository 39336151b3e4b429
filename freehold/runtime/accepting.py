"""Takes the connections that clients open, as many at a turn of the loop as there are.

libuv takes one at a turn. While a loop is busy, its turns are long, and clients that come faster fill the kernel's
queue; from then on it drops what they send, they try again after 1, 2, 4, … seconds, and some are told at last that
their connection was reset. So a second handle on the listening socket takes what the first one leaves.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final

from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks

TURN_MAX: Final = 256
"""Connections taken at a turn: those that are there already have their turns too."""
AGAIN_S: Final = 1.0
"""When it is tried again, after the system had no file or no memory for another one."""

_log = logger("accept")


class Accepting:
    """On one listening socket, by its number; who opened that closes it. `connect` takes over each connection."""

    def __init__(self, listening: int, connect: Callable[[socket.socket], Coroutine[Any, Any, None]]) -> None:
        self._socket = socket.socket(fileno=os.dup(listening))
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks("accept")
        self._again: asyncio.TimerHandle | None = None
        self._open()

    def _open(self) -> None:
        self._again = None
        self._loop.add_reader(self._socket, self._take)

    def _take(self) -> None:
        for _ in range(TURN_MAX):
            try:
                taken, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.error("no more connections can be taken for the moment", error=str(error), again_s=AGAIN_S)
                self._loop.remove_reader(self._socket)
                self._again = self._loop.call_later(AGAIN_S, self._open)
                return
            self._tasks.start("connect", self._connected(taken))

    async def _connected(self, taken: socket.socket) -> None:
        try:
            taken.setblocking(False)
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._connect(taken)
        except OSError:  # the client is gone already
            taken.close()
        except asyncio.CancelledError:
            taken.close()
            raise

    async def close(self) -> None:
        """Takes no more."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        await self._tasks.close()

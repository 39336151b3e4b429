"""A real nats-server for a test: on a free port of this machine, with a folder of its own, ended with the test."""

import asyncio
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class NatsServer:
    """A server that can be killed, paused, and started again where it was."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._file, self._log = folder / "nats.conf", folder / "nats.log"
        self._file.write_text(f"listen: 127.0.0.1:{self.port}\n{config}\n")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it, and waits until it takes connections."""
        command = (program(), "-c", str(self._file), "-l", str(self._log))
        self._process = await asyncio.create_subprocess_exec(*command)
        async with asyncio.timeout(10):
            while not await self._listens():
                if self._process.returncode is not None:
                    raise RuntimeError(f"nats-server has ended: {self._log.read_text()}")
                await asyncio.sleep(0.01)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    def pause(self) -> None:
        """It does nothing any more, and its connections stand."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Ends a pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """Ends it without a word."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def nats_server(config: str = "") -> AsyncIterator[NatsServer]:
    """A server that runs, with more lines of configuration."""
    with tempfile.TemporaryDirectory(prefix="freehold-nats-") as folder:
        server = NatsServer(Path(folder), config)
        await server.start()
        try:
            yield server
        finally:
            await server.kill()


def program() -> str:
    """Where nats-server is: with this Python, where `make setup` puts it, or on the PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else "nats-server"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])

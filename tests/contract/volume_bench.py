"""Pools of volumes, and hosts that read and write through what they export."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from freehold.drivers.qemu import process
from freehold.drivers.volumestore.authority import write_credentials
from freehold.drivers.volumestore.files import FileVolumeStore
from freehold.drivers.volumestore.interface import VolumeStore
from freehold.drivers.volumestore.nbd import Credentials
from freehold.drivers.volumestore.server_command import server_name
from freehold.drivers.volumestore.simulated import BLOCK_BYTES, SimulatedPool, SimulatedVolumeStore
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.attachment import Served
from freehold.vocabulary.errors import FreeholdError

PATIENCE_S = 60


class Refused(Exception):
    """What a host tried through an export failed."""


class Bench(Protocol):
    """A machine with one kind of pool, and hosts. Blocks have `BLOCK_BYTES`, all of one value; 0 is nothing written."""

    def store(self, capacity_bytes: int = 0) -> VolumeStore:
        """A driver over the pool, which a killed one may have left."""

    async def host(self, store: VolumeStore, host: str) -> None:
        """A host gets its certificate."""

    async def write(self, served: Served, host: str, blocks: dict[int, int]) -> None:
        """The host writes on each block its value. Raises Refused."""

    async def read(self, served: Served, host: str, blocks: dict[int, int]) -> bool:
        """Whether the host finds these values in these blocks. Raises Refused if it can't read."""


class SimulatedBench:
    def __init__(self) -> None:
        self._machine = SimulatedPool()
        self._store = SimulatedVolumeStore(self._machine)

    def store(self, capacity_bytes: int = 0) -> SimulatedVolumeStore:
        self._machine.capacity_bytes = capacity_bytes or self._machine.capacity_bytes
        self._store = SimulatedVolumeStore(self._machine)
        return self._store

    async def host(self, store: VolumeStore, host: str) -> None:
        await store.certify(host, bytes(32))

    async def write(self, served: Served, host: str, blocks: dict[int, int]) -> None:
        try:
            opened = self._store.connect(served.export.volume, served.export.number, host)
            for block, value in blocks.items():
                opened.write(block, bytes([value]) * BLOCK_BYTES if value else b"")
        except FreeholdError as error:
            raise Refused(error.message) from error

    async def read(self, served: Served, host: str, blocks: dict[int, int]) -> bool:
        try:
            opened = self._store.connect(served.export.volume, served.export.number, host)
            return all((opened.read(block) or b"\0")[0] == value for block, value in blocks.items())
        except FreeholdError as error:
            raise Refused(error.message) from error


class FilesBench:
    """Hosts are real NBD clients: QEMU's, each with a key of its own."""

    def __init__(self, folder: Path) -> None:
        # Deep: the paths of sockets are limited to 107 bytes, those of state folders aren't.
        self.pool = folder / ("deep-" * 20) / "pool"
        self._hosts = folder / "hosts"
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._stores: list[FileVolumeStore] = []

    def store(self, capacity_bytes: int = 0, image_tool: str = "qemu-img") -> FileVolumeStore:
        store = FileVolumeStore(
            self.pool, SystemClock(), offload_inline, capacity_bytes=capacity_bytes, image_tool=image_tool
        )
        self._stores.append(store)
        return store

    async def host(self, store: VolumeStore, host: str) -> None:
        key = self._keys.setdefault(host, Ed25519PrivateKey.generate())
        told = await store.certify(host, key.public_key().public_bytes_raw())
        write_credentials(self._hosts / host, key.private_bytes_raw(), told.certificate_pem, told.authority_pem)

    def credentials(self, host: str) -> Credentials:
        return Credentials.of(self._hosts / host)

    async def write(self, served: Served, host: str, blocks: dict[int, int]) -> None:
        commands = [f"write -q -P {value} {block * BLOCK_BYTES} {BLOCK_BYTES}" for block, value in blocks.items()]
        status, said = await self.run(served, host, *commands)
        if status:
            raise Refused(said)

    async def read(self, served: Served, host: str, blocks: dict[int, int]) -> bool:
        commands = [f"read -q -P {value} {block * BLOCK_BYTES} {BLOCK_BYTES}" for block, value in blocks.items()]
        status, said = await self.run(served, host, *commands, read_only=True)
        if "Pattern verification failed" in said:
            return False
        if status:
            raise Refused(said)
        return True

    async def run(self, served: Served, host: str, *commands: str, read_only: bool = False) -> tuple[int, str]:
        """The exit status and the words of a client that does all that."""
        async with self.client(served, host, *commands, read_only=read_only) as child:
            output, _ = await child.communicate()
        return child.returncode or 0, output.decode()

    @asynccontextmanager
    async def client(
        self, served: Served, host: str, *commands: str, read_only: bool = False, options: str = ""
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A client that does all that, one after the other, and is over with the context."""
        image = (
            f"driver=nbd,server.type=inet,server.host={served.host},server.port={served.port},export={served.name},"
            f"tls-creds=tls,tls-hostname={served.server_name}{options}"
        )
        words = ["--object", f"tls-creds-x509,id=tls,endpoint=client,dir={self._hosts / host}", "--image-opts", image]
        for command in commands:
            words += ["-c", command]
        child = await asyncio.create_subprocess_exec(
            *("stdbuf", "-oL", "qemu-io", *(["-r"] if read_only else []), "-t", "writeback", *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield child
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()

    def daemons(self) -> dict[str, int]:
        """The daemons that serve: process id by name."""
        return process.find(self.pool.resolve() / "servers", server_name)

    async def clean(self) -> None:
        for store in self._stores:
            await store.close()  # or it would start again what is ended here
        async with asyncio.timeout(PATIENCE_S):
            while running := self.daemons():
                for pid in running.values():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(0.01)

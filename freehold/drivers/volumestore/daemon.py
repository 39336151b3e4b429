"""One storage daemon: its process, found by its name and folder, and what it is told over its monitor.

Nothing here is written down and nothing is tried twice: `server` does that.
"""

import asyncio
import errno
import resource
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from freehold.drivers.qemu import process
from freehold.drivers.qemu.monitor import SOCKET, Monitor
from freehold.drivers.qemu.records import complaint
from freehold.drivers.qemu.sockets import listening
from freehold.drivers.qemu.tool import limited, trouble
from freehold.drivers.volumestore import server_command as command
from freehold.drivers.volumestore.chain import Chain, Layer
from freehold.drivers.volumestore.volume_folder import VolumeFolder
from freehold.runtime.clock import Clock
from freehold.vocabulary.attachment import Export, Limits
from freehold.vocabulary.errors import Broken, Conflict, FreeholdError, NoRoom, Unavailable
from freehold.vocabulary.word import Word

WITHDRAW_S: Final = 5.0
"""How long a daemon may take to be done with the requests of an export that is withdrawn."""
PORT_S: Final = 3.0
"""How long a port may stay in use after its daemon has gone."""
POLL_S: Final = 0.02
ANSWER_S: Final = 20.0
"""How long anything else may take: a layer is opened when the disk has done what was on its way to it."""
_FILES_MAX: Final = 65536
_LOG: Final = "server.log"

Exports = tuple[Export, ...]


class Place(Word, frozen=True, kw_only=True):
    """Where the servers of a pool are, and what they need."""

    servers: Path
    volumes: Path
    tls: Path
    host: str
    ports: tuple[int, ...]
    program: str


class Daemon:
    """See the module."""

    def __init__(self, name: str, place: Place, clock: Clock) -> None:
        self.name, self.folder = name, place.servers / name
        self.process: process.Process | None = None
        self.monitor = Monitor(self.folder, f"The server of volumes {name}", answer_s=ANSWER_S)
        self._place, self._clock = place, clock

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and not self.process.gone.is_set()

    # --- its process -----------------------------------------------------------------------------------------------

    def take(self, pid: int) -> None:
        """Takes up a process that an earlier one of ours has started, if it still is that."""
        self.process = process.take(pid, self.name, self._place.servers, command.server_name)

    async def start(self, exports: Exports, port: int) -> None:
        """Starts it with these exports. Raises NoRoom, Conflict, Broken, Unavailable; then there is none."""
        folders = {one.volume: VolumeFolder(self._place.volumes, one.volume) for one in exports}
        volumes = {volume: (folder, folder.chain()) for volume, folder in folders.items()}
        if shutil.which(self._place.program) is None:
            raise Broken(
                f"The program {self._place.program} isn't installed (Debian's package qemu-system-common has it)."
            )
        try:
            with await self._listening(port) as nbd:
                self.process = self._spawn(exports, volumes, nbd)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Unavailable(f"Port {port} of a server of volumes is in use by another program.") from error
            raise trouble("A server of volumes", error) from error
        try:
            await self.monitor.connect()
        except Unavailable as error:
            await self.end()
            raise _refusal(complaint(self.folder / _LOG, self._place.program)) from error

    async def _listening(self, port: int) -> socket.socket:
        """A listening socket at the port. A daemon that was killed this moment may still have it. Raises OSError."""
        for _ in range(int(PORT_S / POLL_S)):
            try:
                return _listening(self._place.host, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            await self._clock.sleep(POLL_S)
        return _listening(self._place.host, port)

    def _spawn(
        self, exports: Exports, volumes: dict[str, tuple[VolumeFolder, Chain]], nbd: socket.socket
    ) -> process.Process:
        with listening(self.folder, SOCKET) as qmp:
            sockets = nbd.fileno(), qmp.fileno()
            words = command.arguments(self.name, exports, volumes, self._place.tls, *sockets)
            files = min(_FILES_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            whole = [*limited(f"--nofile={files}:{files}"), self._place.program, *words]
            return process.start(whole[0], whole[1:], self.folder, self.folder / _LOG, sockets)

    async def end(self) -> None:
        """Ends it, and returns when it is gone. Raises Broken if that can't be."""
        await self.monitor.close()
        if self.process is not None:
            await self.process.end()
            self.process.release()
            self.process = None

    async def release(self) -> None:
        """Lets go of it: it serves on."""
        await self.monitor.close()
        if self.process is not None:
            self.process.release()

    # --- what it is told -------------------------------------------------------------------------------------------
    # All of it raises Unavailable if there is no answer and Broken if it is refused.

    async def let_in(self, exports: Exports) -> None:
        """Tells it who may come in: the readers of these exports. In between nobody may."""
        await self.monitor.command("object-del", id=command.READERS)
        await self.monitor.command("object-add", **command.readers_object(exports))

    async def open(self, export: Export, *, writable: bool, with_layers: bool) -> None:
        """Has it serve an export. `with_layers`: its volume isn't open yet, and shall be `writable`."""
        folder = VolumeFolder(self._place.volumes, export.volume)
        chain = folder.chain()
        if with_layers:
            for node in command.layer_nodes(folder, chain, writable=writable):
                await self.monitor.command("blockdev-add", **node)
        if export.limits != Limits():
            await self.monitor.command("object-add", **command.limit_object(export))
            await self.monitor.command("blockdev-add", **command.limit_node(export, chain))
        await self.monitor.command("block-export-add", **command.export_options(export, chain))

    async def close(self, export: Export, *, with_layers: bool) -> None:
        """Has it cut an export's reader off, and be done with what that had sent."""
        name = command.export_id(export)
        try:
            async with asyncio.timeout(WITHDRAW_S):
                await self.monitor.command("block-export-del", id=name, mode="hard")
                while name in {one["id"] for one in await self.monitor.command("query-block-exports")}:
                    await self._clock.sleep(POLL_S)
        except TimeoutError as error:
            raise Unavailable(f"The server of volumes {self.name} isn't done with an export.") from error
        if export.limits != Limits():
            await self.delete_node(name)
            await self.monitor.command("object-del", id=name)
        if with_layers:
            chain = VolumeFolder(self._place.volumes, export.volume).chain()
            for layer in reversed(chain.layers):
                await self.delete_node(command.node_of(export.volume, layer))

    async def open_layer(self, folder: VolumeFolder, chain: Chain, *, writable: bool) -> None:
        """Has it write on the topmost layer of `chain`, which is new, from one moment on."""
        node = command.layer_node(folder, chain, chain.top, writable=writable, alone=True)
        below = command.node_of(chain.volume, chain.layers[-2])
        await self.monitor.command("blockdev-add", **node)
        await self.monitor.command("blockdev-snapshot", node=below, overlay=node["node-name"])

    async def delete_node(self, name: str) -> None:
        """Has it close a layer or the like, which nothing uses any more."""
        await self.monitor.command("blockdev-del", **{"node-name": name})

    async def begin_merge(self, job: str, export: Export, chain: Chain, lower: Layer, upper: Layer) -> None:
        """Has it write `upper`, on which nobody writes, down into `lower`. `export`: one of the volume's."""
        options: dict[str, Any] = {
            "job-id": job,
            "device": command.served_node(export, chain),
            "top-node": command.node_of(chain.volume, upper),
            "base-node": command.node_of(chain.volume, lower),
            "auto-dismiss": False,
        }
        await self.monitor.command("block-commit", **options)

    async def is_merged(self, job: str, hurry: asyncio.Event, poll_s: float) -> bool:
        """Waits for the end of a merge, and ends it early when there is a hurry. Whether it was done."""
        while True:
            found = [one for one in await self.monitor.command("query-jobs") if one["id"] == job]
            if not found:
                return False
            if found[0]["status"] == "concluded":
                await self.monitor.command("job-dismiss", id=job)
                return "error" not in found[0]
            if hurry.is_set() and found[0]["status"] in ("running", "ready", "paused", "standby"):
                await self.monitor.command("job-cancel", id=job)
            await self._clock.sleep(POLL_S if hurry.is_set() else poll_s)


def free_port(host: str, ports: Iterable[int]) -> int:
    """The first of these ports that nobody listens at. Raises NoRoom if there is none."""
    for port in ports:
        try:
            _listening(host, port).close()
        except OSError:
            continue
        return port
    raise NoRoom("All ports that servers of volumes may have are in use. Give the pool more of them.")


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


def _refusal(words: str) -> FreeholdError:
    """Why it ended before it answered."""
    if "Is another process using the image" in words:
        return Conflict("The volume is in use by another process of this machine.")
    return Broken(f"A server of volumes didn't start: {words or 'it said nothing'}.")

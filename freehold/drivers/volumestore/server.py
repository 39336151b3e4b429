"""One server of exports: what it shall serve, written down, and a daemon that is kept at it.

    <pool>/servers/<name>/
        server.json     its port and its exports: written before the daemon is told
        qmp.sock        the daemon's monitor
        server.log      what it complained of

What the records say is what shall be; the daemon is told the difference. While it is being told, its record says that
it isn't settled: whoever finds it so after a crash, and whoever gets no answer or a refusal half-way, ends the daemon
and starts it from the records. Its readers connect again, and there is one way back to order, whatever happened. The
records come first because of the opposite: a daemon that was told of a layer that no record names would, when it died,
take with it what was written there.
"""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from freehold.drivers.qemu.records import read_record, rewrite, sync
from freehold.drivers.qemu.tool import trouble
from freehold.drivers.volumestore.chain import Chain, Layer
from freehold.drivers.volumestore.daemon import Daemon, Exports, Place
from freehold.drivers.volumestore.server_command import is_written, node_of
from freehold.drivers.volumestore.volume_folder import VolumeFolder
from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.attachment import Export
from freehold.vocabulary.errors import Broken, Conflict, FreeholdError, NotFound
from freehold.vocabulary.word import Word

EXPORTS_MAX: Final = 256
"""Of one server: what a command line can hold, with the layers of each."""
MERGE_POLL_S: Final = 0.2
RETRY_S: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before a daemon that died is started again; the last again and again."""
_RECORD: Final = "server.json"
_log = logger("volume server")


class ServerRecord(Word, frozen=True, kw_only=True):
    """What a server shall serve, and where."""

    port: int = 0
    exports: Exports = ()
    settled: bool = True
    """Whether its daemon has been told all of it."""


class Server:
    """See the module. `free_port`: a port that no other server of the pool has."""

    def __init__(self, name: str, place: Place, clock: Clock, tasks: Tasks, free_port: Callable[[], int]) -> None:
        self.name = name
        self.record = ServerRecord()
        self._unserved: frozenset[Export] = frozenset()
        """What it shall serve and can't."""
        self._folder: Path = place.servers / name
        self._daemon = Daemon(name, place, clock)
        self._clock, self._tasks, self._free_port = clock, tasks, free_port
        self._lock = asyncio.Lock()
        self._merging: set[str] = set()
        self._is_left = False

    @property
    def runs(self) -> bool:
        """Whether it serves."""
        return self._daemon.runs

    def serves(self, export: Export) -> bool:
        """Whether it serves this just now."""
        return self.runs and export in self.record.exports and export not in self._unserved

    async def adopt(self, pid: int | None) -> None:
        """Takes up what an earlier process left: a record, and a daemon if there is one. Afterwards they agree."""
        try:
            self.record = read_record(self._folder / _RECORD, ServerRecord, f"server {self.name}") or ServerRecord()
        except Broken as error:
            _log.error("what a server of volumes served isn't known, and is served no more", why=error.message)
        async with self._lock:
            if pid is not None:
                self._daemon.take(pid)
            if self.record.exports and self.record.settled and self.runs:
                self._watch()
            else:
                await self._start_again()

    # --- what it serves --------------------------------------------------------------------------------------------

    async def add(self, export: Export) -> None:
        """Serves one more. Raises Conflict if there are too many or the volume is open elsewhere, NoRoom, Broken,
        Unavailable; then it serves what it did."""
        async with self._changing():
            before = self.record.exports
            if len(before) >= EXPORTS_MAX:
                raise Conflict(f"There are {EXPORTS_MAX} exports for one reader already, which is all there may be.")
            self._make_folder()
            self._keep(exports=(*before, export))
            try:
                if self.runs:
                    await self._open(export, with_layers=not _of(before, export.volume))
                else:
                    await self._start()
                self._settle()
            except FreeholdError:
                self._keep(exports=before)
                await self._start_again()
                raise

    async def withdraw(self, export: Export) -> None:
        """Serves it no more: when this returns its reader is cut off, and what it had sent is done or dropped.

        A reader of a volume that several attach may have opened another's export of it, so they are all cut off, and
        those that are still let in connect again.
        """
        async with self._changing():
            left = tuple(other for other in self.record.exports if other != export)
            self._keep(exports=left)
            if left and self.runs and not export.multi_attach:
                await self._told(lambda: self._close(export, with_layers=not _of(left, export.volume)))
            else:
                await self._start_again()

    async def without(self, volume: str, work: Callable[[], Awaitable[None]]) -> None:
        """Cuts the volume's readers off, does `work` on its files, and serves it again. Raises what `work` does."""
        async with self._changing():
            exports = _of(self.record.exports, volume)
            self._keep()
            try:
                for index, export in enumerate(exports, 1):
                    await self._close(export, with_layers=index == len(exports))
                await work()
                for index, export in enumerate(exports):
                    await self._open(export, with_layers=not index)
                self._settle()
            except FreeholdError:
                await self._start_again()
                raise

    async def open_layer(self, folder: VolumeFolder, chain: Chain) -> None:
        """Has a volume written on the new topmost layer of `chain`, from one moment on, and writes the chain down."""
        async with self._changing():
            self._keep()
            folder.keep(chain)
            writable = self._is_written(chain.volume)
            await self._told(lambda: self._daemon.open_layer(folder, chain, writable=writable))

    async def merge(self, folder: VolumeFolder, chain: Chain, pair: tuple[Layer, Layer], hurry: asyncio.Event) -> bool:
        """Writes an upper layer, on which nobody writes, down into the lower one, and writes it down. Whether it was
        done: it ends early when `hurry` is set or its daemon dies, and can be begun again."""
        job = node_of(folder.volume, pair[1])
        self._merging.add(job)
        try:
            return await self._merge(job, folder, chain, pair, hurry)
        except asyncio.CancelledError:
            self._settle_later()
            raise
        finally:
            self._merging.discard(job)

    async def _merge(
        self, job: str, folder: VolumeFolder, chain: Chain, pair: tuple[Layer, Layer], hurry: asyncio.Event
    ) -> bool:
        async with self._changing():
            self._keep()
            held, export = self._daemon.process, _of(self.record.exports, folder.volume)[0]
            is_done = await self._done(self._daemon.begin_merge(job, export, chain, *pair))
        if is_done:
            is_done = await self._done(self._daemon.is_merged(job, hurry, MERGE_POLL_S))
        async with self._changing():
            self._merging.discard(job)
            if is_done:
                folder.keep(chain.merged(*pair))
                await self._told(lambda: self._daemon.delete_node(job))
            elif self.runs and (hurry.is_set() or self._daemon.process is not held):
                self._settle()
            elif self._daemon.process is held:
                await self._start_again()
        return is_done

    async def _done(self, work: Awaitable[bool | None]) -> bool:
        """Whether `work` could be done, and says so."""
        try:
            return await work is not False
        except FreeholdError as error:
            _log.warning("a merge of layers was cut off; it is done again later", why=error.message)
            return False

    async def settle(self) -> None:
        """Starts the daemon from the records if somebody was cut off while he changed what it serves."""
        async with self._changing():
            pass

    def leave(self) -> None:
        """From now on nothing is begun here: what was cut off is for the next process."""
        self._is_left = True

    async def release(self) -> None:
        """Lets go of the daemon, which serves on."""
        await self._daemon.release()

    # --- inside ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        """Has the server to itself, as the records say it is.

        Who is cancelled on the way leaves readers without their server: that isn't left to the next who comes.
        """
        async with self._lock:
            try:
                if not self.record.settled and not self._merging:
                    await self._start_again()
                yield
            except asyncio.CancelledError:
                self._settle_later()
                raise

    def _settle_later(self) -> None:
        if not self._is_left:
            self._tasks.start(f"settle.{self.name}", self.settle())

    async def _told(self, steps: Callable[[], Awaitable[None]]) -> None:
        """Takes the steps; if that can't be, starts the daemon again from the records, which say the same."""
        try:
            await steps()
        except FreeholdError as error:
            _log.warning("a server of volumes has to be started again", server=self.name, why=error.message)
            await self._start_again()
        else:
            self._settle()

    async def _open(self, export: Export, *, with_layers: bool) -> None:
        await self._daemon.let_in(self.record.exports)
        writable = self._is_written(export.volume)
        await self._daemon.open(export, writable=writable, with_layers=with_layers)

    async def _close(self, export: Export, *, with_layers: bool) -> None:
        await self._daemon.close(export, with_layers=with_layers)
        await self._daemon.let_in(self.record.exports)

    def _is_written(self, volume: str) -> bool:
        return is_written(_of(self.record.exports, volume))

    def _keep(self, exports: Exports | None = None) -> None:
        """Writes down what shall be, and that it isn't yet."""
        kept = self.record.exports if exports is None else exports
        self._write(msgspec.structs.replace(self.record, settled=False, exports=kept))

    def _settle(self) -> None:
        if not self._merging:
            self._write(msgspec.structs.replace(self.record, settled=True))

    def _write(self, record: ServerRecord) -> None:
        """Durably: a withdrawal that a power cut undid would give a volume a second writer."""
        try:
            rewrite(self._folder / _RECORD, msgspec.json.encode(record))
            sync(self._folder)
        except OSError as error:
            raise trouble("The record of an export", error) from error
        self.record = record

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            sync(self._folder.parent)
        except OSError as error:
            raise trouble("The record of an export", error) from error

    # --- the daemon ------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """Starts the daemon with all exports or, where one of them is damaged, with the others."""
        self._unserved = frozenset()
        if not self.record.port:
            self._write(msgspec.structs.replace(self.record, port=self._free_port()))
        try:
            await self._daemon.start(self.record.exports, self.record.port)
        except (Broken, Conflict, NotFound):
            if len(self.record.exports) == 1:
                raise
            await self._start_singly()
        self._watch()

    async def _start_singly(self) -> None:
        """One volume that can't be opened must not take those of others with it."""
        await self._daemon.start((), self.record.port)
        await self._daemon.let_in(self.record.exports)
        for index, export in enumerate(self.record.exports):
            served = [other for other in self.record.exports[:index] if other not in self._unserved]
            try:
                writable, with_layers = self._is_written(export.volume), not _of(tuple(served), export.volume)
                await self._daemon.open(export, writable=writable, with_layers=with_layers)
            except (Broken, Conflict, NotFound) as error:
                self._unserved |= {export}
                _log.error("a volume can't be served", volume=export.volume, why=error.message)

    async def _start_again(self) -> None:
        """Ends the daemon and starts it from the records, now or as soon as it can be; without exports there is none.

        Raises Broken if it can't be ended.
        """
        await self._daemon.end()
        if not self.record.exports:
            shutil.rmtree(self._folder, ignore_errors=True)
            self.record = ServerRecord()
            return
        try:
            await self._start()
            self._settle()
        except FreeholdError as error:
            _log.error("a server of volumes can't be started", server=self.name, why=error.message)
            self._tasks.start(f"start.{self.name}", self._go_on_starting())

    def _watch(self) -> None:
        self._tasks.start(f"watch.{self.name}", self._watch_to_end())

    async def _watch_to_end(self) -> None:
        held = self._daemon.process
        if held is None:
            return
        await held.gone.wait()
        async with self._lock:
            if self._daemon.process is not held:
                return  # somebody here has ended it
            _log.error("a server of volumes died and is started again", server=self.name, how=held.how_it_ended())
            await self._daemon.end()
        await self._go_on_starting()

    async def _go_on_starting(self) -> None:
        """Starts the daemon, however often it takes, unless somebody else has done so or nothing is to be served."""
        for wait_s in itertools.chain(RETRY_S, itertools.repeat(RETRY_S[-1])):
            await self._clock.sleep(wait_s)
            async with self._lock:
                if self._daemon.process is not None or not self.record.exports:
                    return
                try:
                    await self._start()
                    self._settle()
                    return
                except FreeholdError as error:
                    _log.error("a server of volumes can't be started", server=self.name, why=error.message)


def _of(exports: Exports, volume: str) -> Exports:
    return tuple(export for export in exports if export.volume == volume)

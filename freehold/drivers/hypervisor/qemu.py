"""Guests on QEMU: one process a guest, driven over its monitor, kept in one folder a guest.

There is no daemon and no second store: what runs is found by looking at the machine's processes, how a guest ended by
the mark in its folder (`guest_folder`). Where no KVM works, guests are emulated (`qemu_probe`).
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from weakref import WeakValueDictionary

from freehold.drivers.hypervisor import machine, qemu_command, qemu_process, qemu_volumes
from freehold.drivers.hypervisor.guest_folder import GuestFolder, Run
from freehold.drivers.hypervisor.interface import ConfigDrive, DiskPlan, Facts, News, Plan
from freehold.drivers.hypervisor.names import check_disk, check_drive, check_guest, check_plan
from freehold.drivers.hypervisor.newsroom import Newsroom
from freehold.drivers.hypervisor.qemu_disk import make_drive, make_overlay, make_without_disk
from freehold.drivers.hypervisor.qemu_guest import QemuGuest, resting_power
from freehold.drivers.hypervisor.qemu_probe import Found, boot_id, find_platform
from freehold.drivers.hypervisor.traits import traits_of
from freehold.drivers.qemu.tool import trouble
from freehold.runtime import survey
from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks, periodically
from freehold.vocabulary.attachment import RemoteDisk
from freehold.vocabulary.errors import Broken, Conflict, FreeholdError, NoRoom, Unavailable
from freehold.vocabulary.guest import Power
from freehold.vocabulary.ids import is_uuid

TRIM_S = 20.0
"""How often console logs are looked at, so that no guest fills the machine's disk with them."""

GO_ON_S = 5.0
"""How often a guest that was stopped as its disk failed is let try again."""

_log = logger("hypervisor")


class QemuHypervisor:
    """See the module.

    `folder`: holds a folder for each guest and what the probe found. `accelerator`: ``auto``, or ``kvm`` or ``tcg`` to
    insist. `vcpu_overcommit`, `ram_overcommit`: how much of the machine is given out; `ram_reserved_mib` is kept for
    itself.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        program: str = "qemu-system-x86_64",
        image_tool: str = "qemu-img",
        accelerator: str = "auto",
        vcpu_overcommit: float = 16.0,
        ram_overcommit: float = 1.0,
        ram_reserved_mib: int = 512,
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._clock = clock
        self._program = program
        self._image_tool = image_tool
        self._accelerator = accelerator
        self._vcpu_overcommit = vcpu_overcommit
        self._ram_overcommit = ram_overcommit
        self._ram_reserved_mib = ram_reserved_mib
        self._found: Found | None = None
        self._finding = asyncio.Lock()
        self._adopted = False
        self._live: dict[str, QemuGuest] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._newsroom = Newsroom()
        self._tasks = Tasks("hypervisor")

    # --- the machine -----------------------------------------------------------------------------------------------

    async def probe(self) -> Facts:
        """See Hypervisor. The outcome is kept until the machine restarts or QEMU changes."""
        found = await self._platform()
        return Facts(
            driver="qemu",
            accelerator=found.platform.accelerator,
            reason=found.reason,
            version=found.version,
            vcpus=machine.vcpus(self._vcpu_overcommit),
            ram_mib=machine.ram_mib(self._ram_overcommit, self._ram_reserved_mib),
            disk_gib=machine.disk_gib(self._folder),
            boot=boot_id(),
            traits=traits_of(found.platform.accelerator, survey.cpu_flags(), is_nested=survey.is_nested()),
        )

    async def _platform(self) -> Found:
        async with self._finding:
            if self._found is None:
                self._found = await find_platform(self._program, self._folder, self._accelerator)
            return self._found

    # --- looking ---------------------------------------------------------------------------------------------------

    async def guests(self) -> dict[str, Power]:
        """See Hypervisor."""
        self._adopt()
        names = {path.name for path in self._folder.iterdir() if is_uuid(path.name)} | self._live.keys()
        return dict(zip(names, await asyncio.gather(*map(self._power, names)), strict=True))

    async def power(self, guest: str) -> Power:
        """See Hypervisor."""
        check_guest(guest)
        self._adopt()
        return await self._power(guest)

    async def _power(self, guest: str) -> Power:
        live = self._live.get(guest)
        return await live.power() if live else resting_power(self._of(guest))

    async def console_log(self, guest: str, bytes_max: int) -> bytes:
        """See Hypervisor."""
        return self._of(guest).console_tail(bytes_max)

    async def news(self) -> AsyncIterator[News]:
        """See Hypervisor."""
        self._adopt()
        async for news in self._newsroom.read():
            yield news

    # --- disks -----------------------------------------------------------------------------------------------------

    async def make_disk(self, plan: DiskPlan) -> None:
        """See Hypervisor."""
        folder = self._of(plan.guest)
        async with self._lock(plan.guest):
            if folder.can_boot():
                return
            with folder.making():
                if plan.base is None:
                    await make_without_disk(folder)
                else:
                    await make_overlay(self._image_tool, folder, plan, plan.base)

    async def make_config_drive(self, drive: ConfigDrive) -> None:
        """See Hypervisor."""
        check_drive(drive)
        folder = self._of(drive.guest)
        async with self._lock(drive.guest):
            with folder.making():
                await make_drive(folder, drive)

    # --- power -----------------------------------------------------------------------------------------------------

    async def launch(self, plan: Plan) -> None:
        """See Hypervisor."""
        check_plan(plan)
        folder = self._of(plan.guest)
        found = await self._platform()
        async with self._lock(plan.guest):
            if await self._runs_already(folder):
                return
            if not folder.disk.exists() and not (folder.can_boot() and any(disk.boot for disk in plan.disks)):
                raise Conflict("The guest has no disk to run from.")
            machine.check_taps(plan)
            await self._start(found, folder, plan)

    async def _runs_already(self, folder: GuestFolder) -> bool:
        """Whether the guest needs no new process. One that is paused is let go on; one that has ended is cleared
        away."""
        self._adopt()
        live = self._live.get(folder.guest)
        if live is None and folder.run() is not None:
            self._take(folder.guest, qemu_process.find(self._folder).get(folder.guest))
            live = self._live.get(folder.guest)
        if live is None:
            return False
        power = await live.power()
        if power is Power.PAUSED:
            await live.monitor.command("cont")
        if power in (Power.RUNNING, Power.PAUSED):
            return True
        await self._end(live)
        return False

    async def _start(self, found: Found, folder: GuestFolder, plan: Plan) -> None:
        before = folder.run()
        folder.mark(Run(plan=plan))
        try:
            live = self._spawn(found, folder, plan)
        except OSError as error:
            folder.unmark_to(before)
            raise trouble("The guest's process", error) from error
        self._live[plan.guest] = live
        try:
            await live.monitor.connect()
        except Unavailable as error:
            await self._end(live)
            folder.unmark_to(before)
            raise _refusal(folder.complaint()) from error
        finally:
            if plan.guest in self._live:
                self._watch(live)

    def _spawn(self, found: Found, folder: GuestFolder, plan: Plan) -> QemuGuest:
        with folder.listen() as listener:
            arguments = qemu_command.arguments(
                found.platform,
                plan,
                folder.origin(),
                config_drive=folder.config_drive.exists(),
                monitor=listener.fileno(),
            )
            process = qemu_process.start(self._program, arguments, folder, listener.fileno())
        return QemuGuest(folder, process, self._newsroom.tell)

    async def disks(self, guest: str) -> frozenset[str]:
        """See Hypervisor."""
        live = self._live_or_none(guest)
        return frozenset() if live is None or live.process.gone.is_set() else await qemu_volumes.plugged(live.monitor)

    async def attach_disk(self, guest: str, disk: RemoteDisk) -> None:
        """See Hypervisor."""
        check_disk(disk)
        async with self._lock(guest):
            live = self._live_or_none(guest)
            if live is None or await live.power() not in (Power.RUNNING, Power.PAUSED):
                raise Conflict("The guest doesn't run, so that it can't be given a volume.")
            await qemu_volumes.plug(live.monitor, disk)

    async def detach_disk(self, guest: str, attachment: str) -> None:
        """See Hypervisor."""
        async with self._lock(guest):
            live = self._live_or_none(guest)
            if live is not None:
                await qemu_volumes.unplug(live.monitor, attachment, self._clock.sleep)

    async def resize_disk(self, guest: str, attachment: str, size_bytes: int) -> None:
        """See Hypervisor."""
        async with self._lock(guest):
            live = self._live_or_none(guest)
            if live is not None:
                await qemu_volumes.resize(live.monitor, attachment, size_bytes)

    async def shut_down(self, guest: str) -> None:
        """See Hypervisor."""
        live = self._live_or_none(guest)
        if live is not None and await live.power() is Power.RUNNING:
            await live.monitor.command("system_powerdown")

    async def reset(self, guest: str) -> None:
        """See Hypervisor."""
        live = self._live_or_none(guest)
        if live is None or await live.power() not in (Power.RUNNING, Power.PAUSED):
            raise Conflict("The guest doesn't run, so that it can't be restarted.")
        await live.monitor.command("system_reset")

    async def stop(self, guest: str) -> None:
        """See Hypervisor."""
        folder = self._of(guest)
        async with self._lock(guest):
            live = self._live_or_none(guest)
            if live is not None:
                await self._end(live)
            if folder.exists():
                folder.unmark()

    async def remove(self, guest: str) -> None:
        """See Hypervisor."""
        folder = self._of(guest)
        async with self._lock(guest):
            live = self._live_or_none(guest)
            if live is not None:
                await self._end(live)
            await asyncio.to_thread(folder.remove)

    async def close(self) -> None:
        """See Hypervisor."""
        await self._tasks.close()
        for live in list(self._live.values()):
            await live.release()
        self._live.clear()
        self._watches.clear()
        self._newsroom.close()

    # --- inside ----------------------------------------------------------------------------------------------------

    def _of(self, guest: str) -> GuestFolder:
        return GuestFolder(self._folder, guest)

    def _lock(self, guest: str) -> asyncio.Lock:
        return self._locks.setdefault(guest, asyncio.Lock())

    def _live_or_none(self, guest: str) -> QemuGuest | None:
        check_guest(guest)
        self._adopt()
        return self._live.get(guest)

    def _adopt(self) -> None:
        """On the first call: finds the guests that run, and begins to watch them."""
        if self._adopted:
            return
        self._adopted = True
        for guest, pid in qemu_process.find(self._folder).items():
            self._take(guest, pid)
        self._tasks.start("trim", periodically(self._clock.sleep, TRIM_S, self._trim))
        self._tasks.start("go on", periodically(self._clock.sleep, GO_ON_S, self._go_on))

    def _take(self, guest: str, pid: int | None) -> None:
        process = qemu_process.take(pid, guest, self._folder) if pid is not None else None
        if process is not None:
            live = QemuGuest(self._of(guest), process, self._newsroom.tell)
            self._live[guest] = live
            self._watch(live)

    def _watch(self, live: QemuGuest) -> None:
        guest = live.folder.guest
        self._watches[guest] = self._tasks.start(f"watch.{guest}", self._watch_to_end(live))

    async def _watch_to_end(self, live: QemuGuest) -> None:
        await live.watch(self._clock.sleep)
        await self._forget(live)

    async def _end(self, live: QemuGuest) -> None:
        """Ends a guest's process without news of it."""
        watch = self._watches.pop(live.folder.guest, None)
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        await live.process.end()
        await self._forget(live)

    async def _forget(self, live: QemuGuest) -> None:
        if self._live.get(live.folder.guest) is live:
            del self._live[live.folder.guest]
            self._watches.pop(live.folder.guest, None)
        await live.release()

    async def _go_on(self) -> None:
        """Lets guests try again whose disks couldn't be read or written: who serves them may be back by now."""
        for live in list(self._live.values()):
            if live.stopped_by_error:
                try:
                    await live.monitor.command("cont")
                except FreeholdError as error:
                    _log.info("a guest can't go on yet", guest=live.folder.guest, error=error.message)

    async def _trim(self) -> None:
        for live in list(self._live.values()):
            live.folder.trim_logs()


def _refusal(complaint: str) -> FreeholdError:
    """Why QEMU ended before it answered."""
    if "Cannot allocate memory" in complaint:
        return NoRoom("The machine has no memory for this guest now.")
    if 'Failed to get "write" lock' in complaint:
        return Conflict("The guest's disk is in use by another process; the guest may run already.")
    return Broken(f"QEMU didn't start: {complaint or 'it said nothing'}.")

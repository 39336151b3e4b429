"""One guest that has a QEMU process: watched from launch, or from being found, until the process is gone."""

import asyncio
from collections.abc import Awaitable, Callable

from freehold.drivers.hypervisor.guest_folder import GuestFolder
from freehold.drivers.hypervisor.interface import News
from freehold.drivers.hypervisor.qemu_monitor import Monitor
from freehold.drivers.qemu.process import Process
from freehold.vocabulary.errors import Broken, Unavailable
from freehold.vocabulary.guest import Power

RETRY_S = 1.0


class QemuGuest:
    """See the module. `tell`: hears of changes that nobody here asked for."""

    def __init__(self, folder: GuestFolder, process: Process, tell: Callable[[News], None]) -> None:
        self.folder = folder
        self.process = process
        self.monitor = Monitor(folder)
        self._tell = tell
        self._last = Power.RUNNING
        self._told = Power.RUNNING
        self._reason = ""
        self.stopped_by_error = False
        """QEMU has stopped it, as a disk of it couldn't be read or written."""

    async def power(self) -> Power:
        """Its power now; what was seen last if its monitor doesn't answer."""
        try:
            self._last, _ = await self.monitor.power()
        except Unavailable:
            run = self.folder.run()
            if self.process.gone.is_set() or (run is not None and run.powered_off):
                return resting_power(self.folder)
        return self._last

    async def watch(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Tells of every change of power, and finishes a guest that has ended, until its process is gone."""
        while not self.process.gone.is_set():
            try:
                await self.monitor.connect()
                await self._look()  # at what happened before we listened
                async for _ in self.monitor.changes():
                    await self._look()
            except (Unavailable, Broken):
                await self._gone_or(sleep(RETRY_S))
        self._finish()

    async def _look(self) -> None:
        power, word = await self.monitor.power()
        self._last, self.stopped_by_error = power, word == "io-error"
        if power in (Power.OFF, Power.CRASHED):
            self._mark_end(power, word)
            await self.process.end()
        else:
            self._tell_if_new(power, f"QEMU says: {word}")

    def _mark_end(self, power: Power, word: str) -> None:
        self._reason = f"QEMU says: {word}"
        run = self.folder.run()
        if power is Power.OFF and run is not None:
            self.folder.mark(run.ended_by_guest())

    def _finish(self) -> None:
        """The process is gone, and nobody here ended it, or only after the guest had ended by itself."""
        power = resting_power(self.folder)
        if power is Power.OFF:
            self.folder.unmark()
        reason = self._reason or f"{self.process.how_it_ended()}; {self.folder.complaint()}".removesuffix("; ")
        self._tell_if_new(power, reason)

    def _tell_if_new(self, power: Power, reason: str) -> None:
        if power is not self._told:
            self._told = power
            self._tell(News(guest=self.folder.guest, power=power, reason=reason))

    async def _gone_or(self, other: Awaitable[None]) -> None:
        waits = (asyncio.ensure_future(self.process.gone.wait()), asyncio.ensure_future(other))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def release(self) -> None:
        """Lets go of it: a process that runs, runs on."""
        self.process.release()
        await self.monitor.close()


def resting_power(folder: GuestFolder) -> Power:
    """The power of a guest that has no process, by what its folder tells."""
    if not folder.exists():
        return Power.ABSENT
    run = folder.run()
    return Power.OFF if run is None or run.powered_off else Power.CRASHED

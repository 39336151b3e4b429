"""A hypervisor without guests: everything happens in memory, and in one small file a guest where a folder is given.

It keeps the promises of the interface, so that a killed process's successor over the same folder finds its guests
running. Besides the verbs it has hooks that do what guests and the world do: power off, crash, vanish, refuse.
"""

from collections import defaultdict, deque
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from freehold.drivers.hypervisor.base_image import virtual_size
from freehold.drivers.hypervisor.interface import ConfigDrive, DiskPlan, Facts, News, Plan
from freehold.drivers.hypervisor.names import (
    DISKS_MAX,
    check_disk,
    check_disk_size,
    check_drive,
    check_guest,
    check_plan,
)
from freehold.drivers.hypervisor.newsroom import Newsroom
from freehold.drivers.hypervisor.traits import DEVICES
from freehold.runtime.clock import Clock
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.attachment import RemoteDisk
from freehold.vocabulary.errors import BadRequest, Broken, Conflict, FreeholdError, NoRoom, Unavailable
from freehold.vocabulary.guest import Power
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.word import Word

CONSOLE_BYTES_MAX = 64 * 1024


class SimulatedGuest(Word, frozen=True, kw_only=True):
    """All there is of a guest."""

    power: Power = Power.OFF
    disk_gib: int = 0
    """0: no disk."""
    diskless: bool = False
    """It boots from a volume."""
    drive: tuple[str, ...] = ()
    """Paths on its config drive."""
    plan: Plan | None = None
    """As it was launched last."""
    disks: tuple[RemoteDisk, ...] = ()
    """The volumes that it has, while it runs."""
    boots: int = 0
    console: str = ""


_decoder = msgspec.json.Decoder(SimulatedGuest)
_encoder = msgspec.json.Encoder()


class SimulatedHypervisor:
    """See the module.

    `folder`: where guests are kept; None: in memory only. `boot_s`: how long a launch takes; `shutdown_s`: how long a
    guest takes to power off when asked. Both pass on the clock that is handed in. Nothing waits on it for 0. `guests`:
    what is on the machine already, shared with the drivers before and after this one.
    """

    def __init__(
        self,
        folder: Path | None,
        clock: Clock,
        *,
        vcpus: int = 64,
        ram_mib: int = 256 * 1024,
        disk_gib: int = 4096,
        boot_s: float = 0.0,
        shutdown_s: float = 0.0,
        boot: str = "simulated",
        traits: tuple[str, ...] = DEVICES,
        guests: "dict[str, SimulatedGuest] | None" = None,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._facts = Facts(
            driver="simulated",
            accelerator="none",
            reason="Guests are simulated.",
            version="1",
            vcpus=vcpus,
            ram_mib=ram_mib,
            disk_gib=disk_gib,
            boot=boot,
            traits=tuple(sorted(traits)),
        )
        self.boot_s = boot_s
        self.shutdown_s = shutdown_s
        self.deaf: set[str] = set()
        """Guests that don't hear `shut_down`."""
        self.clinging: set[str] = set()
        """Guests that don't let go of volumes."""
        self._failures: defaultdict[str, deque[FreeholdError]] = defaultdict(deque)
        self._news = Newsroom()
        self._tasks = Tasks("hypervisor")
        self._guests = _load(folder) if guests is None else guests

    # --- the interface ---------------------------------------------------------------------------------------------

    async def probe(self) -> Facts:
        """See Hypervisor."""
        self._may_fail("probe")
        return self._facts

    async def guests(self) -> dict[str, Power]:
        """See Hypervisor."""
        self._may_fail("guests")
        return self.powers()

    async def power(self, guest: str) -> Power:
        """See Hypervisor."""
        self._may_fail("power")
        held = self._guests.get(check_guest(guest))
        return held.power if held else Power.ABSENT

    async def make_disk(self, plan: DiskPlan) -> None:
        """See Hypervisor. The base image is looked at if it is there; a simulation may run without any."""
        held = self._held(plan.guest)
        if held.disk_gib:
            return
        self._may_fail("make_disk")
        if plan.base is None:
            self._keep(plan.guest, msgspec.structs.replace(held, diskless=True))
            return
        if plan.base_format not in ("raw", "qcow2"):
            raise BadRequest(f"A root disk can't be made from an image of format {plan.base_format!r}.")
        size = virtual_size(plan.base, plan.base_format) if plan.base.exists() else 0
        check_disk_size(plan.size_gib, size)
        if plan.size_gib > self._facts.disk_gib:
            raise NoRoom(f"This machine has {self._facts.disk_gib} GiB of disk, and {plan.size_gib} GiB are wanted.")
        self._keep(plan.guest, msgspec.structs.replace(held, disk_gib=plan.size_gib))

    async def make_config_drive(self, drive: ConfigDrive) -> None:
        """See Hypervisor."""
        check_drive(drive)
        self._may_fail("make_config_drive")
        held = self._held(drive.guest)
        self._keep(drive.guest, msgspec.structs.replace(held, drive=tuple(sorted(drive.files))))

    async def launch(self, plan: Plan) -> None:
        """See Hypervisor."""
        check_plan(plan)
        if self._held(plan.guest).power is Power.RUNNING:
            return
        self._may_fail("launch")
        self._check_launch(plan)
        if self.boot_s:
            await self._clock.sleep(self.boot_s)
            self._check_launch(plan)  # it may have been removed meanwhile
        held = self._held(plan.guest)
        if held.power is not Power.RUNNING:
            self._keep(plan.guest, _booted(msgspec.structs.replace(held, plan=plan), paused=held.power is Power.PAUSED))

    async def disks(self, guest: str) -> frozenset[str]:
        """See Hypervisor."""
        self._may_fail("disks")
        return frozenset(disk.attachment for disk in self._held(guest).disks)

    async def attach_disk(self, guest: str, disk: RemoteDisk) -> None:
        """See Hypervisor."""
        check_disk(disk)
        held = self._held(guest)
        if disk.attachment in (one.attachment for one in held.disks):
            return
        self._may_fail("attach_disk")
        if held.power not in (Power.RUNNING, Power.PAUSED):
            raise Conflict("The guest doesn't run, so that it can't be given a volume.")
        if len(held.disks) >= DISKS_MAX:
            raise NoRoom(f"The guest has {DISKS_MAX} volumes, the most it can have.")
        self._keep(guest, msgspec.structs.replace(held, disks=(*held.disks, disk)))

    async def detach_disk(self, guest: str, attachment: str) -> None:
        """See Hypervisor."""
        held = self._held(guest)
        if attachment not in (disk.attachment for disk in held.disks):
            return
        self._may_fail("detach_disk")
        if guest in self.clinging:
            raise Unavailable("The guest hasn't let go of the volume yet.")
        left = tuple(disk for disk in held.disks if disk.attachment != attachment)
        self._keep(guest, msgspec.structs.replace(held, disks=left))

    async def resize_disk(self, guest: str, attachment: str, size_bytes: int) -> None:
        """See Hypervisor."""
        self._may_fail("resize_disk")
        held = self._held(guest)
        disks = tuple(
            msgspec.structs.replace(disk, size_bytes=size_bytes) if disk.attachment == attachment else disk
            for disk in held.disks
        )
        if disks != held.disks:
            self._keep(guest, msgspec.structs.replace(held, disks=disks))

    async def shut_down(self, guest: str) -> None:
        """See Hypervisor."""
        self._may_fail("shut_down")
        if await self.power(guest) is not Power.RUNNING or guest in self.deaf:
            return
        if self.shutdown_s:
            self._tasks.start("shut_down", self._power_off_later(guest))
        else:
            self.power_off(guest)

    async def reset(self, guest: str) -> None:
        """See Hypervisor."""
        self._may_fail("reset")
        if await self.power(guest) is not Power.RUNNING:
            raise Conflict("The guest doesn't run, so that it can't be restarted.")
        self._keep(guest, _booted(self._guests[guest]))

    async def stop(self, guest: str) -> None:
        """See Hypervisor."""
        self._may_fail("stop")
        held = self._guests.get(check_guest(guest))
        if held is not None and held.power is not Power.OFF:
            self._keep(guest, msgspec.structs.replace(held, power=Power.OFF, disks=()))

    async def remove(self, guest: str) -> None:
        """See Hypervisor."""
        self._may_fail("remove")
        self._forget(check_guest(guest))

    async def console_log(self, guest: str, bytes_max: int) -> bytes:
        """See Hypervisor."""
        self._may_fail("console_log")
        held = self._guests.get(check_guest(guest))
        return held.console.encode()[-bytes_max:] if held and bytes_max > 0 else b""

    def news(self) -> AsyncIterator[News]:
        """See Hypervisor."""
        return self._news.read()

    async def close(self) -> None:
        """See Hypervisor."""
        await self._tasks.close()
        self._news.close()

    # --- what guests and the world do ------------------------------------------------------------------------------

    def power_off(self, guest: str) -> None:
        """The guest powers itself off."""
        self._change(guest, Power.OFF, "the guest powered off")

    def crash(self, guest: str, reason: str = "the guest's process ended") -> None:
        """The guest's process dies."""
        self._change(guest, Power.CRASHED, reason)

    def pause(self, guest: str, reason: str = "the disk is full") -> None:
        """The hypervisor stops the guest, as it does when its disk can't be written."""
        self._change(guest, Power.PAUSED, reason)

    def go_on(self, guest: str, reason: str = "it was let go on") -> None:
        """What was stopped by `pause` runs again."""
        self._change(guest, Power.RUNNING, reason)

    def vanish(self, guest: str) -> None:
        """Somebody ends the guest and deletes its files behind our back."""
        if self._forget(guest):
            self._news.tell(News(guest=guest, power=Power.ABSENT, reason="the guest and its files have gone"))

    def restart_machine(self, boot: str) -> None:
        """The machine loses power and comes back: every guest that ran has crashed, and nobody is told."""
        self._facts = msgspec.structs.replace(self._facts, boot=boot)
        for guest, held in list(self._guests.items()):
            if held.power in (Power.RUNNING, Power.PAUSED):
                self._keep(guest, msgspec.structs.replace(held, power=Power.CRASHED, disks=()))

    def print(self, guest: str, text: str) -> None:
        """The guest writes to its serial console."""
        self._keep(guest, _printed(self._guests[guest], text))

    def fail(self, verb: str, error: FreeholdError) -> None:
        """The next call of `verb` raises `error`; told several times, as many calls do."""
        self._failures[verb].append(error)

    def mend(self) -> None:
        """No call fails any more that was to."""
        self._failures.clear()

    def powers(self) -> dict[str, Power]:
        """How each guest is: for tests and checkers."""
        return {guest: held.power for guest, held in self._guests.items()}

    def look(self, guest: str) -> SimulatedGuest | None:
        """What there is of a guest: for tests and checkers."""
        return self._guests.get(guest)

    # --- inside ----------------------------------------------------------------------------------------------------

    async def _power_off_later(self, guest: str) -> None:
        await self._clock.sleep(self.shutdown_s)
        if self._held(guest).power is Power.RUNNING:
            self.power_off(guest)

    def _held(self, guest: str) -> SimulatedGuest:
        return self._guests.get(check_guest(guest)) or SimulatedGuest()

    def _may_fail(self, verb: str) -> None:
        if self._failures and self._failures[verb]:
            raise self._failures[verb].popleft()

    def _check_launch(self, plan: Plan) -> None:
        held = self._held(plan.guest)
        if not (held.disk_gib or (held.diskless and any(disk.boot for disk in plan.disks))):
            raise Conflict("The guest has no disk to run from.")
        if plan.ram_mib > self._facts.ram_mib:
            raise NoRoom(f"This machine has {self._facts.ram_mib} MiB of memory, and {plan.ram_mib} MiB are wanted.")

    def _change(self, guest: str, power: Power, reason: str) -> None:
        held = self._guests[guest]
        if held.power is not power:
            disks = held.disks if power in (Power.RUNNING, Power.PAUSED) else ()
            self._keep(guest, msgspec.structs.replace(held, power=power, disks=disks))
            self._news.tell(News(guest=guest, power=power, reason=reason))

    def _keep(self, guest: str, held: SimulatedGuest) -> None:
        if self._folder is not None:
            new = self._folder / f"{guest}.new"
            new.write_bytes(_encoder.encode(held))
            new.replace(self._folder / f"{guest}.json")
        self._guests[guest] = held

    def _forget(self, guest: str) -> bool:
        if self._folder is not None:
            (self._folder / f"{guest}.json").unlink(missing_ok=True)
        self.deaf.discard(guest)
        return self._guests.pop(guest, None) is not None


def _load(folder: Path | None) -> dict[str, SimulatedGuest]:
    if folder is None:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return {path.stem: _decoder.decode(path.read_bytes()) for path in folder.glob("*.json") if is_uuid(path.stem)}
    except (OSError, msgspec.MsgspecError) as error:
        raise Broken(f"The folder of the simulated guests can't be read: {error}.") from error


def _booted(held: SimulatedGuest, *, paused: bool = False) -> SimulatedGuest:
    """`held`, running: booted anew, or going on where it was paused."""
    if paused:
        return msgspec.structs.replace(held, power=Power.RUNNING)
    name = held.plan.name if held.plan else ""
    disks = held.plan.disks if held.plan and held.power is not Power.RUNNING else held.disks
    running = msgspec.structs.replace(held, power=Power.RUNNING, boots=held.boots + 1, disks=disks)
    return _printed(running, f"{name} ready, boot {running.boots}\n")


def _printed(held: SimulatedGuest, text: str) -> SimulatedGuest:
    return msgspec.structs.replace(held, console=(held.console + text)[-CONSOLE_BYTES_MAX:])

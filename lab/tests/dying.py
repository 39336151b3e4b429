"""A host of the laboratory dies for good, its guests leave it, and it comes back; and who looks on from below."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.request import Admission
from lab import faults
from lab.cloud import Lab, say, stores_of
from lab.layout import Machine
from lab.machines import pids
from lab.tests.breaking import equal, every_api
from lab.tests.owners import check, rows
from lab.tests.person import Person, until

LOOK_S: Final = 1.0
CLUSTER: Final = "c1"
EVIDENCE: Final = "its plug is out"
RETURNED_S: Final = 60.0
AGREE_S: Final = 30.0
CLOSED_LOOKS: Final = 5
"""So often is looked at a host that is back, and fenced still."""


@dataclass
class Watch:
    """What ran where, looked at every second from below: not what anybody says of it."""

    looks: int = 0
    last: Counter[str] = field(default_factory=Counter)
    doubled: list[tuple[int, str, int]] = field(default_factory=list)
    """Each time that more than one copy of a guest ran: which look, the guest, how many copies."""

    async def look(self, lab: Lab) -> None:
        """Looks once."""
        self.last = await asyncio.to_thread(running_copies, lab)
        self.looks += 1
        self.doubled += [(self.looks, guest, copies) for guest, copies in self.last.items() if copies > 1]

    async def go_on(self, lab: Lab) -> None:
        """Looks until it is cancelled."""
        while True:
            await self.look(lab)
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def watching(lab: Lab) -> AsyncIterator[Watch]:
    """Somebody looks on meanwhile. Raises AssertionError if a guest ran twice."""
    watch = Watch()
    task = asyncio.create_task(watch.go_on(lab))
    try:
        yield watch
        assert not task.done(), "it has looked to the end"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert not watch.doubled, f"of {watch.looks} looks, (look, guest, running copies): {watch.doubled}"


def running_copies(lab: Lab) -> Counter[str]:
    """How many copies of each guest run, on all machines."""
    look = simulated_on if lab.hypervisor == "simulated" else qemu_on
    return Counter(guest for machine in lab.layout.hosts() for guest in look(lab, machine))


def simulated_on(lab: Lab, machine: Machine) -> list[str]:
    """The simulated guests that run on a machine, by their files."""
    found = []
    for path in (lab.folder / machine.name / "simulated").glob("*/guests/*.json"):
        with contextlib.suppress(FileNotFoundError):  # it was removed since
            if json.loads(path.read_bytes()).get("power") == "running":
                found.append(path.stem)
    return found


def qemu_on(_: Lab, machine: Machine) -> list[str]:
    """The real guests that run on a machine, by the command lines of its processes."""
    found = []
    for pid in pids(machine.namespace):
        with contextlib.suppress(OSError):  # it has ended since
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if Path(words[0]).name.startswith("qemu-system") and "-uuid" in words:
                found.append(words[words.index("-uuid") + 1])
    return found


class Dying:
    """The story of one host. `machine`: the one of the cluster that has most guests."""

    def __init__(self, lab: Lab, operator: Person, built_s: float) -> None:
        self._lab, self._operator, self._built_s = lab, operator, built_s
        self.machine = max(lab.layout.hosts(CLUSTER), key=lambda one: len(self.guests_of(one)))
        self.guests = self.guests_of(self.machine)
        (self.host,) = stores_of(lab.of(self.machine)[0])

    def guests_of(self, machine: Machine) -> list[str]:
        """The guests that the ledger has given to a machine's host."""
        (host,) = stores_of(self._lab.of(machine)[0])
        held = rows(self._lab.control.state / "registrar.db", Admission)
        return sorted(one.guest for one in held if (deed := one.live_deed()) is not None and deed.host == host)

    def records(self) -> list[Guest]:
        """What is on the host's disk of guests."""
        return rows(next((self._lab.folder / self.machine.name / "hosts").glob("*.db")), Guest)

    async def command(self, *words: str) -> str:
        """What a command of the operator's says. Raises SystemExit with its error."""
        return await asyncio.to_thread(self._lab.control.command, *words)

    async def done(self, *words: str, within_s: float = RETURNED_S) -> str:
        """The same, of one that is refused for a while. Raises AssertionError."""
        said = ""

        async def so() -> bool:
            nonlocal said
            try:
                said = await self.command(*words)
            except SystemExit as refused:
                said = str(refused)
                return False
            return True

        await until(so, within_s, lambda: said)
        return said

    # --- the story -------------------------------------------------------------------------------------------------

    async def die(self) -> None:
        """It loses power, and is fenced as soon as that is believed."""
        await asyncio.to_thread(faults.kill_host, self._lab, self.machine.name)
        say(await self.done("host", "fence", self.host, "--evidence", EVIDENCE))

    async def evacuate(self) -> None:
        """Its guests leave it: all of them are up elsewhere."""
        told = await self.command("evacuate", self.host, "--dry-run")
        assert told.count("would be built from its image elsewhere") == len(self.guests) and "can't be" not in told, (
            told
        )
        assert self.guests_of(self.machine) == self.guests, "a dry run moves nothing"
        told = await self.command("evacuate", self.host, "--yes", "--wait")
        assert told.count("  done on ") == len(self.guests), told
        for guest in self.guests:
            await self._operator.becomes(guest, "ACTIVE", self._built_s)
        assert self.guests_of(self.machine) == []

    async def come_back(self, watch: Watch) -> None:
        """It is powered on with the disk that it had. It keeps its copies off, and does so while it is fenced."""
        await asyncio.to_thread(self._lab.power_on, self.machine)
        copies = sorted(self.guests)
        await until(self._keeps_copies, RETURNED_S, lambda: f"{self.records()}")
        until_look = watch.looks + CLOSED_LOOKS
        await until(lambda: _reached(watch, until_look), RETURNED_S)
        assert sorted(guest.id for guest in self.records()) == copies

    async def _keeps_copies(self) -> bool:
        return {guest.state for guest in self.records()} == {GuestState.QUARANTINED}

    async def let_in(self) -> None:
        """It is let in again, and its old copies are removed one by one."""
        say(await self.done("host", "unfence", self.host))
        for guest in self.guests:
            await self.done("host", "discard", self.host, guest, "--yes")
        await until(self._is_empty, RETURNED_S, lambda: f"{self.records()}")

    async def _is_empty(self) -> bool:
        return not self.records()


async def _reached(watch: Watch, look: int) -> bool:
    return watch.looks >= look


async def tell(lab: Lab, operator: Person, content: bytes, count: int, built_s: float) -> None:
    """The whole story, with so many guests of this image, and as many again in the end."""
    await operator.raise_quota(2 * count)
    image, network = await operator.image(content), await operator.network(CLUSTER, CLUSTER, "10.78.0.0/24")

    async def more(name: str) -> set[str]:
        asked = [{"uuid": network}]
        zone = {"availability_zone": CLUSTER}
        made = [await operator.create(f"{name}-{number}", image, asked, **zone) for number in range(count)]
        await asyncio.gather(*(operator.becomes(guest, "ACTIVE", built_s) for guest in made))
        return set(made)

    wanted = await more("first")
    async with watching(lab) as watch:
        dying = Dying(lab, operator, built_s)
        say(f"{dying.machine.name} dies, with {len(dying.guests)} guests")
        assert dying.guests and set(dying.guests) < wanted
        await dying.die()
        await dying.evacuate()
        say(f"they are elsewhere, after {watch.looks} looks")
        await dying.come_back(watch)
        await dying.let_in()
        say(f"it is let in, without its copies, after {watch.looks} looks")

        wanted |= await more("second")
        assert dying.guests_of(dying.machine), "it takes guests again"
        async with every_api(lab) as apis:
            await until(lambda: equal(lab, apis), AGREE_S, lambda: "the views differ from the owners")
        await watch.look(lab)
        assert watch.last == dict.fromkeys(wanted, 1)
        check(lab, wanted)
        say(f"looked {watch.looks} times: no guest ran twice")

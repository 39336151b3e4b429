"""Who writes the backup on a server, where nobody sees a process end."""

import pytest

from freehold.drivers.backup.leased import LEASE_S, LeasedBackups
from freehold.vocabulary.errors import Conflict, Unavailable
from tests.owners import HandClock, turns

STORE = "11111111-2222-4333-8444-555555555555"


class Memory:
    """A server's objects, by its own clock."""

    def __init__(self, clock: HandClock) -> None:
        self.clock, self.kept = clock, dict[tuple[str, str], tuple[bytes, float]]()
        self.away = False

    def _reach(self) -> None:
        if self.away:
            raise Unavailable("the server is away")

    async def folders(self) -> list[str]:
        self._reach()
        return sorted({folder for folder, _ in self.kept})

    async def names(self, folder: str) -> list[str]:
        self._reach()
        return [name for place, name in self.kept if place == folder]

    async def create(self, folder: str, name: str, content: bytes) -> bool:
        self._reach()
        if (folder, name) in self.kept:
            return False
        await self.put(folder, name, content)
        return True

    async def put(self, folder: str, name: str, content: bytes) -> None:
        self._reach()
        self.kept[folder, name] = content, self.clock.now_s

    async def read(self, folder: str, name: str) -> bytes | None:
        self._reach()
        return self.kept.get((folder, name), (None, 0.0))[0]

    async def has(self, folder: str, name: str) -> bool:
        self._reach()
        return (folder, name) in self.kept

    async def age_s(self, folder: str, name: str) -> float | None:
        self._reach()
        found = self.kept.get((folder, name))
        return None if found is None else self.clock.now_s - found[1]

    async def delete(self, folder: str, name: str) -> None:
        self._reach()
        self.kept.pop((folder, name), None)

    async def close(self) -> None:
        pass


class Bench:
    """One server, and processes that want to write there."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.server = Memory(self.clock)
        self.processes = 0

    def process(self, holder: str) -> LeasedBackups:
        self.processes += 1
        return LeasedBackups(self.server, self.clock, holder, f"token-{self.processes}")

    async def pass_by(self, seconds: float) -> None:
        for _ in range(round(seconds / 5)):
            self.clock.move(5.0)
            await turns()


async def die(process: LeasedBackups) -> None:
    """Nothing is said any more."""
    await process._tasks.close()


async def test_a_holder_that_lives_keeps_it_for_as_long_as_it_likes() -> None:
    bench = Bench()
    owner, other = bench.process("a"), bench.process("b")
    await owner.hold(STORE)
    await bench.pass_by(1000)
    with pytest.raises(Conflict, match=r"\(a, which was there \d+ s ago\)"):
        await other.hold(STORE)
    await owner.write(STORE, 1, b"x")
    await owner.close()
    await other.hold(STORE)
    await other.close()


async def test_one_that_died_keeps_it_no_longer_than_its_lease() -> None:
    bench = Bench()
    owner, other = bench.process("a"), bench.process("b")
    await owner.hold(STORE)
    await die(owner)
    await bench.pass_by(LEASE_S - 5)
    with pytest.raises(Conflict):
        await other.hold(STORE)
    await bench.pass_by(5)
    await other.hold(STORE)
    await other.close()


async def test_a_restart_of_the_same_goes_on_at_once_and_the_old_process_never_again() -> None:
    bench = Bench()
    owner, again = bench.process("a"), bench.process("a")
    await owner.hold(STORE)
    await owner.write(STORE, 1, b"x")
    await again.hold(STORE)
    await again.write(STORE, 2, b"mine")
    await bench.pass_by(20)
    with pytest.raises(Conflict):
        await owner.write(STORE, 3, b"x")
    await owner.close()
    await bench.pass_by(20)
    await again.write(STORE, 3, b"mine")
    await again.close()


async def test_a_holder_that_is_cut_off_stops_before_another_begins() -> None:
    bench = Bench()
    owner, other = bench.process("a"), bench.process("b")
    await owner.hold(STORE)
    bench.server.away = True
    await bench.pass_by(LEASE_S - 20)
    bench.server.away = False
    with pytest.raises(Conflict):
        await owner.write(STORE, 1, b"late")
    with pytest.raises(Conflict):
        await other.hold(STORE)
    await bench.pass_by(20)
    await owner.write(STORE, 1, b"it was renewed")
    await owner.close()
    await other.close()


async def test_in_a_place_that_was_emptied_it_is_held_again() -> None:
    bench = Bench()
    owner, other = bench.process("a"), bench.process("b")
    await owner.hold(STORE)
    bench.server.kept.clear()
    await bench.pass_by(20)
    with pytest.raises(Conflict):
        await other.hold(STORE)
    await owner.write(STORE, 1, b"x")
    bench.server.kept.clear()
    await other.hold(STORE)
    await bench.pass_by(20)
    with pytest.raises(Conflict):
        await owner.write(STORE, 1, b"x")
    await other.write(STORE, 1, b"mine")
    await owner.close()
    await other.close()


async def test_what_else_lies_there_is_left_alone() -> None:
    bench = Bench()
    owner = bench.process("a")
    for folder, name in [("notes", "x"), (STORE, "1.segment"), (STORE, "notes"), (STORE, "lease-1")]:
        await bench.server.put(folder, name, b"a person's")
    await owner.hold(STORE)
    assert await owner.stores() == [] and await owner.numbers(STORE) == []
    await owner.close()

"""Owners for tests: a clock that is moved by hand, records that differ by their key, stores and desks on one bus."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import finalize

from freehold.bus.local import LocalBus
from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock
from freehold.runtime.tasks import offload_inline
from freehold.store.database import Store
from freehold.views.complete import END, START
from freehold.views.fleet import Fleet
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.guest import Guest, GuestSpec, GuestState, Labels
from freehold.vocabulary.host import Capacity, Host
from freehold.vocabulary.request import Build
from freehold.vocabulary.tenant import Flavor, Project
from freehold.workers.base import Means

FLAVOR = Flavor(id="f", name="tiny", vcpus=1, ram_mib=512, disk_gib=1)


class HandClock:
    """A clock that stands until it is moved; sleepers wake when it has gone past them."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def unix_ms(self) -> int:
        return round(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now_s + seconds, future))
        await future

    def move(self, seconds: float) -> None:
        self.now_s += seconds
        for due, future in self._sleepers:
            if due <= self.now_s and not future.done():
                future.set_result(None)
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].done()]


def a_fleet(clock: Any = None) -> Fleet:
    """A scheduler's view, in a folder that goes with it."""
    folder = TemporaryDirectory()
    fleet = Fleet(HybridClock(clock or HandClock()), Path(folder.name), "boot")
    finalize(fleet, folder.cleanup)
    return fleet


def replace_all(sink: Any, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
    """Has who takes complete states in parts take one."""
    sink.begin(owner)
    sink.take_part(owner, START, END, rows)
    sink.replaced(owner, position)


def means_of(bus: Any = None, clock: Any = None, seed: int = 1, offload: Any = offload_inline) -> Means:
    return Means(bus or LocalBus(), HybridClock(clock or HandClock()), SeededChance(seed), offload)


async def store_at(path: Path, means: Means, role: str = "registrar", cluster: str = "c", shard: int = 0) -> Store:
    return await Store.open(
        path, role=role, cluster=cluster, clock=means.clock, chance=means.chance, offload=means.offload, shard=shard
    )


async def until(holds: Callable[[], object], deadline_s: float = 10.0) -> None:
    """Waits until `holds()`, turning the loop; fails at the deadline."""
    async with asyncio.timeout(deadline_s):
        while not holds():
            await asyncio.sleep(0)  # one turn of the loop


async def turns(count: int = 50) -> None:
    """Lets everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


def project(name: str) -> Project:
    return Project(id=name, name=name)


def a_guest(key: str, host: str, deed: int = 1, state: GuestState = GuestState.RUNNING, **fields: Any) -> Guest:
    given = {
        "project": "p",
        "user": "u",
        "cluster": "c",
        "urn": "urn:1",
        "spec": GuestSpec(flavor=FLAVOR, image=""),
        "labels": Labels(name=key),
        "hostname": "h",
        "launched": 1,
    }
    return Guest(id=key, host=host, deed=deed, state=state, **{**given, **fields})


def a_host(key: str, vcpus: int = 8, ram_mib: int = 8192, disk_gib: int = 100, **fields: Any) -> Host:
    total = Capacity(vcpus=vcpus, ram_mib=ram_mib, disk_gib=disk_gib)
    return Host(**{"id": key, "name": key, "cluster": "c", "total": total, **fields})


def a_build(**fields: Any) -> Build:
    given = {
        "urn": "urn:1",
        "guest": "",
        "project": "p",
        "user": "u",
        "created": 0,
        "expires": 0,
        "hostname": "h",
        "labels": Labels(name="n"),
        "spec": GuestSpec(flavor=FLAVOR, image=""),
    }
    return Build(**{**given, **fields})


def a_deed(guest: str, number: int = 1, host: str = "h1", urn: str = "urn:1") -> Deed:
    return Deed(guest=guest, project="p", number=number, host=host, cluster="c", urn=urn)


class Folded:
    """A sink that keeps the fold of what it was told, and checks that each entry comes once and in order."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[str, str], bytes]] = {}
        self.stands: dict[str, Position] = {}
        self.beats: list[Heartbeat] = []
        self.replaced = 0
        self.applied: list[int] = []

    def positions(self) -> dict[str, Position]:
        return dict(self.stands)

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        rows = self.rows.setdefault(owner.store, {})
        for entry in entries:
            self.applied.append(entry.seq)
            if entry.value is None:
                rows.pop((entry.kind, entry.key), None)
            else:
                rows[(entry.kind, entry.key)] = entry.value
        assert owner.store not in self.stands or position.seq > self.stands[owner.store].seq, "a view went back"
        self.stands[owner.store] = position

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        self.rows[owner.store] = {(row.kind, row.key): row.value for row in rows}
        self.stands[owner.store] = position
        self.replaced += 1

    def heard(self, heartbeat: Heartbeat) -> None:
        self.beats.append(heartbeat)


def kept(store: Store) -> dict[tuple[str, str], bytes]:
    """All that an owner has, as `Folded` keeps it."""
    page = store.complete(("", ""), 1_000_000)
    return {(row.kind, row.key): row.value for row in page.rows}

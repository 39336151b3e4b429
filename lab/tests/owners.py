"""What the owners of the laboratory's cloud have on disk, and whether everybody else shows the same."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

from freehold.vocabulary.codec import KIND_OF, decode
from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.network import Port
from freehold.vocabulary.request import Admission
from freehold.vocabulary.word import Word
from lab.cloud import Lab
from lab.layout import CLUSTERS
from lab.tests.person import Person

R = TypeVar("R", bound=Word)

STATUS: Final = {GuestState.RUNNING: "ACTIVE", GuestState.STOPPED: "SHUTOFF", GuestState.CRASHED: "SHUTOFF"}


def rows(store: Path, shape: type[R]) -> list[R]:
    """The records of a kind in a store, read beside whoever has it open."""
    with closing(sqlite3.connect(store)) as connection:
        found = connection.execute("SELECT value FROM rows WHERE kind = ?", (KIND_OF[shape],)).fetchall()
    return [decode(value, shape) for (value,) in found]


def guests(lab: Lab) -> list[Guest]:
    """What all hosts have."""
    stores = (store for host in lab.layout.hosts() for store in (lab.folder / host.name / "hosts").glob("*.db"))
    return [guest for store in stores for guest in rows(store, Guest)]


async def agree(lab: Lab, apis: list[Person]) -> bool:
    """Whether every API process shows of every guest what its host has on disk. Builds are still on their way."""
    owned = {guest.id: STATUS.get(guest.state, "BUILD") for guest in guests(lab)}
    for api in apis:
        reply = await api.call("GET", "/compute/v2.1/servers/detail?all_tenants=1&limit=1000")
        if reply.status != 200:
            return False
        shown = {one["id"]: one["status"] for one in reply.json["servers"] if one["status"] != "BUILD"}
        if shown != {guest: status for guest, status in owned.items() if status != "BUILD"}:
            return False
    return True


def check(lab: Lab, wanted: set[str]) -> None:
    """Nothing is lost, doubled or orphaned: `wanted` are all that there is, each on one host, with its own port."""
    held = guests(lab)
    assert Counter(guest.id for guest in held) == Counter(wanted)
    assert {guest.state for guest in held} <= {GuestState.RUNNING}
    admissions = rows(lab.control.state / "registrar.db", Admission)
    assert {admission.guest for admission in admissions} == wanted
    ports = [port for name in CLUSTERS for port in rows(lab.folder / f"{name}-node" / "network.db", Port)]
    assert Counter(port.device for port in ports) == Counter(wanted)
    addresses = Counter((port.network, fixed.address) for port in ports for fixed in port.addresses)
    assert max(addresses.values(), default=1) == 1

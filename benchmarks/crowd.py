"""Hosts by the hundred thousand that are nothing but their heartbeats: what a network worker passes on of a cluster.

    python -m benchmarks.crowd STATE SERVER COUNT

They have written nothing since a scheduler read them last (`written_into`), so nobody asks them anything.
"""

import asyncio
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.children import Answer, obey
from freehold.bus import subjects, talk
from freehold.bus.interface import CARRIED_BYTES_MAX, Bus
from freehold.bus.nats import NatsBus, NatsPlace
from freehold.bus.passports import Identity, opened_passport
from freehold.bus.signed import SignedBus
from freehold.runtime import log
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.keys import SigningKey
from freehold.store.database import put
from freehold.store.identity import read_identity
from freehold.views.fleet import Fleet
from freehold.vocabulary.envelope import Beats, Entry, Heartbeat, Owner, Position
from freehold.vocabulary.host import Capacity, Host
from freehold.workers.base import HEARTBEAT_PERIOD_S
from freehold.workers.network.gathering import BEATS_MAX

CLUSTER: Final = "crowd"
BEST: Final = f"{0:08x}-0000-4000-8000-000000000000"
"""The host with the most free memory."""
STANDS: Final = Position(epoch="crowd", seq=1)


def owners(count: int) -> Iterator[Owner]:
    """The hosts."""
    for number in range(count):
        yield Owner(store=f"{number:08x}-0000-4000-8000-000000000000", role="host", cluster=CLUSTER)


def written_into(fleet: Fleet, count: int) -> None:
    """Has a scheduler's view know them."""
    dice = random.Random(1)
    for owner in owners(count):
        ram_mib = 1 << 21 if owner.store == BEST else dice.randrange(1 << 20)
        total = Capacity(vcpus=dice.randrange(256), ram_mib=ram_mib, disk_gib=dice.randrange(8000))
        change = put(owner.store, Host(id=owner.store, name=owner.store, cluster=CLUSTER, total=total))
        fleet.apply(owner, STANDS, [Entry(1, 1, change.kind, change.key, change.value, "", STANDS.digest)])
    fleet.keep()


async def _beat(bus: Bus, network: Owner, count: int) -> None:
    """All of them within each period."""
    clock, every = HybridClock(SystemClock()), list(owners(count))
    parts = [every[first : first + BEATS_MAX] for first in range(0, count, BEATS_MAX)]
    while True:
        for part in parts:
            now = clock.now()
            beats = tuple(Heartbeat(owner=owner, position=STANDS, time=now) for owner in part)
            await talk.say(bus, subjects.beats(network), Beats(owner=network, beats=beats))
            await asyncio.sleep(HEARTBEAT_PERIOD_S / len(parts))


async def _run(state: Path, server: str, count: int) -> None:
    kept, clock, chance = read_identity(state), HybridClock(SystemClock()), SystemChance()
    assert kept is not None
    passport = opened_passport(kept.passport, kept.authority)
    assert passport is not None
    identity = Identity(kept.passport, SigningKey(bytes.fromhex(kept.key.reveal())))
    bus = NatsBus(NatsPlace((server,), state.name), clock.clock, chance, CARRIED_BYTES_MAX)
    bus.open()
    signed = SignedBus(bus, identity, kept.authority, clock.clock, chance)
    network = Owner(store=passport.stores[0], role="network", cluster=CLUSTER)
    beating = asyncio.create_task(_beat(signed, network, count))

    async def nothing() -> Answer:
        return {}

    await obey({}, {"nothing": nothing})
    beating.cancel()
    await bus.close()


if __name__ == "__main__":
    log.configure(level="error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

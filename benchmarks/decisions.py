"""How long a decision takes: the best host of all for one request, and for many that want the same.

CPU time of this thread, of production code (`views.fleet`), over hosts that differ in what they have free; each
decision takes its room. Beside it in the same run, as a measure of the machine: looking at one host after the other, as
plain Python would.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.record import record
from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.machine import boot_id
from freehold.store.database import put
from freehold.views.fleet import Fleet
from freehold.vocabulary.choice import Filter, Need
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position
from freehold.vocabulary.host import Capacity, Host

WANTED: Final = Capacity(vcpus=2, ram_mib=4096, disk_gib=20)
CLUSTERS: Final = 20
TRAITS: Final = ("CUSTOM_COMMON", "HW_CPU_X86_AVX2", "HW_CPU_X86_AVX512F", "CUSTOM_RARE")
"""Every host has the first, half have the second, a quarter the third, and so on."""
NEED: Final = Need(Filter.TRAITS, every=frozenset(TRAITS[:2]))
BATCH: Final = 1000
PERIOD_S: Final = 3600.0


def fleet_of(count: int, seed: int, folder: Path) -> Fleet:
    """So many hosts, none like the other."""
    dice, fleet = random.Random(seed), Fleet(HybridClock(SystemClock()), folder, boot_id(), SeededChance(seed))
    for number in range(count):
        key, cluster = f"h{number}", f"c{number % CLUSTERS}"
        total = Capacity(vcpus=dice.randrange(256), ram_mib=dice.randrange(1 << 20), disk_gib=dice.randrange(8000))
        owner = Owner(store=key, role="host", cluster=cluster)
        traits = tuple(name for power, name in enumerate(TRAITS) if number % (1 << power) == 0)
        change = put(key, Host(id=key, name=key, cluster=cluster, total=total, traits=traits))
        at = Position(epoch="e", seq=1)
        fleet.apply(owner, at, [Entry(1, 1, change.kind, change.key, change.value, "", b"")])
        fleet.heard(Heartbeat(owner=owner, position=at, time=1, period_s=PERIOD_S))
    return fleet


def timed(decide: Callable[[int], object], times: int) -> list[float]:
    """The CPU time of each decision in microseconds, in order of size."""
    spent = []
    for number in range(times):
        began = time.thread_time_ns()
        decide(number)
        spent.append((time.thread_time_ns() - began) / 1000)
    return sorted(spent)


def plain(hosts: list[Host]) -> Host | None:
    """What `Fleet.choose` finds, found by looking at one after the other."""
    best: Host | None = None
    for host in hosts:
        if host.enabled and host.free().fits(WANTED) and (best is None or host.free().ram_mib > best.free().ram_mib):
            best = host
    return best


def measured(count: int, times: int) -> dict[str, Any]:
    """The figures of a fleet."""
    with TemporaryDirectory() as folder:
        return _measured(fleet_of(count, 1, Path(folder)), count, times)


def _measured(fleet: Fleet, count: int, times: int) -> dict[str, Any]:

    def decide(number: int, cluster: str = "", needs: tuple[Need, ...] = ()) -> None:
        host = fleet.choose(WANTED, cluster, needs=needs)
        assert host is not None
        fleet.promise(f"g{number}", host.id, WANTED)

    every = timed(decide, times)
    of_one_cluster = timed(lambda number: decide(times + number, f"c{number % CLUSTERS}"), times)
    with_traits = timed(lambda number: decide(2 * times + number, needs=(NEED,)), times)
    batches = timed(lambda number: fleet.choose_many(WANTED, BATCH), max(10, times // 50))
    hosts = fleet.hosts()
    one_by_one = timed(lambda number: plain(hosts), 5)
    return {
        "hosts": count,
        "decision_us_p50": round(statistics.median(every), 1),
        "decision_us_p99": round(every[int(len(every) * 0.99) - 1], 1),
        "of_a_cluster_us_p50": round(statistics.median(of_one_cluster), 1),
        "of_a_cluster_us_p99": round(of_one_cluster[int(len(of_one_cluster) * 0.99) - 1], 1),
        "with_traits_us_p50": round(statistics.median(with_traits), 1),
        "with_traits_us_p99": round(with_traits[int(len(with_traits) * 0.99) - 1], 1),
        "batched_per_s": round(BATCH / statistics.median(batches) * 1e6),
        "times_as_fast_as_plain_python": round(statistics.median(one_by_one) / statistics.median(every)),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--times", type=int, default=5000)
    asked = parser.parse_args()
    record("decisions", {"curve": [measured(count, asked.times) for count in asked.hosts]})


if __name__ == "__main__":
    main()

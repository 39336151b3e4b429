"""What a seed makes of a run: how large the cloud is, what clients ask and when, what goes wrong and when.

All of it is listed before the run begins, so that a run can be told again with less in it.
"""

from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import Final

from freehold.sim.network import Weather

QUOTA: Final = 7
"""Guests a project may have."""
VOLUMES_QUOTA: Final = 8
GIGABYTES_QUOTA: Final = 30
"""Of volumes and snapshots: less than there is in all pools, and more than in one."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How many of each."""

    hosts: int = 3
    schedulers: int = 2
    apis: int = 2
    projects: int = 2
    shards: int = 1
    """The registrar's."""
    host_ram_mib: int = 1024
    notifies: bool = True
    """Whether there is a notifier, and receivers."""
    pools: int = 0
    """Of volumes."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A client of project `project` does `what` at `at_s`. `pick` chooses among the guests it knows, and the API."""

    at_s: float
    project: int
    what: str
    pick: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something goes wrong at `at_s` with `site` (and `other`), for `for_s` seconds. `amount` as the kind needs it."""

    at_s: float
    kind: str
    site: str = ""
    other: str = ""
    for_s: float = 0.0
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run is made of."""

    seed: int
    scale: Scale
    storm_s: float
    weather: Weather
    asks: tuple[Ask, ...]
    troubles: tuple[Trouble, ...]


ASKS: Final = {
    "create": 12,
    "create and look": 12,
    "create for a while": 8,
    "create several": 3,
    "delete": 22,
    "get": 10,
    "list": 12,
    "pages": 3,
    "stop": 4,
    "stop what runs": 6,
    "reboot and delete": 6,
    "start": 6,
    "reboot soft": 3,
    "reboot hard": 3,
    "rename": 3,
    "console": 1,
}
"""What clients ask for, and how often."""

VOLUME_ASKS: Final = {
    "volume": 10,
    "volume of an image": 3,
    "volume snapshot": 5,
    "volume copy": 4,
    "volume extend": 5,
    "volume delete": 9,
    "snapshot delete": 5,
    "volume list": 4,
    "volume get": 5,
    "volume rename": 2,
    "volume attach": 6,
    "volume detach": 7,
    "volume for a while": 14,
}
"""The same of volumes."""

SHARDED_EVERY: Final = 3
"""One seed in so many has a registrar of two shards."""

POOLS: Final = 2
"""Of volumes, in each seed's cloud."""

BUSY: Final = (0.1, 0.3, 1.0)
"""How much is asked and goes wrong in a run, for its length: what happens late needs quiet before it."""

SMALL_SEEDS: Final = 40
"""The first seeds are small runs: what is easy to find is found in a run that is easy to read."""
MIXED_SEEDS: Final = 600
"""Of those that follow, all are but one in so many:"""
LONG_EVERY: Final = 4

FEW_EVERY: Final = 2
"""One seed in so many has only a few kinds of trouble, which then come often and one after another: as is known from
swarm testing, a run with everything in it has little of anything."""
FEW: Final = (2, 4, 6)
"""How many kinds those are."""

TROUBLES: Final = {
    "kill": 20,
    "kill at a commit": 40,
    "pause": 8,
    "power cut": 6,
    "isolate": 10,
    "mute": 10,
    "cut": 14,
    "registrar is deaf": 6,
    "clock": 8,
    "disk": 8,
    "driver fails": 14,
    "driver hangs": 3,
    "driver is slow": 5,
    "guests are deaf": 4,
    "image can't be fetched": 3,
    "guest powers off": 6,
    "guest crashes": 5,
    "guest vanishes": 1,
    "guest appears": 1,
    "guest hangs": 2,
    "put back": 8,
    "put back alone": 4,
    "put back at a delete": 8,
    "put back to a build": 8,
    "put back to a start": 4,
    "put back to a refused build": 4,
    "put back before a refused build": 8,
    "store deleted": 3,
    "old builds come again": 4,
    "host dies": 1,
    "host is lost": 12,
    "start twice": 2,
    "view deleted": 2,
}
"""What goes wrong, and how often."""


WAITING: Final = frozenset(
    {
        "put back at a delete",
        "put back to a build",
        "put back to a start",
        "put back to a refused build",
        "put back before a refused build",
    }
)
"""These wait for something to happen, and begin early enough for that."""

NOTIFIER_TROUBLES: Final = {
    "kill": 3,
    "kill at a commit": 6,
    "pause": 2,
    "isolate": 2,
    "mute": 1,
    "disk": 1,
    "clock": 1,
}
"""The same with the notifier."""


POOL_TROUBLES: Final = {
    "kill": 4,
    "kill at a commit": 10,
    "pause": 2,
    "isolate": 3,
    "mute": 2,
    "disk": 2,
    "clock": 2,
    "put back": 4,
    "store deleted": 1,
    "pool fails": 6,
}
"""What goes wrong with pools of volumes."""


def sites(scale: Scale) -> list[str]:
    """The names of all sites of a cloud."""
    names = ["registrar", "image", "network", *(f"registrar-{shard}" for shard in range(1, scale.shards))]
    for role, count in (("scheduler", scale.schedulers), ("api", scale.apis), ("host", scale.hosts)):
        names += [f"{role}-{number}" for number in range(count)]
    return names


def planned(seed: int) -> Plan:
    """The plan of a seed."""
    random, small = Random(f"plan {seed}"), seed <= SMALL_SEEDS or (seed % LONG_EVERY > 0 and seed <= MIXED_SEEDS)
    scale = Scale(
        hosts=random.choice((2, 3, 4) if small else (2, 3, 4, 6)),
        schedulers=random.choice((1, 2, 2)),
        apis=random.choice((2, 2, 3)),
        host_ram_mib=random.choice((384, 640, 1024)),
        shards=1 if seed % SHARDED_EVERY else 2,
        pools=POOLS,
    )
    storm_s = random.choice((40.0, 60.0, 90.0) if small else (60.0, 300.0, 900.0, 1800.0, 1800.0))
    weather = Weather(
        lost=random.choice((0.02, 0.2, 0.35)),
        doubled=random.choice((0.25, 0.3, 0.35)),
        late=random.choice((0.2, 0.25, 0.3)),
        late_s_max=random.choice((0.05, 1.0, 8.0, 90.0)),
    )
    busy_s = storm_s * (1.0 if small else random.choice(BUSY))
    asks = tuple(
        Ask(random.uniform(0.0, storm_s), random.randrange(scale.projects), what, random.randrange(1 << 30))
        for what in random.choices(list(ASKS), list(ASKS.values()), k=random.randrange(20, 40 + int(busy_s)))
    )
    names, kinds = sites(scale), _kinds(random, few=seed // LONG_EVERY % FEW_EVERY == 1)
    troubles = tuple(
        _trouble(random, kind, names, storm_s)
        for kind in random.choices(list(kinds), list(kinds.values()), k=random.randrange(0, 10 + int(busy_s / 5)))
    )
    return Plan(
        seed,
        scale,
        storm_s,
        weather,
        tuple(sorted((*asks, *_of_volumes(seed, scale, storm_s)), key=lambda ask: ask.at_s)),
        tuple(sorted((*troubles, *_notifiers(seed, storm_s), *_pools(seed, storm_s)), key=lambda one: one.at_s)),
    )


def _notifiers(seed: int, storm_s: float) -> list[Trouble]:
    """What goes wrong with the notifier: drawn apart, so that nothing else depends on it."""
    random, names = Random(f"notifier {seed}"), list(NOTIFIER_TROUBLES)
    kinds = random.choices(names, list(NOTIFIER_TROUBLES.values()), k=random.randrange(0, 4 + int(storm_s / 60)))
    return [_trouble(random, kind, ["notifier"], storm_s) for kind in kinds]


def _of_volumes(seed: int, scale: Scale, storm_s: float) -> list[Ask]:
    """What is asked about volumes: drawn apart as well."""
    random, names = Random(f"volumes {seed}"), list(VOLUME_ASKS)
    kinds = random.choices(names, list(VOLUME_ASKS.values()), k=random.randrange(0, 50 + int(storm_s / 4)))
    return [
        Ask(random.uniform(0.0, storm_s), random.randrange(scale.projects), what, random.randrange(1 << 30))
        for what in kinds
    ]


def _pools(seed: int, storm_s: float) -> list[Trouble]:
    """What goes wrong with pools."""
    random, names = Random(f"pools {seed}"), list(POOL_TROUBLES)
    kinds = random.choices(names, list(POOL_TROUBLES.values()), k=random.randrange(0, 10 + int(storm_s / 15)))
    pools = [f"volume-{number}" for number in range(POOLS)]
    return [_trouble_of(random, kind, pools, storm_s) for kind in kinds]


def _trouble_of(random: Random, kind: str, names: list[str], storm_s: float) -> Trouble:
    """Something of the kinds that are no host's alone, with one of these sites."""
    at_s, for_s, amount = random.uniform(0.0, storm_s), random.choice((0.5, 3.0, 20.0, 90.0)), random.random()
    if kind == "clock":
        amount = random.choice((-3600.0, -60.0, -1.0, 1.0, 50.0, 3600.0)) * random.uniform(0.2, 1.0)
    return Trouble(at_s, kind, random.choice(names), random.choice(names), for_s, amount)


def _kinds(random: Random, *, few: bool) -> dict[str, float]:
    """The kinds of trouble of a run, and how often each comes; of few, the rare ones come nearly as often."""
    if not few:
        return dict(TROUBLES)
    return {kind: sqrt(TROUBLES[kind]) for kind in random.sample(list(TROUBLES), random.choice(FEW))}


def _trouble(random: Random, kind: str, names: list[str], storm_s: float) -> Trouble:
    until_s = storm_s / 2 if kind in WAITING else storm_s
    at_s, for_s, amount = random.uniform(0.0, until_s), random.choice((0.5, 3.0, 20.0, 90.0)), random.random()
    site, other = random.choice(names), random.choice(names)
    if kind in (
        "power cut",
        "driver fails",
        "driver hangs",
        "driver is slow",
        "guests are deaf",
        "put back",
        "put back alone",
        *WAITING,
        "registrar is deaf",
        "store deleted",
        "old builds come again",
        "image can't be fetched",
        "guest powers off",
        "guest crashes",
        "guest vanishes",
        "guest appears",
        "host dies",
        "host is lost",
        "guest hangs",
    ):
        site = random.choice([name for name in names if name.startswith("host")])
    elif kind in ("disk", "kill at a commit"):
        site = random.choice([name for name in names if not name.startswith(("scheduler", "api"))])
    elif kind == "view deleted":
        site = random.choice([name for name in names if name.startswith(("scheduler", "api"))])
    elif kind == "clock":
        amount = random.choice((-3600.0, -60.0, -1.0, 1.0, 50.0, 3600.0)) * random.uniform(0.2, 1.0)
    elif kind == "mute":
        for_s = random.choice((90.0, 400.0))
    if kind == "registrar is deaf":
        for_s = random.choice((90.0, 700.0))
    elif kind == "pause":
        for_s = random.choice((0.5, 5.0, 60.0, 240.0))
    return Trouble(at_s, kind, site, other, for_s, amount)

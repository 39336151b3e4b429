"""What people ask of a cloud in a story, and what they are shown."""

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby, pairwise
from typing import Final

from freehold.sim.settling import settle as settled
from freehold.sim.site import ApiSite, RegistrarSite, Site
from freehold.vocabulary.codec import decode
from freehold.vocabulary.guest import Power
from freehold.vocabulary.request import Admission
from freehold.vocabulary.units import unix_ms
from tests.scenarios.person import Person
from tests.scenarios.stage import Lines, Stage

WAIT_S: Final = 300.0
BUILT_S: Final = 2.0
POWERS: Final = {Power.RUNNING: "runs", Power.OFF: "is off", Power.CRASHED: "has crashed", Power.PAUSED: "stands still"}
PASSING: Final = re.compile(r"^(client|world|host-\d+: guest \S+ is (fetching|making|wiring|launching))|is building,")
"""What the log leaves out: the people's own calls, and states that only lead to others."""


async def open_cloud(stage: Stage, words: Lines) -> Lines:
    """A cloud of the size that `cloud_of` reads from the same words."""
    await stage.open(backed_up="backed-up" in words)
    return [f"{', '.join(stage.world.sites)} are up"]


async def create(stage: Stage, names: Lines) -> Lines:
    """One after the other, for the first project."""
    return [await _made(stage, stage.people[0], name) for name in names]


async def _made(stage: Stage, person: Person, name: str) -> str:
    """What is said of a guest that is asked for; it has its host when the next is asked for."""
    said = await person.make(name)
    await stage.world.people_wait(BUILT_S)
    return said


async def create_for(stage: Stage, names: Lines, project: str) -> Lines:
    """The same for a project that is named."""
    person = next(person for person in stage.people if person.project["name"] == project)
    return [await _made(stage, person, name) for name in names]


async def create_at_once(stage: Stage, names: Lines) -> Lines:
    """Nobody waits for the other's answer."""
    tasks = [stage.world.people.start(stage.people[0].make(name)) for name in names]
    return [await task for task in tasks]


async def delete(stage: Stage, names: Lines) -> Lines:
    """A delete that is promised is kept, however long it takes."""
    return [await person.end(known) for person, known in map(stage.owned, names)]


async def stop(stage: Stage, names: Lines) -> Lines:
    """Asks the guest's own system to power off."""
    return [await person.act(known, {"os-stop": None}) for person, known in map(stage.owned, names)]


async def start(stage: Stage, names: Lines) -> Lines:
    """Starts what is off."""
    return [await person.act(known, {"os-start": None}) for person, known in map(stage.owned, names)]


async def wait(stage: Stage, span_s: float) -> Lines:
    """Lets time pass."""
    await stage.world.people_wait(span_s)
    return []


async def wait_until(stage: Stage, names: Lines, wanted: str) -> Lines:
    """Until every API shows all of them so."""
    until = stage.world.loop.time() + WAIT_S
    while (shown := await _shown(stage, names)) != {wanted} and stage.world.loop.time() < until:
        await stage.world.people_wait(0.5)
    return [] if shown == {wanted} else [f"after {WAIT_S:g} s: {', '.join(sorted(shown))}"]


async def _shown(stage: Stage, names: Lines) -> set[str]:
    asked = [(person, known, api) for person, known in map(stage.owned, names) for api in stage.world.apis]
    return {await person.look(api, known) for person, known, api in asked}


# --- what there is ---------------------------------------------------------------------------------------------------


async def list_guests(stage: Stage) -> Lines:
    """What each API shows each project; APIs that show the same are named together."""
    return [line for person in stage.people for line in await _listed(stage, person)]


async def _listed(stage: Stage, person: Person) -> Lines:
    showing: dict[tuple[str, ...], Lines] = defaultdict(list)
    for api in stage.world.apis:
        showing[tuple(await person.listed(api)) or ("no guests",)].append(api.name)
        stage.pages[person.name, api.name] = person.last
    whose = f", {person.project['name']}" if len(stage.people) > 1 else ""
    return [line for shown, apis in showing.items() for line in (f"{' and '.join(apis)}{whose}:", *_indented(shown))]


def _indented(lines: tuple[str, ...]) -> Lines:
    return [f"  {line}" for line in lines]


async def list_again(stage: Stage) -> Lines:
    """The same, or only that not a byte of it is another than at the last list."""
    before = stage.pages.copy()
    lines = await list_guests(stage)
    return ["as before, byte for byte"] if before == stage.pages else lines


async def machines(stage: Stage) -> Lines:
    """What is on each machine, whatever anybody has on record."""
    return [
        f"{host.name}: {_in_order(f'{stage.named(guest)} {POWERS[held.power]}' for guest, held in host.guests.items())}"
        for host in stage.world.hosts
    ]


async def deeds(stage: Stage) -> Lines:
    """The guests that each of the registrar's shards has admitted, and the host that holds each one's deed."""
    return [
        f"{site.name}: {_in_order(stage.named(_held(admission)) for admission in _admissions(site))}"
        for site in stage.world.registrars
    ]


def _in_order(words: Iterable[str]) -> str:
    return "; ".join(sorted(words)) or "nothing"


def _held(admission: Admission) -> str:
    deed = admission.deed
    return f"{admission.guest} {admission.stage}" + (f" at {deed.host}, deed {deed.number}" if deed else "")


def _admissions(site: RegistrarSite) -> list[Admission]:
    assert site.store is not None
    return [decode(value, Admission) for kind, _, value in site.store.rows() if kind == "admission"]


async def order(stage: Stage, site: Site) -> Lines:
    """Whether the times of what a site has written follow its sequence, and how the newest stands to its wall clock."""
    assert site.store is not None
    entries = site.store.connection.execute("SELECT seq, time FROM log ORDER BY seq").fetchall()
    bad = [f"{two[0]} is timed before {one[0]}" for one, two in pairwise(entries) if two[1] <= one[1]]
    ahead_s = (unix_ms(entries[-1][1]) - site.clock.unix_ms()) / 1000
    clock = f"{ahead_s / 60:.0f} minutes ahead of" if ahead_s > 1 else "not ahead of"
    return bad or [f"what comes later in the sequence has the later time; the last is {clock} the wall clock there"]


async def reason(stage: Stage, name: str) -> Lines:
    """What the first API says of why a guest failed."""
    person, known = stage.owned(name)
    reply = await person.get(stage.world.apis[0], known)
    fault = reply.json["server"].get("fault")
    return [fault["message"] if fault else f"{name} has not failed"]


async def log(stage: Stage) -> Lines:
    """What has happened at each site since the log was last read; what is told twice running is shown once."""
    stage.look_at_epochs()
    told = [stage.named(line) for line in stage.told if not PASSING.search(line)]
    stage.told.clear()
    places = {name: place for place, name in enumerate(stage.world.sites)}
    told.sort(key=lambda line: places.get(line.partition(":")[0], len(places)))
    return [line for line, _ in groupby(told)] or ["nothing"]


async def log_of(stage: Stage, names: Lines) -> Lines:
    """The same, of some sites or guests only."""
    wanted = re.compile(rf"\b({'|'.join(names)})\b")
    return [line for line in await log(stage) if wanted.search(line)] or ["nothing"]


async def poll(stage: Stage, api: ApiSite) -> Lines:
    """What has changed since the poll before."""
    return await stage.people[0].poll(api)


async def polled(stage: Stage) -> Lines:
    """What somebody knows who only polls."""
    return [f"{name} {status}" for name, status in sorted(stage.people[0].polled.items()) if status != "DELETED"]


# --- the end ---------------------------------------------------------------------------------------------------------


async def heal(stage: Stage) -> Lines:
    """Nothing goes wrong any more."""
    stage.world.heal()
    return []


async def settle(stage: Stage) -> Lines:
    """All that the simulation checks when nothing goes wrong any more."""
    await settled(stage.world, list(stage.people))
    if stage.world.checkers.found:
        return []
    for person in stage.people:
        await person.remove_trial()
    return ["all has settled; no promise was broken; every view equals its owners, byte for byte"]

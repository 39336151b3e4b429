"""Readers of events while API processes are killed and started again: nothing is lost, nothing comes twice."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from freehold.api.cloud import Cloud
from freehold.api.server import application
from freehold.store.database import Store
from freehold.views import feed
from freehold.views.cloud import CloudView
from freehold.vocabulary.codec import OWNED_BY, decode
from freehold.vocabulary.envelope import Happened
from freehold.vocabulary.request import Admission
from tests.api.asgi import Client, Reply
from tests.reading import EVENTS, Reader
from tests.several import SERVERS, Person, Several, eventually, several, well

READERS = 50
PROJECTS = 3
GUESTS = 5
KILLS = 4
PLENTY = 1 << 30
CALLS: dict[Any, set["asyncio.Task[Reply]"]] = {}
"""Calls under way, by the process that serves them."""


class Persistent:
    """Reads one project's events for as long as it takes, at whichever API process answers."""

    def __init__(self, person: Person, number: int) -> None:
        self.person, self.number, self.tries = person, number, 0
        self.events: list[tuple[str, str]] = []
        """(id, type) in the order in which they came."""
        self.last = ""
        self.reader: Reader | None = None
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            client = self.person.api(self.number + self.tries)
            self.tries += 1
            self.reader = Reader(client.app)
            self.reader.open(EVENTS, client.headers | ({"last-event-id": self.last} if self.last else {}))
            assert self.reader.task is not None
            try:
                await asyncio.wait([self.reader.task])
            finally:
                self.reader.task.cancel()
                self._keep(self.reader)
            await asyncio.sleep(0.01)

    def _keep(self, reader: Reader) -> None:
        self.events += [(event["id"], event["type"]) for event in reader.events]
        reader.events.clear()
        self.last = reader.last or self.last

    def told(self) -> list[tuple[str, str]]:
        here = [] if self.reader is None else [(event["id"], event["type"]) for event in self.reader.events]
        return [pair for pair in [*self.events, *here] if pair[1] != "freehold.feed.cut"]

    def cut(self, app: object) -> None:
        """The connection to a process that is killed breaks off without a word."""
        if self.reader is not None and self.reader.app is app and self.reader.task is not None:
            self.reader.task.cancel()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def expected(stores: Iterable[Store], project: str, after: dict[str, int]) -> dict[str, tuple[str, int]]:
    """What the owners' own logs say happened in a project: the place of each event, by id."""
    admissions: dict[str, Admission] = {}
    found = {}
    for store in sorted(stores, key=lambda store: store.owner.role != "registrar"):
        kinds = tuple(kind for kind in feed.KINDS_TOLD if OWNED_BY[kind] == store.owner.role)
        if not kinds:
            continue
        first = after.get(store.id, 0)
        asked = Happened(epoch=store.epoch, after=0, until=store.position().seq, kinds=kinds, project=project)
        for one in store.history.happened(asked, PLENTY).found:
            if one.entry.kind == "admission":
                value = one.entry.value or one.before
                assert value is not None
                admissions[one.entry.key] = decode(value, Admission)
            event = feed.event_of(store.owner, store.epoch, one.entry, one.before)
            given = event is not None and feed.is_given(store.owner, event, admissions.get(event.guest))
            if event is not None and given and one.entry.seq > first:
                found[event.id] = (store.id, one.entry.seq)
    return found


async def killed_and_started(cloud: Several, number: int, readers: list[Persistent]) -> None:
    """kill -9 of an API process, and its start over the same view."""
    view, app = cloud.views[number], cloud.nobody.apis[number].app
    people = [*{id(reader.person): reader.person for reader in readers}.values(), cloud.nobody]
    for person in people:
        person.apis[number] = Client(_down, person.apis[number].headers)
    await view.follower.close()
    for reader in readers:
        reader.cut(app)
    for call in CALLS.pop(app, set()):
        call.cancel()
    view.abandon()
    view._file.close = lambda: None  # type: ignore[method-assign]  # what is killed isn't closed
    again = CloudView(cloud.means.bus, cloud.means.clock, cloud.folder / f"view-{number}", "boot")
    await again.open()
    cloud.stack.push_async_callback(again.close)
    cloud.views[number] = again
    means = cloud.means
    fresh = application(Cloud(means.bus, again, means.clock, means.chance, "http://cloud", shards=means.shards))
    for person in people:
        person.apis[number] = Client(fresh, person.apis[number].headers)


async def _down(scope: Scope, receive: Receive, send: Send) -> None:
    raise ConnectionError("nobody listens there")


async def lives(cloud: Several, person: Person, guests: int) -> None:
    """Guests that are made, stopped and deleted, through any API process."""
    for number in range(guests):
        body, key = cloud.server(f"g{number}"), {"idempotency-key": f"k{number}", "prefer": "wait=20"}
        guest = well(await insisted(person, number, "POST", SERVERS, body, key))["server"]["id"]
        await insisted(person, number + 1, "POST", f"{SERVERS}/{guest}/action", {"os-stop": None})
        if number % 2:
            await insisted(person, number, "DELETE", f"{SERVERS}/{guest}")


async def insisted(
    person: Person, number: int, method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None
) -> Reply:
    """Asks, at another process if one breaks or is killed under the call."""
    for tries in range(50):
        client = person.api(number + tries)
        call = asyncio.create_task(client.ask(method, path, body, headers))
        CALLS.setdefault(client.app, set()).add(call)
        await asyncio.wait([call])
        CALLS.get(client.app, set()).discard(call)
        if not call.cancelled() and call.exception() is None and call.result().status < 500:
            return call.result()
        await asyncio.sleep(0.05)
    raise AssertionError("nobody answers")


async def test_readers_lose_nothing_and_get_nothing_twice_when_api_processes_are_killed(tmp_path: Path) -> None:
    told = await read_through_kills(tmp_path, READERS, PROJECTS, GUESTS, KILLS)
    assert told["events"] > READERS * GUESTS * 5 and told["came_back"] > 0


async def read_through_kills(folder: Path, count: int, projects: int, guests: int, kills: int) -> dict[str, int]:
    """Many readers of some projects' events while API processes are killed by turns: figures, once all has been told.
    Raises AssertionError if an event is lost, comes twice, or out of its log's order.
    """
    async with AsyncExitStack() as stack, several(folder, apis=2) as cloud:
        people = [await cloud.newcomer(instances=500, cores=500) for _ in range(projects)]
        began = {store.id: store.position().seq for store in cloud.stores.values()}
        readers = [Persistent(people[number % projects], number) for number in range(count)]
        for reader in readers:
            stack.push_async_callback(reader.stop)
        await eventually(lambda: all_have_begun(readers), 120)
        work = [asyncio.create_task(lives(cloud, person, guests)) for person in people]
        for number in range(kills):
            await asyncio.sleep(0.3)  # not for a condition: a kill in the midst of it, wherever that is
            await killed_and_started(cloud, number % 2, readers)
        await asyncio.gather(*work)
        for person in people:
            await eventually(lambda: all_is_told(cloud, person, readers, began), 120)  # noqa: B023
        for reader in readers:
            in_order([key for key, _ in reader.told()], expected(cloud.stores.values(), reader.person.project, began))
        told = sum(len(reader.told()) for reader in readers)
        return {"readers": count, "kills": kills, "came_back": sum(r.tries - 1 for r in readers), "events": told}


async def all_have_begun(readers: list[Persistent]) -> bool:
    return all(reader.reader is not None and reader.reader.last for reader in readers)


async def all_is_told(cloud: Several, person: Person, readers: list[Persistent], began: dict[str, int]) -> bool:
    wanted = set(expected(cloud.stores.values(), person.project, began))
    return all(wanted <= {key for key, _ in reader.told()} for reader in readers if reader.person is person)


def in_order(ids: list[str], wanted: dict[str, tuple[str, int]]) -> None:
    """Holds the events that a reader was given against those that the owners' logs have."""
    assert len(ids) == len(set(ids)), "an event came twice"
    assert set(ids) == set(wanted), (
        f"lost: {sorted(wanted.keys() - set(ids))}, nobody's: {sorted(set(ids) - wanted.keys())}"
    )
    for store in {place[0] for place in wanted.values()}:
        order = [wanted[key][1] for key in ids if wanted[key][0] == store]
        assert order == sorted(order), "one log's events came in another order"

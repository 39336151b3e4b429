"""A notifier on a bench: a ledger and a host whose logs are written by hand, and receivers in memory."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.drivers.delivery.interface import Answered, Failed, Outcome, Outgoing
from freehold.drivers.delivery.simulated import SimulatedDelivery
from freehold.store.database import Store, drop, put
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.guest import GuestState
from freehold.vocabulary.notification import CreateFeed, CreateWebhook, Feed, FeedMade, Subscribe, Webhook, WebhookMade
from freehold.vocabulary.request import Stage
from freehold.vocabulary.secret import Secret
from freehold.workers.base import Desk, Means
from freehold.workers.notifier.worker import NotifierWorker
from freehold.workers.registrar import lifecycle as ledger_rules
from tests.owners import HandClock, a_build, a_guest, means_of, store_at, turns, until

URL = "https://hooks.example/a"
OTHER_URL = "https://hooks.example/b"
TOPIC = "https://cloud.example/freehold/v1/feeds/{}.atom?key={}"
HUB = "https://cloud.example/freehold/v1/hub"
TAKEN = Answered(200)


@dataclass
class Receiver:
    """Keeps what it is sent, and answers as `fates` say, then with 200; a challenge it sends back unless `refuses`."""

    fates: list[Outcome] = field(default_factory=list)
    always: Outcome = TAKEN
    got: list[Outgoing] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    """What it was asked by GET, by name."""
    confirms: bool = True

    async def __call__(self, outgoing: Outgoing) -> Outcome:
        if outgoing.method == "GET":
            query = {name: values[0] for name, values in parse_qs(urlsplit(outgoing.url).query).items()}
            self.asked.append(query)
            if self.fates:
                return self.fates.pop(0)
            return Answered(200, query.get("hub.challenge", "").encode()) if self.confirms else Answered(404)
        self.got.append(outgoing)
        return self.fates.pop(0) if self.fates else self.always

    def bodies(self) -> list[Any]:
        """What it was sent, as JSON."""
        return [json.loads(outgoing.body) for outgoing in self.got]

    def types(self) -> list[str]:
        """The types of what it was sent, without what they all begin with."""
        return [body["type"].removeprefix("freehold.") for body in self.bodies()]


@dataclass
class Bench:
    """See the module."""

    clock: HandClock
    means: Means
    ledger: Store
    host: Store
    path: Path
    stack: AsyncExitStack
    receivers: dict[str, Receiver]
    worker: NotifierWorker
    store: Store

    # --- what owners write -----------------------------------------------------------------------------------------

    async def admit(self, guest: str, project: str = "p", *, host: str = "") -> None:
        """The ledger has given a guest to the host."""
        build = replace(a_build(guest=guest), project=project, urn=f"urn:{guest}")
        deed = Deed(guest=guest, project=project, number=1, host=host or self.host.id, cluster="c", urn=build.urn)
        admission = replace(ledger_rules.admitted(build), deed=deed, stage=Stage.SCHEDULED)
        await self.ledger.commit([put(build.urn, ledger_rules.create_request(build)), put(guest, admission)], build.urn)

    async def run(self, guest: str, *states: GuestState, project: str = "p") -> None:
        """The host has a guest in each of these states, one after another."""
        for state in states:
            launched = None if state is GuestState.FETCHING_IMAGE else 1
            record = a_guest(guest, self.host.id, state=state, project=project, launched=launched)
            await self.host.commit([put(guest, record)], "test")

    async def drop_admission(self, guest: str) -> None:
        """The ledger knows no such guest any more."""
        await self.ledger.commit([drop("admission", guest)], "test")

    # --- asking ----------------------------------------------------------------------------------------------------

    async def ask(self, question: Any, answer: Any = Done) -> Any:
        """Asks the notifier."""
        return await talk.ask(self.means.bus, subjects.ASK_NOTIFIER, question, answer)

    async def hook(self, url: str = URL, project: str = "p", **fields: Any) -> WebhookMade:
        """A webhook, whose receiver is there."""
        self.receivers.setdefault(url, Receiver())
        webhook = Webhook(id="", project=project, user="u", url=url, **fields)
        made: WebhookMade = await self.ask(CreateWebhook(webhook=webhook), WebhookMade)
        return made

    async def feed(self, project: str = "p", about: str = "") -> FeedMade:
        """A feed."""
        made: FeedMade = await self.ask(CreateFeed(feed=Feed(id="", project=project, user="u", about=about)), FeedMade)
        return made

    async def subscribe(self, feed: FeedMade, callback: str = OTHER_URL, **fields: Any) -> str:
        """A subscriber's request, whose callback is there; gives the topic."""
        self.receivers.setdefault(callback, Receiver())
        topic = TOPIC.format(feed.done.key, feed.key.reveal())
        question = Subscribe(
            feed=feed.done.key, key=feed.key, topic=topic, hub=HUB, callback=Secret(callback), **fields
        )
        await self.ask(question)
        return topic

    # --- the process -----------------------------------------------------------------------------------------------

    async def idle(self) -> None:
        """Waits until the notifier has read all that was written, and nothing can be sent now."""
        await turns()
        written = [store.position() for store in (self.ledger, self.host)]
        await until(lambda: all(place in self.worker.follower.stands().values() for place in written))
        await until(lambda: not any(queue.under_way for queue in self.worker.queues.queues()))
        await turns()

    async def later(self, seconds: float = 2.0) -> None:
        """So much time passes, and what it brings is done."""
        self.clock.move(seconds)
        await self.idle()

    async def restart(self, *, killed: bool = False) -> None:
        """The process ends, and the next takes up its store."""
        if killed:
            await self.worker.follower.close()
            await self.worker.tasks.close()
            await self.worker._desk.close()
            for subscription in self.worker._subscriptions:
                await subscription.close()
        else:
            await self.worker.close()
        await self.store.close()
        self.store = await store_at(self.path / "notifier.db", self.means, "notifier")
        self.worker = NotifierWorker(self.means, self.store, delivery_to(self.clock, self.receivers))
        await self.worker.open()


def delivery_to(clock: HandClock, receivers: dict[str, Receiver]) -> SimulatedDelivery:
    return SimulatedDelivery(clock.sleep, receivers)  # type: ignore[arg-type]


@asynccontextmanager
async def benched(path: Path) -> AsyncIterator[Bench]:
    """A bench, whose ledger and host are heard."""
    async with AsyncExitStack() as stack:
        clock, receivers = HandClock(), dict[str, Receiver]()
        means = means_of(clock=clock)
        stores = {role: await store_at(path / f"{role}.db", means, role) for role in ("registrar", "host", "notifier")}
        for role in ("registrar", "host"):
            desk = Desk(means, stores[role], role)
            await desk.open()
            stack.push_async_callback(desk.close)
        worker = NotifierWorker(means, stores["notifier"], delivery_to(clock, receivers))
        await worker.open()
        ledger, host = stores["registrar"], stores["host"]
        bench = Bench(clock, means, ledger, host, path, stack, receivers, worker, stores["notifier"])
        await bench.idle()
        yield bench
        await bench.worker.close()
        for store in (ledger, host, bench.store):
            await store.close()


__all__ = ["HUB", "OTHER_URL", "TAKEN", "TOPIC", "URL", "Answered", "Bench", "Failed", "Receiver", "benched"]

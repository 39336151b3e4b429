"""The loop: questions and builds in, decisions staged, answers and builds out."""

from typing import Final

from freehold.bus import subjects, talk
from freehold.bus.interface import Subscription
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks, periodically
from freehold.store.database import Store
from freehold.views.follower import Follower
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.network import NetworkQuestion
from freehold.vocabulary.request import Build
from freehold.workers.base import Desk, Means
from freehold.workers.network.draft import MTU_OVERLAY, Draft
from freehold.workers.network.effects import Effects
from freehold.workers.network.gathering import Gathering
from freehold.workers.network.hosts import HostSink
from freehold.workers.network.lifecycle import Decision, Dropped, Granted, Standing, decide_build, still_stands
from freehold.workers.network.questions import decide_question
from freehold.workers.network.reconciler import Reconciler
from freehold.workers.network.records import Records

GROUP: Final = "network"
RECONCILE_PERIOD_S: Final = 300.0
NOWHERE_PERIOD_S: Final = 10.0
"""Between two questions about guests that no host has, where there are any."""
GUESTS_ASKED_MAX: Final = 1000

_log = logger("network")


class NetworkWorker:
    """Owner of a cluster's networks, subnets, ports, security groups and network quotas.

    `overlay_mtu`: the largest that a network of the cluster's own can have.
    """

    def __init__(self, means: Means, store: Store, overlay_mtu: int = MTU_OVERLAY) -> None:
        self._means = means
        self._overlay_mtu = overlay_mtu
        self._records = Records(store)
        self._desk = Desk(means, store, f"network {store.owner.cluster}")
        self._effects = Effects(means.bus, means.shards)
        self._reconciler = Reconciler(self._records, means.clock, means.chance.bytes)
        sink = HostSink(self._records, means.clock, means.chance.bytes)
        self.follower = Follower(means.bus, ("host",), sink, room="network", cluster=store.owner.cluster)
        self._gathering = Gathering(means, store.owner)
        self._subscriptions: list[Subscription] = []
        self._cluster = store.owner.cluster
        self.tasks = Tasks("network")
        self.tasks.watch(self._desk.tasks, self.follower.tasks, self._gathering.tasks)

    async def open(self) -> None:
        """Hears hosts, builds and questions, and checks the records."""
        await self._desk.open()
        await self.follower.open()
        await self._gathering.open()
        bus, cluster = self._means.bus, self._cluster
        asked = (subjects.ask_network(cluster), subjects.ask_network(cluster, cluster))
        sent = (subjects.build_network(cluster), subjects.build_network(cluster, cluster))
        self._subscriptions = [
            *[await self._desk.serve(one, NetworkQuestion, self._answer, GROUP) for one in asked],
            *[await talk.hear(bus, one, Build, self._take_build, GROUP) for one in sent],
        ]
        sleep, watched = self._means.clock.clock.sleep, self._desk.watchdog.watched
        look, look_nowhere = watched("reconcile", self._reconcile), watched("nowhere", self._reconcile_nowhere)
        self.tasks.start("reconcile", periodically(sleep, RECONCILE_PERIOD_S, look))
        self.tasks.start("nowhere", periodically(sleep, NOWHERE_PERIOD_S, look_nowhere))

    async def close(self) -> None:
        """Hears no more and keeps where it stands. The store is closed by whoever opened it."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self._gathering.close()
        await self.follower.close()
        await self.tasks.close()
        self._records.keep_positions()
        await self._records.durable()
        await self._desk.close()

    async def _answer(self, question: NetworkQuestion) -> Done:
        draft = self._draft()
        key = decide_question(draft, question)
        position = self._records.stage(draft.changes, type(question).__name__)
        await self._records.durable()
        return self._desk.done(position, key)

    async def _take_build(self, build: Build) -> None:
        draft = self._draft()
        decision = decide_build(draft, build)
        if draft.changes:
            self._records.stage(draft.changes, build.urn)
        # The next build is decided while this one lands: all that wait share one commit.
        self.tasks.start("build", self._carry_out(build, decision))

    async def _carry_out(self, build: Build, decision: Decision) -> None:
        await self._records.durable()
        if isinstance(decision, Granted) and not still_stands(self._records.holdings, decision):
            decision = Dropped(Standing.ENDED)
        await self._effects.carry_out(build, decision)

    async def _reconcile(self) -> None:
        self._reconciler.look()
        await self._records.durable()
        await self._ask_about_all(self._reconciler.guests())

    async def _reconcile_nowhere(self) -> None:
        await self._ask_about_all(self._reconciler.nowhere())

    async def _ask_about_all(self, guests: list[str]) -> None:
        for first in range(0, len(guests), GUESTS_ASKED_MAX):
            for shard in self._means.shards.all():
                await self._ask_about(shard, guests[first : first + GUESTS_ASKED_MAX])

    async def _ask_about(self, shard: int, guests: list[str]) -> None:
        """A host that was put back to an old copy may have forgotten what it told nobody here: the registrar knows."""
        try:
            intents = await self._effects.intents(shard, guests)
        except FreeholdError as error:
            _log.info("the registrar can't be asked about leases now", error=error.message)
            return
        self._reconciler.heed(intents)
        await self._records.durable()

    def _draft(self) -> Draft:
        now, dice = self._means.clock.now(), self._means.chance.bytes
        return Draft(self._records.holdings, now, dice, overlay_mtu=self._overlay_mtu)

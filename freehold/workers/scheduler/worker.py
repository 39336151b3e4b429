"""The scheduler's loop."""

from pathlib import Path
from typing import Final

from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.bus.interface import Subscription
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks, periodically
from freehold.views.columns import SPREAD, Weights
from freehold.views.fleet import Fleet
from freehold.views.follower import Follower
from freehold.views.pools import Pools
from freehold.vocabulary.choice import Explain, SchedulerQuestion
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Conflict, FreeholdError, NoAnswer, NotFound, Unavailable
from freehold.vocabulary.guest import ConsoleLog, ConsoleOutput, HostQuestion
from freehold.vocabulary.host import Fenced, HostOrder
from freehold.vocabulary.request import Build
from freehold.vocabulary.volume_request import ChoosePool, ChosenPool
from freehold.vocabulary.word import Word
from freehold.workers.base import Means
from freehold.workers.scheduler import effects
from freehold.workers.scheduler.lifecycle import Decision, Drop, PassOn, Place, Surrender, decide, explained, wanted

COMMAND_DEADLINE_S: Final = 8.0
"""How long a host may take to answer: less than whoever asked waits for us, so that it hears who didn't answer."""
FLEET_KNOWN_S: Final = 6.0
"""After its start: by then every host has been asked, and has beaten by itself."""
KEEP_PERIOD_S: Final = 1.0
"""What it learned in that time it asks for again after it was killed."""
PLACE_TRIES_MAX: Final = 10
"""For members of a server group, when another scheduler places others; then the registrar sends the build again."""

_log = logger("scheduler")


class SchedulerWorker:
    """See the package."""

    def __init__(self, means: Means, path: Path, boot: str, weights: Weights = SPREAD) -> None:
        self._means = means
        self.tasks = Tasks("scheduler")
        self.fleet = Fleet(means.clock, path, boot, means.chance, weights)
        self.follower = Follower(means.bus, ["host", "registrar"], self.fleet, "scheduler", heeds=self.fleet.heeds)
        self.pools = Pools(means.clock, means.chance)
        self._pool_follower = Follower(means.bus, ["volume"], self.pools, "scheduler.pools")
        self.tasks.watch(self.follower.tasks, self._pool_follower.tasks)
        self._subscriptions: list[Subscription] = []
        self._opened_s = 0.0

    async def open(self) -> None:
        """Starts to follow the fleet and to decide."""
        bus, self._opened_s = self._means.bus, self._means.clock.clock.monotonic_s()
        await self.follower.open()
        await self._pool_follower.open()
        self._subscriptions = [
            await talk.hear(bus, subjects.BUILD_SCHEDULER, Build, self._take, group="scheduler"),
            await talk.serve(bus, subjects.ASK_SCHEDULER, SchedulerQuestion, self._answer, group="scheduler"),
            await talk.serve(bus, subjects.ASK_POOLS, ChoosePool, self._choose_pool, group="scheduler"),
        ]
        self.tasks.start("keep", periodically(self._means.clock.clock.sleep, KEEP_PERIOD_S, self._keep))

    async def _keep(self) -> None:
        self.fleet.keep()

    async def close(self) -> None:
        """Stops; nothing is lost, for it owns nothing."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self._pool_follower.close()
        await self.follower.close()
        await self.tasks.close()
        self.fleet.close()

    async def _take(self, build: Build) -> None:
        await self._follow(build, decide(build, self.fleet, self._means.clock.now()))

    async def _follow(self, build: Build, decision: Decision, tries: int = 1) -> None:
        match decision:
            case Drop(why=why):
                _log.info("build dropped", guest=build.guest, why=why)
            case PassOn():
                await effects.pass_on(self._means, build)
            case Surrender() if self._is_new():
                _log.info("build dropped: not all hosts are known yet, and it comes again", guest=build.guest)
            case Surrender(fault=fault):
                await effects.give_up(self._means, build, fault)
            case Place():
                self.fleet.promise(build.guest, decision.deed.host, wanted(build))
                self.tasks.start("place", self._place(decision, tries))

    def _is_new(self) -> bool:
        """Whether it has come so lately that a host may not have said yet that it is there."""
        return self._means.clock.clock.monotonic_s() < self._opened_s + FLEET_KNOWN_S

    async def _place(self, place: Place, tries: int) -> None:
        try:
            deed = await effects.record_deed(self._means, place.deed)
        except Conflict as error:
            _log.info("no deed", guest=place.build.guest, why=error.message)
            self.fleet.give_back(place.build.guest)
            if error.names and tries < PLACE_TRIES_MAX:  # others of its group were placed meanwhile
                again = decide(place.build, self.fleet, self._means.clock.now(), error.names)
                await self._follow(place.build, again, tries + 1)
            return
        except FreeholdError as error:
            _log.info("no deed", guest=place.build.guest, why=error.message)
            self.fleet.give_back(place.build.guest)
            return
        if deed.host != place.deed.host:
            self.fleet.promise(place.build.guest, deed.host, wanted(place.build))
        await effects.pass_on(self._means, replace(place.build, deed=deed))

    async def _answer(self, question: SchedulerQuestion) -> Word:
        return explained(question.build, self.fleet) if isinstance(question, Explain) else await self._carry(question)

    async def _choose_pool(self, asked: ChoosePool) -> ChosenPool:
        if self._is_new():
            raise Unavailable("Not all pools of volumes are known yet. Ask again in a moment.")
        pool = self.pools.choose(asked)
        return ChosenPool(store=pool.id, cluster=pool.cluster)

    async def _carry(self, question: HostQuestion) -> Word:
        """Carries a command to the host of the guest's highest deed, or to the host that it is about."""
        if isinstance(question, HostOrder):
            return await self._carry_order(question)
        placed = self.fleet.placed(question.guest)
        if placed is None:
            raise NotFound(f"Instance {question.guest} could not be found on any host.")
        answer: type[Word] = ConsoleOutput if isinstance(question, ConsoleLog) else Done
        subject = subjects.ask_host(placed[0], self._means.beyond(placed[1]))
        try:
            return await talk.ask(self._means.bus, subject, question, answer, COMMAND_DEADLINE_S)
        except NoAnswer as error:
            raise NoAnswer(
                f"The host of instance {question.guest} doesn't answer. "
                "What was asked may still be done, if it arrived: look at the instance before you ask again."
            ) from error

    async def _carry_order(self, order: HostOrder) -> Word:
        if isinstance(order, Fenced):
            raise BadRequest("Only the registrar tells a host that it is fenced.")
        host = self.fleet.host(order.host)
        if host is None and self.fleet.is_retired(order.host):
            raise NotFound(f"There is no host {order.host}: it is retired.")
        if host is None:
            raise Unavailable(
                f"Host {order.host} hasn't been heard by the scheduler since it came up, or was let in. "
                "Ask again in a moment."
            )
        subject = subjects.ask_host(host.id, self._means.beyond(host.cluster))
        try:
            return await talk.ask(self._means.bus, subject, order, Done, COMMAND_DEADLINE_S)
        except NoAnswer as error:
            raise NoAnswer(
                f"Host {host.name} doesn't answer. What was asked may still be done, if it arrived."
            ) from error

"""The loop of a host: what comes in goes to the rules, then to the store, then to bus and effects. No rules here."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.bus.interface import Subscription
from freehold.drivers.fabric.interface import Fabric
from freehold.drivers.hypervisor.interface import Facts, Hypervisor
from freehold.drivers.imagefetch.interface import ImageCache
from freehold.drivers.volumereader.interface import VolumeReader
from freehold.runtime.chance import new_id
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks, periodically
from freehold.store.database import Store
from freehold.vocabulary.attachment import DiskQuestion
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import BadRequest, Conflict, FreeholdError, NotFound, Unavailable
from freehold.vocabulary.guest import (
    Command,
    ConsoleLog,
    ConsoleOutput,
    Delete,
    Guest,
    HostQuestion,
    Power,
    Reboot,
    Relabel,
    Start,
    Stop,
)
from freehold.vocabulary.host import Capacity, Discard, Drain, Fenced, Host, Retire, Undrain
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.network import Carriage
from freehold.vocabulary.request import Build
from freehold.vocabulary.word import Word
from freehold.workers.base import Desk, Means
from freehold.workers.host.actors import Actors
from freehold.workers.host.begun import Begun
from freehold.workers.host.claims import Claimed, Dropped, Known, Refused, claim, was_sent_before
from freehold.workers.host.clearance import Clearance
from freehold.workers.host.deadlines import TimelyFabric, TimelyHypervisor
from freehold.workers.host.disk_questions import DiskQuestions
from freehold.workers.host.effects import Effects
from freehold.workers.host.filters import Filters
from freehold.workers.host.local_door import LocalDoor
from freehold.workers.host.messages import (
    CommandAsked,
    Job,
    PowerSeen,
    RebootAsked,
    RelabelAsked,
    StartAsked,
    StopAsked,
)
from freehold.workers.host.metadata import MetadataService
from freehold.workers.host.patience import within
from freehold.workers.host.plugging import Plugging
from freehold.workers.host.port_view import ClusterReader
from freehold.workers.host.reconciler import PERIOD_S, Reconciler
from freehold.workers.host.records import Records
from freehold.workers.host.removals import Removals
from freehold.workers.host.standing import ordered
from freehold.workers.host.taking_up import TakingUp

CONSOLE_BYTES_MAX: Final = 100 * 1024
CLEARANCE_WAIT_S: Final = 3.0
"""How long a command that starts a guest waits for the registrar's word, before it is refused for now."""

VCPUS_PER_CPU: Final = 8
"""Virtual CPUs that are given for each of the machine's: most guests idle. Memory and disk are given once."""

_log = logger("host")

RUNS: Final = frozenset({Power.RUNNING, Power.PAUSED})

_ASKED: Final[dict[type[Command], Callable[..., CommandAsked]]] = {
    Start: StartAsked,
    Stop: StopAsked,
    Reboot: RebootAsked,
    Relabel: RelabelAsked,
}


class HostWorker:
    """Owner of the guests of one machine. The drivers are its alone; who made them closes them. `reader`: what many
    hosts of a process read together, opened and closed by who made it. `traits`: what its operator says of the machine.
    """

    def __init__(
        self,
        means: Means,
        store: Store,
        name: str,
        hypervisor: Hypervisor,
        fabric: Fabric,
        images: ImageCache,
        launches_max: int = 2,
        reader: ClusterReader | None = None,
        traits: tuple[str, ...] = (),
        volumes: VolumeReader | None = None,
    ) -> None:
        self._means, self._store, self._name, self._traits = means, store, name, traits
        hypervisor, fabric = TimelyHypervisor(hypervisor), TimelyFabric(fabric)
        self._hypervisor, self._fabric = hypervisor, fabric
        self.tasks = Tasks("host")
        clock = means.clock
        self._records = records = Records(store, clock)
        self._reads_alone = reader is None
        self.reader = reader or ClusterReader(means.bus, store.owner.cluster, means.clock.clock)
        self._filters = Filters(store.id, fabric, self.reader.view, clock.clock)
        self._plugging = plugging = Plugging(means, records, hypervisor, volumes, self.tasks)
        effects = Effects(
            hypervisor, fabric, images, self._filters, records.job, clock.clock, means.chance, launches_max, plugging
        )
        self._taking_up = TakingUp(records, hypervisor, fabric, self._filters, clock.clock, means.chance)
        self._begun = Begun(records, self.reader.view)
        self._actors = Actors(records, effects, hypervisor, clock, self.tasks, self._begun, means.shards)
        plugging.take, self._actors.moved = self._actors.take, plugging.wake
        self._disk_questions = DiskQuestions(records, self._actors, plugging, self._done)
        self._reconciler = reconciler = Reconciler(records, hypervisor, fabric, images, clock, self._actors.knows_room)
        self._clearance = Clearance(self._means, self._records, self._actors, lambda: reconciler.strange)
        self._removals = Removals(records, self._actors, self._clearance, hypervisor, clock)
        self._desk = Desk(means, store, name)
        self.tasks.watch(self._desk.tasks, self.reader.tasks)
        self.local = LocalDoor(name, records, self._actors, hypervisor, clock.clock, self._console, self._stand)
        self._subscriptions: list[Subscription] = []

    # --- opening and closing -------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Finds out what the machine can do, goes on with what an earlier process began, and begins to listen.

        Raises Broken if guests can't be run here.
        """
        facts = await self._hypervisor.probe()
        await self._keep_host(facts, await self._fabric.probe())
        self._begun.begin()
        await self._taking_up.take_up()
        await self._fabric.serve_metadata(MetadataService(self._job_of_port))
        await self._desk.open()
        if self._reads_alone:
            await self.reader.open()
        await self._listen()
        self.tasks.start("news", self._hear_news())
        self.tasks.start("filters", self._filters.follow())
        self.tasks.start("clearance", self._clearance.get(facts.boot))
        self.tasks.start("begun", self._actors.see_to_begun())
        look = self._desk.watchdog.watched("reconcile", self._reconcile)
        self.tasks.start("reconcile", periodically(self._means.clock.clock.sleep, PERIOD_S, look))
        self._plugging.begin()

    @property
    def cleared(self) -> bool:
        """Whether every shard of the registrar has been heard since this process began, so that guests may be started
        and taken.
        """
        return all(gate.cleared.is_set() for gate in self._actors.gates)

    async def close(self) -> None:
        """Stops listening and deciding. Guests run on; what is in progress goes on with the next process."""
        for subscription in self._subscriptions:
            await subscription.close()
        if self._reads_alone:
            await self.reader.close()
        self._filters.close()
        await self.tasks.close()
        await self._desk.close()

    async def _keep_host(self, facts: Facts, carriage: Carriage) -> None:
        known = self._records.known_host()
        incarnation = new_id(self._means.chance)
        traits = tuple(sorted({*facts.traits, *self._traits}))
        found = _host(self._store, self._name, facts, known)
        host = replace(found, carriage=carriage, incarnation=incarnation, traits=traits)
        for shard, gate in enumerate(self._actors.gates):
            gate.machine_restarted = host.boot != facts.boot != self._records.resumed(shard)
        if host.retired:
            _log.warning("this host is retired: it takes no guests any more, and nobody heeds it", host=self._name)
        self._records.keep_host(host, "host started")
        await self._store.durable()

    async def _listen(self) -> None:
        bus, store = self._means.bus, self._store
        asked = (subjects.ask_host(store.id), subjects.ask_host(store.id, store.owner.cluster))
        self._subscriptions = [
            *[await self._desk.serve(one, HostQuestion, self._answer, group="host") for one in asked],
            await self._desk.serve(subjects.ask_disk(store.id), DiskQuestion, self._disk_questions.answer, "host"),
            await talk.hear(bus, subjects.build_host(store.id), Build, self._take_build, group="host"),
        ]

    def _job_of_port(self, port: str) -> Job | None:
        guest = self._records.guest_of_port(port)
        return None if guest is None else self._records.job(guest.id)

    # --- what comes in -------------------------------------------------------------------------------------------

    async def _take_build(self, build: Build) -> None:
        """The refusal or the guest's record is the answer: it is told when it is on disk."""
        if reason := self._takes_it_later(build):
            _log.info("build not taken yet: it comes again", guest=build.guest, urn=build.urn, reason=reason)
            return
        here = await self._what_is_here(build)
        if here is None:
            return
        power, left = here
        held, refusal = self._records.guest(build.guest), self._records.refusal(build.guest)
        outdated, now = self._actors.is_outdated(build.guest), self._means.clock.now()
        match claim(self._records.host(), held, refusal, build, now, power, left=left, outdated=outdated):
            case Claimed(guest=guest, secret=secret, action=action):
                kept = self._records.secret(guest.id) if build.restore else secret
                self._records.keep_claim(guest, kept, action)
                self._actors.is_back(guest.id, guest.project)
                self._actors.wake(guest.id)
                if power is not Power.ABSENT or build.restore:
                    self.tasks.start("ports of a restored guest", self._taking_up.take_up_ports(guest))
            case Refused(refusal=refused):
                _log.info("build refused", guest=build.guest, reason=refused.fault.message)
                self._records.keep_refusal(refused)
                self._actors.is_back(refused.guest, refused.project)
            case Known(message=message, secret=fresh, missed=missed):
                if fresh is not None:
                    self._records.keep_secret(build.guest, fresh)
                if missed:
                    self._records.keep_as_it_is(build.guest, build.urn)
                if message is not None:
                    self._actors.take(build.guest, message, build.urn)
            case Dropped(reason=reason, wrong=wrong):
                log = _log.warning if wrong else _log.debug
                log("build dropped", guest=build.guest, urn=build.urn, reason=reason)

    async def _what_is_here(self, build: Build) -> tuple[Power, bool] | None:
        """What there is of a build's guest on this machine, and whether it is from before the guest had left; None if
        the build isn't to be looked at.
        """
        if not is_uuid(build.guest) or not self._is_news(build):
            return Power.ABSENT, False
        intent = await self._clearance.wanted(build)
        if intent is None:
            return None
        power = await self._hypervisor.power(build.guest)
        if intent.left and power in (Power.RUNNING, Power.PAUSED) and not build.restore:
            # When it is refused the guest may be built elsewhere: its copy here is stopped before that.
            self._actors.stop_stranger(build.guest)
            return None
        return power, intent.left

    def _takes_it_later(self, build: Build) -> str:
        """Why this build isn't looked at, and one of the same guest that comes later is; empty if it is."""
        if was_sent_before(self._records.host(), build):
            return "it was sent before this start"
        if build.restore or self._actors.knows_room() or self._actors.is_surely_lost(build.guest):
            return ""
        return "only who knows what is here knows what room there is"

    def _is_news(self, build: Build) -> bool:
        """Whether it may be taken, and there is no record of its guest. What else there is of that isn't known then: a
        refusal may be of a time before the guest came, or of a build that was kept away from what is here.
        """
        refusal, number = self._records.refusal(build.guest), 0 if build.deed is None else build.deed.number
        refused = refusal is not None and (refusal.deleted or number <= refusal.deed)
        is_away = self._records.guest(build.guest) is None or self._actors.is_outdated(build.guest)
        return is_away and not refused

    async def _answer(self, question: HostQuestion) -> Word:
        match question:
            case ConsoleLog():
                return await self._console(question)
            case Delete(unless_run=True):
                return await self._done(question.guest, await self._removals.withdraw(question))
            case Delete():
                return await self._done(question.guest, await self._removals.delete(question))
            case Start() | Stop() | Reboot() | Relabel():
                return await self._command(question)
            case Drain() | Undrain():
                return self._desk.done(await self._stand(question), self._store.id)
            case Retire():
                return await self._retire(question)
            case Fenced(shard=shard):
                return self._fenced(shard)
            case Discard(guest=guest):
                return await self._done(guest, await self._removals.discard(question))

    async def _command(self, command: Start | Stop | Reboot | Relabel) -> Done:
        if isinstance(command, Start | Reboot):
            await self._wait_for_clearance(command)
        guest = self._owned(command.guest, command.project)
        if self._records.action(guest.id, command.urn) is not None:
            return await self._done(guest.id)  # asked again: it was taken the first time
        return await self._done(guest.id, self._actors.take(guest.id, _ASKED[type(command)](command), command.urn))

    async def _done(self, guest: str, position: Position | None = None) -> Done:
        await self._store.durable(position)
        return self._desk.done(position or self._store.position(), guest)

    def _fenced(self, shard: int) -> Done:
        if not 0 <= shard < len(self._actors.gates):
            raise BadRequest(f"This host knows no registrar shard {shard}.")
        if self._clearance.fenced(shard):
            self.tasks.start("clearance", self._clearance.get_again(shard))
        return self._desk.done(self._store.position(), self._store.id)

    async def _console(self, question: ConsoleLog) -> ConsoleOutput:
        guest = self._owned(question.guest, question.project)
        raw = await self._hypervisor.console_log(guest.id, CONSOLE_BYTES_MAX)
        return ConsoleOutput(text=_last_lines(raw.decode("utf-8", "replace"), question.lines))

    def _owned(self, guest: str, project: str) -> Guest:
        held = self._records.guest(guest)
        if held is None or project not in ("", held.project):
            raise NotFound(f"There is no guest {guest}.")
        return held

    async def _stand(self, order: Drain | Undrain | Retire) -> Position:
        """Does what the operator has ordered of the host itself; it is on disk then."""
        host, now = self._records.host(), self._means.clock.now()
        after = ordered(host, order, len(self._records.guests()), now)
        if after != host:
            _log.warning("the host was told", order=type(order).__name__, user=order.user, reason=after.disabled_reason)
            self._records.keep_host(after, order.urn)
        await self._store.durable()
        return self._store.position()

    async def _retire(self, order: Retire) -> Done:
        """Its last word: whoever reads it lets go of this host, and no build is taken any more."""
        if not self._actors.knows_room():
            raise Unavailable(
                f"Host {self._name} can't be sure yet that it knows all of its guests: it waits for the registrar. "
                "Try again."
            )
        powers = await self._hypervisor.guests()
        unknown = [guest for guest in powers if self._records.guest(guest) is None and powers[guest] in RUNS]
        if unknown:
            raise Conflict(f"Host {self._name} runs {len(unknown)} guests that it has no record of. Look at its log.")
        return self._desk.done(await self._stand(order), self._store.id)

    async def _wait_for_clearance(self, command: Start | Reboot) -> None:
        """Waits for the registrar's word, for `CLEARANCE_WAIT_S` at most. Raises Unavailable."""
        cleared = self._actors.gate(self._owned(command.guest, command.project).project).cleared
        if cleared.is_set() or await within(self._means.clock.clock, CLEARANCE_WAIT_S, cleared.wait()):
            return
        if self._actors.gate(self._owned(command.guest, command.project).project).fenced:
            raise Unavailable(f"Host {self._name} is fenced, and starts no guest until its operator lets it in again.")
        raise Unavailable(
            f"Host {self._name} has just started, and starts no guest before the registrar has been heard. Try again."
        )

    # --- the world -----------------------------------------------------------------------------------------------

    async def _hear_news(self) -> None:
        async for news in self._hypervisor.news():
            try:
                await self._actors.look_at_power(news.guest)
            except FreeholdError as error:
                _log.warning("a guest's power can't be asked for", guest=news.guest, error=error.message)

    async def _reconcile(self) -> None:
        try:
            findings = await self._reconciler.look()
        except FreeholdError as error:
            _log.error("the machine can't be looked at; trying again", error=error.message)
            return
        for guest, message in findings.messages:
            if isinstance(message, PowerSeen):
                self._actors.take_power(guest, message)
            else:
                self._actors.take(guest, message)
        for guest in findings.resume:
            self._actors.wake(guest)
        for held in self._records.guests():
            self._actors.keep_deadline(held)
        for guest in findings.leftovers:
            self._actors.remove_leftovers(guest)


def _host(store: Store, name: str, facts: Facts, known: Host | None) -> Host:
    """The host's record as the machine is now. The boot id stays the old one until the guests have been seen to."""
    return Host(
        id=store.id,
        name=name,
        cluster=store.owner.cluster,
        total=Capacity(vcpus=facts.vcpus * VCPUS_PER_CPU, ram_mib=facts.ram_mib, disk_gib=facts.disk_gib),
        hypervisor=facts.driver,
        accelerator=facts.accelerator,
        accelerator_reason=facts.reason,
        version=facts.version,
        architecture=facts.architecture,
        enabled=known.enabled if known else True,
        disabled_reason=known.disabled_reason if known else "",
        retired=known.retired if known else 0,
        boot=known.boot if known and known.boot else facts.boot,
    )


def _last_lines(text: str, lines: int | None) -> str:
    if lines is None or lines < 0:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""

"""Each guest's turn: a message is decided and staged at once; the effects that follow run one after another.

An effect begins when the record that asks for it is on disk; what prepares a guest that has never run needs only the
claim there, for it can be done again from the beginning. While it runs, other messages are decided as they come;
what it then answers counts only if the record still asks for it. Only fetching an image is given up in the middle: it
may take long, and leaves nothing behind.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from freehold.drivers.hypervisor.interface import Hypervisor
from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.guest import Guest, GuestState, Power
from freehold.vocabulary.shards import ONE_SHARD, Shards
from freehold.vocabulary.units import unix_ms
from freehold.workers.host.begun import NEVER_RAN, Begun
from freehold.workers.host.effects import Effects
from freehold.workers.host.lifecycle import Decision, decide, effect_of
from freehold.workers.host.messages import (
    GIVEN_BACK,
    ROOM_TAKEN,
    BuildEnded,
    DeadlinePassed,
    Effect,
    EffectDone,
    EffectFailed,
    MachineRestarted,
    Message,
    PowerSeen,
)
from freehold.workers.host.records import Records

_LOOKS_MAX: Final = 3
"""How often a guest's power is asked for again because its record changed meanwhile. The reconciler comes anyway."""

_PREPARES: Final = frozenset({Effect.MAKE_DISK, Effect.WIRE})
"""What follows in a build on the first effect, which waits for the claim. Nobody is told of the steps one by one."""

_ON: Final = frozenset({GuestState.RUNNING, GuestState.PAUSED})

_log = logger("host")


class Gate:
    """What holds back the guests of one registrar shard."""

    def __init__(self) -> None:
        self.cleared = asyncio.Event()
        """Set when the shard has said what was decided about its guests here: only then are they started."""
        self.fenced = False
        """The shard fences this host: it is cleared when it has been let in, and has asked anew since."""
        self.machine_restarted = False
        """The machine has restarted, and its guests that ran haven't been told: their power means nothing yet."""
        self.lost: dict[str, bool] = {}
        """Its guests that are here and have no record yet: their room is taken, though it can't be counted. False: it
        can't be seen whether they are.
        """


class Actors:
    """The guests of a host, each with its own turn. `tasks` ends them all, and breaks when the store does."""

    def __init__(
        self,
        records: Records,
        effects: Effects,
        hypervisor: Hypervisor,
        clock: HybridClock,
        tasks: Tasks,
        begun: Begun,
        shards: Shards = ONE_SHARD,
    ) -> None:
        self._records, self._effects, self._hypervisor = records, effects, hypervisor
        self._begun = begun
        self._clock, self._tasks = clock, tasks
        self._turns: set[str] = set()
        self._deadlines: dict[str, int] = {}
        """The deadline that is waited for, by guest."""
        self._fetching: dict[str, asyncio.Future[None]] = {}
        self._shards = shards
        self.gates = [Gate() for _ in shards.all()]
        """By shard."""
        self._let: set[str] = set()
        """Guests that the machine's operator has started before the registrar was heard."""
        self._faced: set[str] = set()
        """Guests whose power means something again, though the machine has restarted."""
        self._outdated: set[str] = set()
        """Guests that have run here, by the registrar's word, and of which the record is from before that: nothing is
        done by it, but to delete them, until the registrar has had them restored.
        """
        self._waiting: list[asyncio.Future[None]] = []
        self.moved: Callable[[Guest], None] = lambda guest: None
        """Told of each record that has changed."""
        self._room_news = asyncio.Event()
        """It may be known now what room there is."""

    def gate(self, project: str) -> Gate:
        """What holds back the guests of a project."""
        return self.gates[self._shards.of(project)]

    def knows_room(self) -> bool:
        """Whether every shard has said what is here, and its record is: only then is it known what room there is."""
        return all(gate.cleared.is_set() and not gate.lost for gate in self.gates)

    def set_lost(self, shard: int, lost: dict[str, bool]) -> None:
        """The guests of a shard that are here and have no record yet; see `Gate.lost`."""
        self.gates[shard].lost = lost
        self._room_news.set()

    def is_back(self, guest: str, project: str) -> None:
        """A guest is lost no more: there is a record of it, or it is refused."""
        self.gate(project).lost.pop(guest, None)
        self._outdated.discard(guest)
        self._room_news.set()

    def set_outdated(self, guest: str) -> None:
        """A guest's record is older than what has run."""
        self._outdated.add(guest)

    def is_outdated(self, guest: str) -> bool:
        """Whether a guest's record is older than what has run."""
        held = self._records.guest(guest) if guest in self._outdated else None
        return held is not None and held.launched is None and held.state in NEVER_RAN

    def is_lost(self, guest: str) -> bool:
        """Whether a guest may be here, and has no record yet."""
        return any(guest in gate.lost for gate in self.gates)

    def is_surely_lost(self, guest: str) -> bool:
        """Whether a guest is here and has no record yet."""
        return any(gate.lost.get(guest, False) for gate in self.gates)

    def take(self, guest: str, message: Message, cause: str = "") -> Position | None:
        """Decides and stages; None if nothing changes. Raises Conflict for a command that the state doesn't allow."""
        before = self._records.guest(guest)
        if before is None:
            return None
        decision = decide(before, message, self._clock.now())
        if decision.ignored:
            _log.debug("message ignored", guest=guest, message=type(message).__name__, reason=decision.ignored)
            return None
        position = self._records.keep_decision(before, decision, cause or before.working_for or "reconcile")
        self._follow(before, decision)
        return position

    def _follow(self, before: Guest, decision: Decision) -> None:
        after = decision.guest
        _log.info("guest moved", guest=before.id, was=before.state, now=after.state if after else "gone")
        self._tell_of_move()
        if before.state is GuestState.FETCHING_IMAGE and (after is None or after.state is not before.state):
            given_up = self._fetching.pop(before.id, None)
            if given_up is not None and not given_up.done():
                given_up.set_result(None)
        if after is None:
            return
        self.keep_deadline(after)
        self.moved(after)
        self.wake(after.id)

    def wake(self, guest: str) -> None:
        """Lets the guest's effect run, if its record asks for one and none runs."""
        held = self._records.guest(guest)
        if held is not None and effect_of(held) is not None:
            self._begin(guest, self._run(guest))

    def remove_leftovers(self, guest: str) -> None:
        """Removes files of a guest that was ended here, unless it has a record again."""
        self._begin(guest, self._remove_leftovers(guest))

    def stop_stranger(self, guest: str) -> None:
        """Stops what runs of a guest that isn't this host's, unless it has a record again."""
        self._begin(guest, self._stop_stranger(guest))

    def _begin(self, guest: str, turn: Coroutine[Any, Any, None]) -> None:
        if guest in self._turns:
            turn.close()  # the turn that runs looks at the record again before it ends
            return
        self._turns.add(guest)
        self._tasks.start("guest", turn)

    async def _run(self, guest: str) -> None:
        try:
            while await self._step(guest):
                pass
        finally:
            self._turns.discard(guest)

    async def _step(self, guest: str) -> bool:
        """Performs the one effect that the record asks for. False if there is none, or it waits for something else."""
        held = self._records.guest(guest)
        effect = None if held is None else effect_of(held)
        if held is None or effect is None or not self._may_begin(held, effect):
            return False
        if effect not in _PREPARES or held.launched is not None:
            await self._records.store.durable()
        answer = await self._performed(effect, guest)
        if answer is not None:
            self.take(guest, answer)
        after = self._records.guest(guest)
        return after is None or after.state is not held.state

    def _may_begin(self, guest: Guest, effect: Effect) -> bool:
        """No guest is wired or started, and none is taken apart as never having run, before the registrar was heard,
        and none is wired that may have been refused since it was begun: by an old copy of this disk, another's address
        would be on this machine.
        """
        if self.is_outdated(guest.id):
            return False
        wires = effect in (Effect.WIRE, Effect.LAUNCH)
        if not (wires or guest.state is GuestState.REFUSING) or guest.id in self._let:
            return True
        return self.gate(guest.project).cleared.is_set() and (not wires or self._begun.may_finish(guest))

    async def _performed(self, effect: Effect, guest: str) -> EffectDone | EffectFailed | None:
        work: asyncio.Task[EffectDone | EffectFailed] = self._tasks.start(effect, self._effects.perform(effect, guest))
        if effect is not Effect.FETCH_IMAGE:
            return await work
        given_up = self._fetching[guest] = asyncio.get_running_loop().create_future()
        await asyncio.wait({work, given_up}, return_when=asyncio.FIRST_COMPLETED)
        self._fetching.pop(guest, None)
        if given_up.done():
            work.cancel()
            return None
        return work.result()

    async def _remove_leftovers(self, guest: str) -> None:
        await self._unrecorded(guest, self._effects.remove_leftovers)

    async def _stop_stranger(self, guest: str) -> None:
        await self._unrecorded(guest, self._effects.stop_stranger)

    async def _unrecorded(self, guest: str, effect: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        try:
            if self._records.guest(guest) is None:
                await effect(guest)
        finally:
            self._turns.discard(guest)
            self.wake(guest)

    def keep_deadline(self, guest: Guest) -> None:
        """Lets the guest know when its deadline has passed, if it has one that isn't waited for yet.

        The wait is counted on the clock that can't jump. What is left of it after a restart is never more than it was.
        """
        if guest.deadline is None or self._deadlines.get(guest.id) == guest.deadline:
            return
        self._deadlines[guest.id] = guest.deadline
        given_ms = unix_ms(guest.deadline) - unix_ms(guest.updated)
        left_ms = unix_ms(guest.deadline) - unix_ms(self._clock.now())
        self._tasks.start("deadline", self._wait(guest.id, guest.deadline, max(0, min(given_ms, left_ms)) / 1000))

    async def _wait(self, guest: str, deadline: int, seconds: float) -> None:
        if seconds > 0:
            await self._clock.clock.sleep(seconds)
        if self._deadlines.get(guest) == deadline:
            del self._deadlines[guest]
        self.take(guest, DeadlinePassed(deadline))

    # --- power ---------------------------------------------------------------------------------------------------

    def take_power(self, guest: str, seen: PowerSeen) -> None:
        """Takes what the hypervisor said of a guest's power."""
        held = self._records.guest(guest)
        on = held is not None and held.state in _ON
        if seen.power in (Power.RUNNING, Power.PAUSED):
            self._faced.add(guest)  # it was started since the machine was
        restarted = held is not None and self.gate(held.project).machine_restarted
        if not (on and restarted and guest not in self._faced):
            self.take(guest, seen)

    async def look_at_power(self, guest: str) -> None:
        """Asks for the power of one guest: news only wakes, what counts is what is. Raises FreeholdError."""
        for _ in range(_LOOKS_MAX):
            before = self._records.guest(guest)
            if before is None:
                return
            power = await self._hypervisor.power(guest)
            after = self._records.guest(guest)
            if after is not None and after.updated == before.updated:
                self.take_power(guest, PowerSeen(power, since=before.updated))
                return

    async def is_here(self, guest: str) -> bool | None:
        """Whether there is anything of a guest on this machine; None if it can't be known."""
        try:
            return await self._hypervisor.power(guest) is not Power.ABSENT
        except FreeholdError as error:
            _log.warning("a guest's power can't be asked for", guest=guest, error=error.message)
            return None

    async def face_restart(self, guest: str) -> bool:
        """Has the record of a guest that ran before the machine restarted say what has become of it.

        For those who won't wait for the registrar. False if there was nothing to say. Raises FreeholdError if the
        guest's power can't be asked for.
        """
        held = self._records.guest(guest)
        if held is None or not self.gate(held.project).machine_restarted or held.state not in _ON:
            return False
        self._faced.add(guest)
        await self.look_at_power(guest)
        held = self._records.guest(guest)
        return held is not None and held.state not in _ON

    async def see_to_begun(self) -> None:
        """Goes on with the guests that an earlier process was making, or refuses those that can't be finished here."""
        for guest in await self._begun.given_back():
            if not self.is_outdated(guest):
                _log.error("a guest's ports were given back, and this disk was put back to before that", guest=guest)
                self.take(guest, BuildEnded(GIVEN_BACK))
        while not self.knows_room():
            self._room_news.clear()
            await self._room_news.wait()
        for guest in self._begun.without_room():
            if not self.is_outdated(guest):
                _log.error("a guest's room was given to others, and this disk was put back to before that", guest=guest)
                self.take(guest, BuildEnded(ROOM_TAKEN))
        self._begun.settle()
        for held in self._records.guests():
            self.wake(held.id)

    async def resume(self, guest: str) -> None:
        """Runs a guest again that ran before the machine restarted, unless somebody has done that already."""
        try:
            power = await self._hypervisor.power(guest)
        except FreeholdError as error:
            _log.warning("a guest's power can't be asked for", guest=guest, error=error.message)
            power = Power.ABSENT  # launching one that runs leaves it as it is
        held = self._records.guest(guest)
        if held is not None and held.state in _ON and power not in (Power.RUNNING, Power.PAUSED):
            self.take(guest, MachineRestarted(), "machine restarted")

    # --- for those who look on, and for the machine's operator ---------------------------------------------------

    async def next_move(self) -> None:
        """Waits until some guest's record has changed."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _tell_of_move(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def let(self, guest: str) -> None:
        """This guest may be started, whatever the registrar would say. For the machine's operator alone."""
        self._let.add(guest)
        self.wake(guest)

    def clear(self, shard: int) -> None:
        """From now on guests of a shard may be started; those that wait are."""
        self.gates[shard].cleared.set()
        self._room_news.set()
        for guest in self._records.guests():
            if self._shards.of(guest.project) == shard:
                self.wake(guest.id)

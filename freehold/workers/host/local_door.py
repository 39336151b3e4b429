"""The door of a host to its own machine: its operator sees and orders guests here though nobody above is there.

What is ordered goes through the same rules, store and log as everything else, as an action of the user
``local:NAME``; whoever reads the log learns of it when they are back. The registrar's word stays above it: a guest that
was deleted or given away meanwhile is deleted, or quarantined, as soon as the registrar is heard.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from freehold.drivers.hypervisor.interface import Hypervisor
from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import BadRequest, Conflict, Fault, FreeholdError, NotFound
from freehold.vocabulary.guest import (
    ConsoleLog,
    ConsoleOutput,
    Guest,
    GuestState,
    Power,
    Reboot,
    RebootKind,
    Start,
    Stop,
)
from freehold.vocabulary.host import Drain, Undrain
from freehold.vocabulary.ids import is_request_urn
from freehold.vocabulary.local import (
    GUESTS_PAGE_MAX,
    GuestAwaited,
    GuestHere,
    GuestsHere,
    HostHere,
    HostStands,
    LocalAnswer,
    LocalOrder,
    LocalQuestion,
)
from freehold.vocabulary.word import Word
from freehold.workers.host.actors import Actors
from freehold.workers.host.lifecycle import GRACE_S_MAX
from freehold.workers.host.messages import CommandAsked, RebootAsked, StartAsked, StopAsked
from freehold.workers.host.patience import within
from freehold.workers.host.records import Records

HEARD_WAIT_S: Final = 3.0
"""How long an order that starts a guest waits for the registrar of a host that has just started."""
AWAITED_S_MAX: Final = 30.0

S = GuestState

_RUNS_OR_WILL: Final = frozenset({S.RUNNING, S.WIRING, S.LAUNCHING, S.REBOOTING_SOFT, S.REBOOTING_HARD})
_IS_OFF_OR_WILL_BE: Final = frozenset({S.STOPPED, S.SHUTTING_DOWN, S.STOPPING})
_REBOOTS: Final = frozenset({S.WIRING, S.LAUNCHING, S.REBOOTING_SOFT, S.REBOOTING_HARD})

_log = logger("host")


class LocalDoor:
    """Answers the machine's operator. `console` reads a guest's console; `stand` does what is ordered of the host."""

    def __init__(
        self,
        name: str,
        records: Records,
        actors: Actors,
        hypervisor: Hypervisor,
        clock: Clock,
        console: Callable[[ConsoleLog], Awaitable[ConsoleOutput]],
        stand: Callable[[Drain | Undrain], Awaitable[object]],
    ) -> None:
        self._name, self._records, self._actors, self._stand = name, records, actors, stand
        self._hypervisor, self._clock, self._console = hypervisor, clock, console

    async def answer(self, user: str, question: bytes) -> bytes:
        """The answer to an encoded LocalQuestion of the system's user `user`, as an encoded LocalAnswer."""
        try:
            asked: LocalQuestion = decode(question, LocalQuestion)  # type: ignore[arg-type]
            return encode(LocalAnswer(body=encode(await self._answer(f"local:{user}", asked))))
        except FreeholdError as error:
            return encode(LocalAnswer(fault=error.fault()))
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return encode(LocalAnswer(fault=Fault(code="BadRequest", message=f"The question can't be read: {error}.")))

    async def _answer(self, user: str, question: LocalQuestion) -> Word:
        match question:
            case GuestsHere():
                return await self._list(question)
            case GuestAwaited():
                return await self._await(question)
            case LocalOrder():
                return await self._order(user, question)
            case ConsoleLog():
                return await self._console(replace(question, project=""))
            case Drain() | Undrain():
                return await self._order_host(user, question)

    # --- looking -------------------------------------------------------------------------------------------------

    async def _list(self, question: GuestsHere) -> HostHere:
        powers = await self._hypervisor.guests()
        behind = sorted((guest for guest in self._records.guests() if guest.id > question.after), key=lambda g: g.id)
        here = (_here(guest, powers.get(guest.id, Power.ABSENT)) for guest in behind[:GUESTS_PAGE_MAX])
        return HostHere(
            name=self._name, heard=all(gate.cleared.is_set() for gate in self._actors.gates), guests=tuple(here)
        )

    async def _await(self, question: GuestAwaited) -> GuestHere:
        if not 0 <= question.wait_s <= AWAITED_S_MAX:
            raise BadRequest(f"A guest can be waited for 0 to {AWAITED_S_MAX:g} s.")
        if self._held(question.guest).updated == question.since:
            await within(self._clock, question.wait_s, self._changed(question.guest, question.since))
        return await self._shown(question.guest)

    async def _changed(self, guest: str, since: int) -> None:
        while (held := self._records.guest(guest)) is not None and held.updated == since:
            await self._actors.next_move()

    async def _shown(self, guest: str) -> GuestHere:
        self._held(guest)
        power = await self._hypervisor.power(guest)
        return _here(self._held(guest), power)

    def _held(self, guest: str) -> Guest:
        held = self._records.guest(guest)
        if held is None:
            raise NotFound(f"Host {self._name} has no guest {guest[:64]}.")
        return held

    # --- ordering ------------------------------------------------------------------------------------------------

    async def _order(self, user: str, order: LocalOrder) -> GuestHere:
        command = _checked(replace(order.command, user=user, project=""))
        held = self._held(command.guest)
        if self._records.action(command.guest, command.urn) is None:
            if not isinstance(command, Stop):
                await self._permit(held, command, without_registrar=order.without_registrar)
            self._take(await self._as_the_machine_is(command))
        await self._records.store.durable()
        return await self._shown(command.guest)

    async def _order_host(self, user: str, order: Drain | Undrain) -> HostStands:
        _check_urn(order.urn)
        await self._stand(replace(order, host=self._records.store.id, user=user))
        host = self._records.host()
        return HostStands(name=host.name, enabled=host.enabled, reason=host.disabled_reason, guests=host.guests)

    async def _permit(self, held: Guest, command: Start | Reboot, *, without_registrar: bool) -> None:
        """Raises Conflict if the registrar hasn't been heard, and the operator didn't say that it needn't be."""
        cleared = self._actors.gate(held.project).cleared
        if cleared.is_set():
            return
        if not without_registrar:
            if await within(self._clock, HEARD_WAIT_S, cleared.wait()):
                return
            raise Conflict(
                f"The registrar hasn't been heard since host {self._name} started: guest {command.guest} may have been "
                "deleted, or given to another host, meanwhile. Say --without-registrar to start it all the same."
            )
        _log.warning(
            "a guest is started by order of the machine's operator; the registrar hasn't been heard",
            guest=command.guest,
            user=command.user,
            urn=command.urn,
        )
        self._actors.let(command.guest)

    async def _as_the_machine_is(self, command: Start | Stop | Reboot) -> Start | Stop | Reboot:
        """After a restart of the machine the record still says what ran; the operator's order is for what is."""
        if not await self._actors.face_restart(command.guest):
            return command
        return replace(command, how=RebootKind.HARD) if isinstance(command, Reboot) else command

    def _take(self, command: Start | Stop | Reboot) -> None:
        if _so_already(self._held(command.guest).state, command):
            _log.info("nothing to do for a local order", guest=command.guest, user=command.user)
            return
        _log.info("local order", guest=command.guest, user=command.user, order=type(command).__name__, urn=command.urn)
        self._actors.take(command.guest, _asked(command), command.urn)


def _checked(command: Start | Stop | Reboot) -> Start | Stop | Reboot:
    _check_urn(command.urn)
    if isinstance(command, Stop) and not 0 <= command.grace_s <= GRACE_S_MAX:
        raise BadRequest(f"A guest can be given 0 to {GRACE_S_MAX:g} s to stop.")
    return command


def _check_urn(urn: str) -> None:
    if not is_request_urn(urn):
        raise BadRequest("The order's URN is none.")


def _so_already(state: GuestState, command: Start | Stop | Reboot) -> bool:
    match command:
        case Start():
            return state in _RUNS_OR_WILL
        case Stop(grace_s=0):
            return state in (S.STOPPED, S.STOPPING)
        case Stop():
            return state in _IS_OFF_OR_WILL_BE
        case Reboot():
            return state in _REBOOTS


def _asked(command: Start | Stop | Reboot) -> CommandAsked:
    match command:
        case Start():
            return StartAsked(command)
        case Stop():
            return StopAsked(command)
        case Reboot():
            return RebootAsked(command)


def _here(guest: Guest, power: Power) -> GuestHere:
    return GuestHere(
        id=guest.id,
        name=guest.labels.name,
        state=guest.state,
        power=power,
        project=guest.project,
        addresses=tuple(address for wiring in guest.ports for address in wiring.addresses),
        deed=guest.deed,
        since=guest.updated,
        working_for=guest.working_for,
        fault=guest.fault,
    )

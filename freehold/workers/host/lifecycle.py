"""The rules of guests on a host: (what is, what came) -> what is now. Touches nothing.

The table of moves (moves.py) says where what came leads; here is what the record then says.
"""

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.errors import Broken, Conflict, Fault
from freehold.vocabulary.guest import Action, Guest, GuestState, Power, Refusal
from freehold.vocabulary.units import clock_time, unix_ms
from freehold.workers.host import volumes
from freehold.workers.host.messages import (
    ACTION_OF,
    COMMANDS,
    DELETED,
    WITHDRAWN,
    BuildEnded,
    Came,
    CommandAsked,
    DeadlinePassed,
    DeedRefused,
    DeleteAsked,
    Effect,
    EffectDone,
    EffectFailed,
    HigherDeedKnown,
    MachineRestarted,
    Message,
    PlugAsked,
    PowerSeen,
    RebootAsked,
    RelabelAsked,
    StartAsked,
    StopAsked,
    UnplugAsked,
    Unplugged,
    WithdrawAsked,
    came_of,
)
from freehold.workers.host.moves import EFFECTS, MOVES, End

S: Final = GuestState

SOFT_REBOOT_GRACE_S: Final = 30.0
"""How long a guest's own system may take to power off for a soft reboot, before it is restarted the hard way."""

GRACE_S_MAX: Final = 3600.0

_OFF: Final = frozenset({Power.OFF, Power.ABSENT})


def effect_of(guest: Guest) -> Effect | None:
    """The effect that the record asks for; None if there is nothing to do. A quarantined guest asks until it is off."""
    if guest.state is S.QUARANTINED:
        return None if guest.power in _OFF else Effect.ISOLATE
    return EFFECTS.get(guest.state)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a guest is now. `guest` None: its record ends, with a refusal that keeps late builds away."""

    guest: Guest | None
    refusal: Refusal | None = None
    started: Action | None = None
    finished: str = ""
    """URN of the action that ends with this move; `fault` says how, if badly."""
    fault: Fault | None = None
    ignored: str = ""
    """Why nothing changes."""


def next_of(state: GuestState, came: Came) -> GuestState | End | None:
    """Where `came` leads; None where it is ignored. Raises Conflict for a command that the state doesn't allow."""
    move = MOVES[state].get(came)
    if move is None and came in COMMANDS:
        raise Conflict(f"A guest that is {state.replace('_', ' ')} can't be asked to {came.replace('_', ' ')}.")
    return move


def decide(guest: Guest, message: Message, now: int) -> Decision:
    """What `guest` is after `message` at clock time `now`. Raises Conflict for a command its state doesn't allow."""
    stale = _out_of_date(guest, message, now)
    if stale:
        return Decision(guest, ignored=stale)
    move = next_of(guest.state, came_of(guest, message))
    if move is None:
        return Decision(guest, ignored=f"{type(message).__name__} means nothing to a guest that is {guest.state}")
    if isinstance(move, End):
        return _ended(guest, move, now)
    return _moved(guest, move, message, now)


def _out_of_date(guest: Guest, message: Message, now: int) -> str:
    match message:
        case EffectDone(effect=effect) | EffectFailed(effect=effect) if effect is not effect_of(guest):
            return f"{effect} is no longer asked for"
        case PowerSeen(since=since) if since != guest.updated:
            return "the guest has changed since its power was looked at"
        case DeadlinePassed(deadline=deadline) if guest.deadline != deadline:
            return "it waits for something else by now"
        case HigherDeedKnown(deed=deed) if deed.number <= guest.deed:
            return "the deed held is as high"
        case DeedRefused(number=number) if number < guest.deed:
            return "the deed held is a higher one"
        case WithdrawAsked() | BuildEnded() if guest.launched is not None:
            return "the guest has run: nobody but who deletes it takes it apart"
    return ""


# --- moves -------------------------------------------------------------------------------------------------------


def _moved(guest: Guest, state: GuestState, message: Message, now: int) -> Decision:
    if isinstance(message, HigherDeedKnown) and message.deed.host == guest.host:
        return Decision(replace(guest, deed=message.deed.number, updated=now))
    if isinstance(message, PlugAsked | UnplugAsked | Unplugged):
        return _with_volumes(guest, message, now)
    if isinstance(message, RelabelAsked):
        return Decision(replace(guest, labels=message.command.labels, updated=now))
    after = _arrived(_with_what_came(guest, message, now), state, message, now)
    if replace(after, updated=guest.updated) == guest:
        return Decision(guest, ignored="nothing changes")
    ended = guest.working_for if guest.working_for != after.working_for else ""
    return Decision(after, started=_action(guest, message, now), finished=ended, fault=_how_it_ended(after, message))


def _with_volumes(guest: Guest, message: PlugAsked | UnplugAsked | Unplugged, now: int) -> Decision:
    after = volumes.changed(guest, message, now)
    if after is guest:
        return Decision(guest, ignored="its volumes are so already")
    return Decision(after, started=volumes.action(guest, message, now))


def _with_what_came(guest: Guest, message: Message, now: int) -> Guest:
    match message:
        case PowerSeen(power=power):
            return replace(guest, power=power)
        case MachineRestarted() | EffectDone(effect=Effect.STOP | Effect.ISOLATE):
            return replace(guest, power=Power.OFF)
        case EffectDone(effect=Effect.MAKE_DISK) if guest.stays_off:
            return replace(guest, launched=guest.launched or now, stays_off=False)
        case EffectFailed(fault=fault):
            return replace(guest, fault=fault)
        case HigherDeedKnown(deed=deed):
            return replace(guest, fault=_lost_to(guest, deed.number))
        case DeedRefused():
            return replace(guest, fault=Conflict(f"This host has refused deed {guest.deed}; it is void.").fault())
        case BuildEnded(fault=fault):
            return replace(guest, fault=fault)
        case WithdrawAsked(command=command):
            return replace(guest, delete_deed=max(guest.deed, guest.delete_deed, command.deed), fault=WITHDRAWN)
        case DeleteAsked(command=command):
            higher = max(guest.deed, guest.delete_deed, command.deed)
            urn = guest.working_for if guest.state is S.DELETING else command.urn
            return replace(guest, delete_deed=higher, working_for=urn)
        case StartAsked(command=command) | StopAsked(command=command) | RebootAsked(command=command):
            return replace(guest, working_for=command.urn, fault=None)
    return guest


def _arrived(guest: Guest, state: GuestState, message: Message, now: int) -> Guest:
    """The record in its new state, with what belongs to that state and not to the one before."""
    came_anew = state is not guest.state
    guest = replace(guest, state=state, updated=now)
    if came_anew:
        guest = replace(guest, deadline=_deadline(state, message, now))
    match state:
        case S.RUNNING:
            return _running(guest, message, now)
        case S.STOPPED:
            power = guest.power if isinstance(message, PowerSeen) else Power.OFF
            return replace(guest, working_for="", power=power, stopped=now if came_anew else guest.stopped)
        case S.PAUSED:
            return replace(guest, working_for="")
        case S.CRASHED:
            return replace(guest, working_for="", fault=_crash(message) if came_anew else guest.fault)
        case S.QUARANTINED:
            # A launch may be on its way: that it is off has to be made sure of, whatever was known before.
            return replace(guest, working_for="", power=Power.RUNNING if came_anew else guest.power)
    return guest


def _running(guest: Guest, message: Message, now: int) -> Guest:
    if isinstance(message, EffectDone):
        first = now if guest.launched is None else guest.launched
        guest = replace(guest, launched=first, boot_count=guest.boot_count + 1, power=Power.RUNNING)
    if isinstance(message, EffectDone | PowerSeen):
        guest = replace(guest, fault=None, stopped=None)
    return replace(guest, working_for="")


def _deadline(state: GuestState, message: Message, now: int) -> int | None:
    if state is S.SHUTTING_DOWN and isinstance(message, StopAsked):
        return clock_time(unix_ms(now) + int(min(message.command.grace_s, GRACE_S_MAX) * 1000))
    if state is S.REBOOTING_SOFT:
        return clock_time(unix_ms(now) + int(SOFT_REBOOT_GRACE_S * 1000))
    return None


def _lost_to(guest: Guest, number: int) -> Fault:
    return Conflict(f"Guest {guest.id} was given to another host by deed {number}; deed {guest.deed} is void.").fault()


def _crash(message: Message) -> Fault:
    if isinstance(message, PowerSeen) and message.power is Power.ABSENT:
        return Broken("The host has nothing of this guest any more: its disk is gone.").fault()
    return Broken("The guest crashed. Its console log may say why; start it again.").fault()


def _action(guest: Guest, message: Message, now: int) -> Action | None:
    """The action that a command begins; None for news, and for new labels, which are done at once."""
    if not isinstance(message, CommandAsked) or type(message) not in ACTION_OF:
        return None
    command, name = message.command, ACTION_OF[type(message)]
    done = Action(guest=guest.id, project=guest.project, urn=command.urn, action=name, user=command.user, started=now)
    return replace(done, deed=guest.deed)


def _how_it_ended(after: Guest, message: Message) -> Fault | None:
    """The fault of the action that ends here; None if it ended well."""
    if after.working_for:
        return Conflict("Another request took its place before it was done.").fault()
    badly = isinstance(message, HigherDeedKnown | DeedRefused | EffectFailed) or after.state is S.CRASHED
    return after.fault if badly else None


# --- ends --------------------------------------------------------------------------------------------------------


def _ended(guest: Guest, end: End, now: int) -> Decision:
    deleted = end is End.GONE
    fault = DELETED if deleted else guest.fault or Broken("The build failed.").fault()
    refusal = Refusal(
        guest=guest.id,
        project=guest.project,
        deed=max(guest.deed, guest.delete_deed),
        urn=guest.working_for or guest.urn,
        fault=fault,
        deleted=deleted,
        time=now,
    )
    return Decision(None, refusal=refusal)

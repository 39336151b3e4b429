"""All that can come to a guest, and the effects that its states in progress name."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from freehold.vocabulary.attachment import PlugVolume
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import Delete, Guest, GuestState, Power, Reboot, RebootKind, Relabel, Start, Stop
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Word


class Effect(StrEnum):
    """What is done to the world. Each may be repeated and gives the same end."""

    FETCH_IMAGE = "fetch_image"
    MAKE_DISK = "make_disk"
    WIRE = "wire"
    LAUNCH = "launch"
    ASK_SHUT_DOWN = "ask_shut_down"
    STOP = "stop"
    REMOVE = "remove"
    ISOLATE = "isolate"


@dataclass(frozen=True, slots=True)
class EffectDone:
    """The world is as the effect wants it."""

    effect: Effect


@dataclass(frozen=True, slots=True)
class EffectFailed:
    """The effect couldn't be had."""

    effect: Effect
    fault: Fault


@dataclass(frozen=True, slots=True)
class PowerSeen:
    """The hypervisor was asked when the record was of `since` (its `updated`); a later record makes it stale."""

    power: Power
    since: int


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The guest's own system had its time, which was until `deadline`."""

    deadline: int


@dataclass(frozen=True, slots=True)
class MachineRestarted:
    """No guest runs any more, and the registrar has been asked what was decided meanwhile."""


@dataclass(frozen=True, slots=True)
class HigherDeedKnown:
    """The registrar has recorded a higher deed than the one held."""

    deed: Deed


@dataclass(frozen=True, slots=True)
class DeedRefused:
    """The registrar was told by this host that it refuses all deeds up to `number`: a disk that holds one of them was
    put back to an old copy.
    """

    number: int


@dataclass(frozen=True, slots=True)
class BuildEnded:
    """A guest that is being made can't be finished here: this host had refused it, and the disk that shows it was put
    back to before that. `fault`: what it lacks by now.
    """

    fault: Fault


@dataclass(frozen=True, slots=True)
class StartAsked:
    """A client wants it to run."""

    command: Start


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A client wants it off."""

    command: Stop


@dataclass(frozen=True, slots=True)
class RebootAsked:
    """A client wants it restarted."""

    command: Reboot


@dataclass(frozen=True, slots=True)
class RelabelAsked:
    """A client gives it other labels."""

    command: Relabel


@dataclass(frozen=True, slots=True)
class PlugAsked:
    """A volume's owner gives it that volume, or says how large it is by now."""

    asked: PlugVolume


@dataclass(frozen=True, slots=True)
class UnplugAsked:
    """A volume is to be taken from it."""

    attachment: str
    urn: str
    user: str


@dataclass(frozen=True, slots=True)
class Unplugged:
    """It hasn't the volume any more, or couldn't be given it."""

    attachment: str


@dataclass(frozen=True, slots=True)
class DeleteAsked:
    """The registrar carries a delete."""

    command: Delete


@dataclass(frozen=True, slots=True)
class WithdrawAsked:
    """The registrar withdraws a build whose request has failed. One that has run stays."""

    command: Delete


@dataclass(frozen=True, slots=True)
class DiscardAsked:
    """The operator lets go of a copy that is kept apart."""


CommandAsked = StartAsked | StopAsked | RebootAsked | RelabelAsked | DeleteAsked
Message = (
    CommandAsked
    | EffectDone
    | EffectFailed
    | PowerSeen
    | DeadlinePassed
    | MachineRestarted
    | HigherDeedKnown
    | DeedRefused
    | BuildEnded
    | WithdrawAsked
    | DiscardAsked
    | PlugAsked
    | UnplugAsked
    | Unplugged
)
ACTION_OF: Final[dict[type[CommandAsked], str]] = {
    StartAsked: "start",
    StopAsked: "stop",
    RebootAsked: "reboot",
    DeleteAsked: "delete",
}
"""The action that a command begins, by the API's names. New labels are done at once, and none."""


class Came(StrEnum):
    """What came, as far as the table tells it apart."""

    DONE = "done"
    DONE_OFF = "done_off"
    """The disk of a guest is made that is to be left off."""
    FAILED = "failed"
    FAILED_BUILD = "failed_build"
    """The effect of a guest that has never run failed."""
    POWER_RUNNING = "power_running"
    POWER_PAUSED = "power_paused"
    POWER_OFF = "power_off"
    POWER_CRASHED = "power_crashed"
    POWER_ABSENT = "power_absent"
    DEADLINE = "deadline"
    RESTARTED = "restarted"
    DEED_VOID = "deed_void"
    BUILD_ENDED = "build_ended"
    START = "start"
    STOP = "stop"
    STOP_NOW = "stop_now"
    """Without grace."""
    REBOOT_SOFT = "reboot_soft"
    REBOOT_HARD = "reboot_hard"
    RELABEL = "relabel"
    DELETE = "delete"
    WITHDRAW = "withdraw"
    DISCARD = "discard"
    PLUG = "plug"
    UNPLUG = "unplug"
    UNPLUGGED = "unplugged"


COMMANDS: Final = frozenset(
    {Came.START, Came.STOP, Came.STOP_NOW, Came.REBOOT_SOFT, Came.REBOOT_HARD}
    | {Came.RELABEL, Came.DELETE, Came.DISCARD, Came.PLUG}
)


def came_of(guest: Guest, message: Message) -> Came:
    """The column of the table for `message`."""
    match message:
        case EffectDone(effect=effect):
            return Came.DONE_OFF if effect is Effect.MAKE_DISK and guest.stays_off else Came.DONE
        case EffectFailed():
            return Came.FAILED_BUILD if guest.launched is None else Came.FAILED
        case PowerSeen(power=power):
            return Came(f"power_{power}")
        case DeadlinePassed():
            return Came.DEADLINE
        case MachineRestarted():
            return Came.RESTARTED
        case HigherDeedKnown() | DeedRefused():
            return Came.DEED_VOID
        case BuildEnded():
            return Came.BUILD_ENDED
        case WithdrawAsked():
            return Came.WITHDRAW
        case DiscardAsked():
            return Came.DISCARD
        case PlugAsked() | UnplugAsked() | Unplugged():
            return _OF_VOLUMES[type(message)]
        case _:
            return _command_came(message)


_OF_VOLUMES: Final[dict[type[PlugAsked | UnplugAsked | Unplugged], Came]] = {
    PlugAsked: Came.PLUG,
    UnplugAsked: Came.UNPLUG,
    Unplugged: Came.UNPLUGGED,
}


def _command_came(message: CommandAsked) -> Came:
    match message:
        case StartAsked():
            return Came.START
        case StopAsked(command=command):
            return Came.STOP if command.grace_s > 0 else Came.STOP_NOW
        case RebootAsked(command=command):
            return Came.REBOOT_SOFT if command.how is RebootKind.SOFT else Came.REBOOT_HARD
        case RelabelAsked():
            return Came.RELABEL
        case DeleteAsked():
            return Came.DELETE
        case _:
            assert_never(message)


DELETED: Final = Fault(code="NotFound", message="The guest was deleted.")
ROOM_TAKEN: Final = Fault(code="NoRoom", message="The guest's room was given to others before it was built here.")
GIVEN_BACK: Final = Fault(code="Conflict", message="The guest's addresses were given back before it was built here.")
WITHDRAWN: Final = Fault(code="Conflict", message="The request had failed by then, and the build was withdrawn.")


NEEDS_IMAGE: Final = frozenset({GuestState.FETCHING_IMAGE, GuestState.MAKING_DISK})
"""While a guest is in these, the image may have to be fetched, or fetched again."""


class BuildSecret(Word, frozen=True, kw_only=True):
    """What of a build stays private to its host (private kind ``build_secret``, key the guest)."""

    user_data: Secret | None = None
    admin_password: Secret | None = None
    image_key: Secret | None = None
    """Until the disk is made."""


@dataclass(frozen=True, slots=True)
class Job:
    """What an effect is performed on."""

    guest: Guest
    secret: BuildSecret

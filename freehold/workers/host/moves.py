"""The table of all moves of a guest on its host: for each state, what may come and where it leads.

Where it says nothing, a command from outside is a Conflict, and news is ignored. A state in progress names its one
effect in `EFFECTS`; the effect's answer is what moves it on. The same table carries on after a crash: the record says
where it was.
"""

from enum import StrEnum
from typing import Final

from freehold.vocabulary.guest import GuestState
from freehold.workers.host.messages import Came, Effect


class End(StrEnum):
    """Where a guest's record ends."""

    GONE = "gone"
    REFUSED = "refused"


S, C = GuestState, Came

# Building: what fails is taken apart again and refused; nothing of it stays here. By the record of a guest that has run
# since, on a disk that was put back, nothing is done (`Actors.is_outdated`).
_BUILDING: Final[dict[Came, GuestState | End]] = {
    C.FAILED: S.REFUSING,
    C.FAILED_BUILD: S.REFUSING,
    C.DEED_VOID: S.REFUSING,
    C.BUILD_ENDED: S.REFUSING,
    C.WITHDRAW: S.REFUSING,
    C.DELETE: S.DELETING,
}

MOVES: Final[dict[GuestState, dict[Came, GuestState | End]]] = {
    # --- work in progress
    S.FETCHING_IMAGE: {**_BUILDING, C.DONE: S.MAKING_DISK, C.RELABEL: S.FETCHING_IMAGE},
    S.MAKING_DISK: {**_BUILDING, C.DONE: S.WIRING, C.DONE_OFF: S.STOPPED, C.RELABEL: S.MAKING_DISK},
    S.WIRING: {
        C.DONE: S.LAUNCHING,
        C.FAILED_BUILD: S.REFUSING,
        C.FAILED: S.STOPPED,
        C.DEED_VOID: S.QUARANTINED,
        C.BUILD_ENDED: S.REFUSING,
        C.WITHDRAW: S.REFUSING,
        C.RELABEL: S.WIRING,
        C.DELETE: S.DELETING,
    },
    S.LAUNCHING: {
        C.DONE: S.RUNNING,
        C.FAILED_BUILD: S.REFUSING,
        C.FAILED: S.STOPPED,
        C.DEED_VOID: S.QUARANTINED,
        C.BUILD_ENDED: S.REFUSING,
        C.WITHDRAW: S.REFUSING,
        C.RELABEL: S.LAUNCHING,
        C.DELETE: S.DELETING,
    },
    S.SHUTTING_DOWN: {
        C.FAILED: S.STOPPING,
        C.POWER_OFF: S.STOPPED,
        C.POWER_CRASHED: S.STOPPING,
        C.POWER_ABSENT: S.STOPPED,
        C.DEADLINE: S.STOPPING,
        C.DEED_VOID: S.QUARANTINED,
        C.STOP_NOW: S.STOPPING,
        C.RELABEL: S.SHUTTING_DOWN,
        C.DELETE: S.DELETING,
    },
    S.STOPPING: {
        C.DONE: S.STOPPED,
        C.FAILED: S.STOPPING,
        C.DEED_VOID: S.QUARANTINED,
        C.RELABEL: S.STOPPING,
        C.DELETE: S.DELETING,
    },
    S.REBOOTING_SOFT: {
        C.FAILED: S.REBOOTING_HARD,
        C.POWER_OFF: S.WIRING,
        C.POWER_CRASHED: S.REBOOTING_HARD,
        C.POWER_ABSENT: S.REBOOTING_HARD,
        C.DEADLINE: S.REBOOTING_HARD,
        C.DEED_VOID: S.QUARANTINED,
        C.REBOOT_HARD: S.REBOOTING_HARD,
        C.RELABEL: S.REBOOTING_SOFT,
        C.DELETE: S.DELETING,
    },
    S.REBOOTING_HARD: {
        C.DONE: S.WIRING,
        C.FAILED: S.RUNNING,
        C.DEED_VOID: S.QUARANTINED,
        C.RELABEL: S.REBOOTING_HARD,
        C.DELETE: S.DELETING,
    },
    S.DELETING: {C.DONE: End.GONE, C.FAILED: S.DELETING, C.FAILED_BUILD: S.DELETING, C.DELETE: S.DELETING},
    S.REFUSING: {
        C.DONE: End.REFUSED,
        C.FAILED: S.REFUSING,
        C.FAILED_BUILD: S.REFUSING,
        C.WITHDRAW: S.REFUSING,
        C.DELETE: S.DELETING,
    },
    # --- stable
    S.RUNNING: {
        C.POWER_RUNNING: S.RUNNING,
        C.POWER_PAUSED: S.PAUSED,
        C.POWER_OFF: S.STOPPED,
        C.POWER_CRASHED: S.CRASHED,
        C.POWER_ABSENT: S.CRASHED,
        C.RESTARTED: S.WIRING,
        C.DEED_VOID: S.QUARANTINED,
        C.STOP: S.SHUTTING_DOWN,
        C.STOP_NOW: S.STOPPING,
        C.REBOOT_SOFT: S.REBOOTING_SOFT,
        C.REBOOT_HARD: S.REBOOTING_HARD,
        C.RELABEL: S.RUNNING,
        C.DELETE: S.DELETING,
    },
    S.PAUSED: {
        C.POWER_RUNNING: S.RUNNING,
        C.POWER_PAUSED: S.PAUSED,
        C.POWER_OFF: S.STOPPED,
        C.POWER_CRASHED: S.CRASHED,
        C.POWER_ABSENT: S.CRASHED,
        C.RESTARTED: S.WIRING,
        C.DEED_VOID: S.QUARANTINED,
        # A paused guest can't answer a power button.
        C.STOP: S.STOPPING,
        C.STOP_NOW: S.STOPPING,
        C.REBOOT_HARD: S.REBOOTING_HARD,
        C.RELABEL: S.PAUSED,
        C.DELETE: S.DELETING,
    },
    S.STOPPED: {
        # Adopt what runs: a launch that was thought to have failed may have worked after all.
        C.POWER_RUNNING: S.RUNNING,
        C.POWER_PAUSED: S.PAUSED,
        C.POWER_OFF: S.STOPPED,
        C.POWER_ABSENT: S.CRASHED,
        C.DEED_VOID: S.QUARANTINED,
        C.START: S.WIRING,
        C.REBOOT_HARD: S.REBOOTING_HARD,
        C.RELABEL: S.STOPPED,
        C.DELETE: S.DELETING,
    },
    S.CRASHED: {
        C.POWER_RUNNING: S.RUNNING,
        C.POWER_PAUSED: S.PAUSED,
        C.POWER_OFF: S.CRASHED,
        C.POWER_CRASHED: S.CRASHED,
        C.POWER_ABSENT: S.CRASHED,
        C.DEED_VOID: S.QUARANTINED,
        # What is left of the crashed one ends first.
        C.START: S.REBOOTING_HARD,
        C.STOP: S.STOPPING,
        C.STOP_NOW: S.STOPPING,
        C.REBOOT_HARD: S.REBOOTING_HARD,
        C.RELABEL: S.CRASHED,
        C.DELETE: S.DELETING,
    },
    S.QUARANTINED: {
        **dict.fromkeys((C.DONE, C.FAILED, C.FAILED_BUILD), S.QUARANTINED),
        C.POWER_RUNNING: S.QUARANTINED,
        C.POWER_PAUSED: S.QUARANTINED,
        C.POWER_OFF: S.QUARANTINED,
        C.POWER_CRASHED: S.QUARANTINED,
        C.POWER_ABSENT: S.QUARANTINED,
        C.DELETE: S.DELETING,
        # No tombstone: it may come back here one day.
        C.WITHDRAW: S.REFUSING,
        C.DISCARD: S.REFUSING,
    },
}

# Volumes come and go whatever a guest does, until it ends.
for _state, _row in MOVES.items():
    _row |= {C.UNPLUG: _state, C.UNPLUGGED: _state}
    if _state not in (S.DELETING, S.REFUSING, S.QUARANTINED):
        _row[C.PLUG] = _state

EFFECTS: Final[dict[GuestState, Effect]] = {
    S.FETCHING_IMAGE: Effect.FETCH_IMAGE,
    S.MAKING_DISK: Effect.MAKE_DISK,
    S.WIRING: Effect.WIRE,
    S.LAUNCHING: Effect.LAUNCH,
    S.SHUTTING_DOWN: Effect.ASK_SHUT_DOWN,
    S.STOPPING: Effect.STOP,
    S.REBOOTING_SOFT: Effect.ASK_SHUT_DOWN,
    S.REBOOTING_HARD: Effect.STOP,
    S.DELETING: Effect.REMOVE,
    S.REFUSING: Effect.REMOVE,
}
"""The one effect of each state in progress."""

"""What a reader knows of one owner, as a small machine whose states can all be visited.

The owner writes its log, may be put back to an earlier copy, and begins another epoch when a question shows that
somebody has read more than is on its disk, or something else. Frames, heartbeats and questions are kept as a set that
may be delivered at any time, any number of times, in any order, or never. A record is the name of the write that made
it, so that two histories never look alike; a digest is the history itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

DELETE: Final = 0
"""A record that isn't there; any other number is the write that made it."""


class Entry(NamedTuple):
    """One line of the log: the record, of two, and what it is now."""

    key: int
    write: int


Log = tuple[Entry, ...]
Records = tuple[int, int]
NONE: Final[Records] = (DELETE, DELETE)


class Position(NamedTuple):
    """Where a log or a reader stands. `history` is what the digest stands for."""

    epoch: int
    history: Log


class Owner(NamedTuple):
    """The owner's disk. `copy`: an earlier state of it, at most one."""

    position: Position = Position(1, ())
    copy: tuple[Position, ...] = ()


class Reader(NamedTuple):
    """What a reader has: where it stands, and the records it shows."""

    position: Position = Position(0, ())
    records: Records = NONE


class State(NamedTuple):
    """All there is."""

    owner: Owner
    reader: Reader
    heard: frozenset[Position]
    """What was ever told: a frame carries the last entry of its position, a heartbeat the position alone."""
    writes: int
    rollbacks: int
    epochs: int


class Step(NamedTuple):
    """What happens between two states."""

    verb: str
    seq: int = 0


class Fault(StrEnum):
    """One-line bugs of this model, each of which a promise must find."""

    EPOCH_KEPT = "an owner that was put back goes on in its epoch"
    EPOCH_UNREAD = "a reader doesn't compare epochs"
    SEEN_APPLIED = "a reader applies what it has seen already"
    GAP_APPLIED = "a reader applies what comes after a gap"
    DIGEST_UNREAD = "a reader doesn't compare digests"
    DELETE_DROPPED = "a reader drops deletes"


@dataclass(frozen=True, slots=True)
class Rules:
    """How far it goes, and what is wrong with it."""

    writes: int = 4
    rollbacks: int = 1
    fault: Fault | None = None


def start(rules: Rules) -> State:
    """Nothing has happened yet."""
    return State(Owner(), Reader(), frozenset(), rules.writes, rules.rollbacks, 1)


def moves(state: State, rules: Rules) -> Iterator[tuple[Step, State]]:
    """All that may happen next."""
    owner, reader = state.owner, state.reader
    if state.writes:
        write = rules.writes - state.writes + 1
        for key, record in enumerate(folded(NONE, owner.position.history)):
            yield Step("write", write), _written(state, Entry(key, write))
            if record != DELETE:
                yield Step("delete", write), _written(state, Entry(key, DELETE))
    if state.rollbacks and owner.position.history and not owner.copy:
        yield Step("copy the disk"), state._replace(owner=owner._replace(copy=(owner.position,)))
    if state.rollbacks and owner.copy:
        put_back = Owner(owner.copy[0])
        yield Step("put the disk back"), state._replace(owner=put_back, rollbacks=state.rollbacks - 1)
    for told in sorted(state.heard):
        if told.history:
            yield from _frame(state, rules, told)
        yield from _heartbeat(state, rules, told)
    if reader.position != owner.position:
        yield Step("ask"), _read(state, rules)


def _written(state: State, entry: Entry) -> State:
    epoch, history = state.owner.position
    position = Position(epoch, (*history, entry))
    owner = state.owner._replace(position=position)
    return state._replace(owner=owner, heard=state.heard | {position}, writes=state.writes - 1)


def _frame(state: State, rules: Rules, told: Position) -> Iterator[tuple[Step, State]]:
    stands = state.reader.position
    step = Step("hear the frame", len(told.history))
    if stands.epoch != told.epoch and (rules.fault is not Fault.EPOCH_UNREAD or not stands.epoch):
        yield Step("hear of another epoch"), _read(state, rules)
        return
    ahead = len(told.history) - len(stands.history)
    if ahead == 1 or (ahead < 1 and rules.fault is Fault.SEEN_APPLIED):
        if told.history[:-1] == stands.history or rules.fault in (Fault.DIGEST_UNREAD, Fault.SEEN_APPLIED):
            yield step, state._replace(reader=Reader(told, _applied(state.reader.records, told.history[-1:], rules)))
        else:
            yield Step("hear of another history"), _read(state, rules)
    elif ahead > 1:
        if rules.fault is Fault.GAP_APPLIED:
            yield step, state._replace(reader=Reader(told, _applied(state.reader.records, told.history[-1:], rules)))
        else:
            yield Step("hear a gap"), _read(state, rules)


def _heartbeat(state: State, rules: Rules, told: Position) -> Iterator[tuple[Step, State]]:
    if told != state.reader.position:
        yield Step("hear a heartbeat", len(told.history)), _read(state, rules)


def folded(records: Records, entries: Log) -> Records:
    """The records after `entries`."""
    for key, write in entries:
        records = (write, records[1]) if key == 0 else (records[0], write)
    return records


def _applied(records: Records, entries: Log, rules: Rules) -> Records:
    dropped = rules.fault is Fault.DELETE_DROPPED
    return folded(records, tuple(entry for entry in entries if entry.write != DELETE or not dropped))


def _read(state: State, rules: Rules) -> State:
    """The reader asks for what came since; the owner sees by the question whether its disk is an old copy."""
    stands, held = state.reader.position, state.owner.position
    continues = held.history[: len(stands.history)] == stands.history
    if rules.fault is Fault.DIGEST_UNREAD:
        continues = len(held.history) >= len(stands.history)
    if stands.epoch == held.epoch and continues:
        records = _applied(state.reader.records, held.history[len(stands.history) :], rules)
        return state._replace(reader=Reader(held, records))
    epochs = state.epochs
    if stands.epoch == held.epoch:
        if rules.fault is Fault.EPOCH_KEPT:
            return state
        epochs += 1
        held = Position(epochs, held.history)
    elif rules.fault is Fault.EPOCH_UNREAD and stands.epoch:
        return state
    owner = state.owner._replace(position=held)
    return state._replace(owner=owner, reader=Reader(held, folded(NONE, held.history)), epochs=epochs)


# --- what must hold ----------------------------------------------------------------------------------------------


def went_back(before: Position, after: Position) -> bool:
    """A view never goes back."""
    return after.epoch == before.epoch and len(after.history) < len(before.history)


def equals_the_fold(state: State, rules: Rules) -> bool:
    """When faults stop, a view equals the fold of its owner: whatever it heard, asking once more brings it there."""
    settled = _read(state, rules)
    position = settled.owner.position
    return settled.reader == Reader(position, folded(NONE, position.history))


class Watched(NamedTuple):
    """A state, with whether its reader went back on the way there."""

    state: State
    back: bool = False


def watched_moves(watched: Watched, rules: Rules) -> Iterator[tuple[Step, Watched]]:
    """The moves of a state, watching its reader."""
    stood = watched.state.reader.position
    for step, after in moves(watched.state, rules):
        yield step, Watched(after, went_back(stood, after.reader.position))


def broken(watched: Watched, rules: Rules) -> str:
    """The promise that is broken, as a sentence; empty if both hold."""
    if watched.back:
        return f"the reader went back, to {watched.state.reader.position}"
    if not equals_the_fold(watched.state, rules):
        return f"the reader shows {watched.state.reader}, and its owner has {watched.state.owner.position}"
    return ""

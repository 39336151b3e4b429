"""What a check finds: a sentence, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check came out. WRONG: don't run it so."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """A check, how it came out, what was found, and what to do about it."""

    check: str
    state: State
    what: str
    mend: str = ""


def ok(check: str, what: str) -> Finding:
    """As it should be."""
    return Finding(check, State.OK, what)


def warning(check: str, what: str, mend: str) -> Finding:
    """It runs, and somebody will be sorry some day."""
    return Finding(check, State.WARNING, what, mend)


def wrong(check: str, what: str, mend: str) -> Finding:
    """It doesn't run, or not safely."""
    return Finding(check, State.WRONG, what, mend)

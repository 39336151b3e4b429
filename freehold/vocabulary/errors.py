"""Errors a person or a peer can act on.

    FreeholdError
    ├── BadRequest          the request itself is wrong: say what to change
    │   ├── TooLarge        over a published limit
    │   └── TooOld          a moment before what is still known
    ├── Unauthorized        not known who is asking
    ├── Forbidden           known, and not allowed
    │   └── QuotaExceeded   allowed, but the project's share is used up
    ├── NotFound            no such thing, or not the caller's to see
    ├── Conflict            true now, maybe not later: a name taken, a thing in use
    ├── NoRoom              no host can take the guest
    ├── Unavailable         an owner can't be reached or is overloaded: try again
    │   ├── NoAnswer        a question's deadline passed; what was asked may or may not have happened
    │   ├── Busy            an owner has as many questions as it takes; what was asked hasn't happened
    │   └── StoreFailed     an owner's store can't be written; what was asked may or may not have happened
    └── Broken              a promise of ours didn't hold (damaged store, failed effect)

An error is a finished sentence. It crosses the bus as a `Fault` and is raised again as the same class; the API turns it
to HTTP in one place (`api/faults.py`).
"""

from typing import Final

from freehold.vocabulary.word import Word


class Fault(Word, frozen=True, kw_only=True):
    """An error as data. `names`: ids that the error is about, for a program to go on from."""

    code: str
    message: str
    names: tuple[str, ...] = ()


_OUR_WORDS: Final[dict[str, str]] = {
    "NoRoom": "The host that was chosen had no room left.",
    "Unavailable": "The host that was chosen takes no such guest now.",
}


def refused_to_tenant(fault: Fault) -> Fault:
    """Why a host refused an attempt, as a tenant may know it: what concerns the request in full; of the host, whose
    name and figures aren't for tenants, a word.
    """
    if fault.code == "BadRequest":
        return fault
    return Fault(code=fault.code, message=_OUR_WORDS.get(fault.code, "The host that was chosen couldn't build it."))


class FreeholdError(Exception):
    """Base of all errors that have a message for somebody."""

    def __init__(self, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.names = message, names

    def fault(self) -> Fault:
        """This error as data."""
        return Fault(code=type(self).__name__, message=self.message, names=self.names)


class BadRequest(FreeholdError):
    """The request is malformed or asks for something that can't be."""


class TooLarge(BadRequest):
    """The request or its content is over a published limit."""


class TooOld(BadRequest):
    """The moment asked for lies before the horizon: what was so then isn't known any more."""


class Unauthorized(FreeholdError):
    """The caller has not shown who they are."""


class Forbidden(FreeholdError):
    """The caller is known and may not do this."""


class QuotaExceeded(Forbidden):
    """The project has no room left in its quota."""


class NotFound(FreeholdError):
    """There is no such thing for this caller."""


class Conflict(FreeholdError):
    """The thing is in a state, or of a name, that doesn't allow this now."""


class NoRoom(FreeholdError):
    """No host can take the guest."""


class Unavailable(FreeholdError):
    """Somebody needed for the answer can't be reached; nothing is lost by asking again."""


class NoAnswer(Unavailable):
    """The deadline of a question passed without an answer."""


class Busy(Unavailable):
    """An owner answers as many questions as it can, and didn't take this one."""


class StoreFailed(Unavailable):
    """A store can't be written. Its owner ends, and goes on from what the disk has when it is started again."""


class Broken(FreeholdError):
    """Freehold itself is at fault: a driver failed or a store is damaged."""


_CLASSES: dict[str, type[FreeholdError]] = {
    cls.__name__: cls
    for cls in (
        BadRequest,
        TooLarge,
        TooOld,
        Unauthorized,
        Forbidden,
        QuotaExceeded,
        NotFound,
        Conflict,
        NoRoom,
        Unavailable,
        NoAnswer,
        Busy,
        StoreFailed,
        Broken,
    )
}


def raised_from(fault: Fault) -> FreeholdError:
    """The error that `fault` describes; `Broken` where this version doesn't know its code."""
    return _CLASSES.get(fault.code, Broken)(fault.message, fault.names)

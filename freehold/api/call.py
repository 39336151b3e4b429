"""A call through a door, the answer to it, and the table of what may pass.

A door's `routes.py` holds ``ROUTES: Routes`` and ``DOOR: Door``. A function of the table takes the `Call` and gives
an `Answer`, or raises a FreeholdError. It runs only when the policy named beside it lets the caller in; what belongs to
whom it checks itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from freehold.api.caller import ANONYMOUS, Caller, Tokens
from freehold.api.cloud import Cloud
from freehold.api.faults import FaultBody
from freehold.vocabulary.errors import BadRequest

S = TypeVar("S")

AS_OF: Final = "freehold-as-of"
"""The header that asks for a moment that is over. Routes that don't know it refuse it: now is no answer to then."""

JSON_BYTES_MAX: Final = 1024 * 1024
"""The largest body of a call that isn't image data."""

BODY_DEADLINE_S: Final = 60.0
"""How long a client may take to send a body that isn't streamed."""

_encoder = msgspec.json.Encoder()


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of bodies: a field that isn't declared is refused by name. `msgspec.UNSET` stands for "not given"."""


class Query:
    """The query of a URL: names may come more than once."""

    def __init__(self, text: str) -> None:
        try:
            self._pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=200)
        except ValueError as error:
            raise BadRequest("the query of the URL has too many parts") from error

    def one(self, name: str) -> str | None:
        """The last value given for `name`."""
        return next((value for key, value in reversed(self._pairs) if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every value given for `name`."""
        return [value for key, value in self._pairs if key == name]

    def flag(self, name: str) -> bool | None:
        """`name` as yes or no; None if it isn't given. Raises BadRequest for anything else."""
        value = self.one(name)
        if value is None:
            return None
        if value.lower() in ("true", "1", "yes", "on", "t", "y", ""):
            return True
        if value.lower() in ("false", "0", "no", "off", "f", "n"):
            return False
        raise BadRequest(f"'{name}' must be true or false, not '{value[:64]}'")

    def number(self, name: str, *, low: int = 0, high: int = 2**63 - 1) -> int | None:
        """`name` as a whole number within bounds; None if it isn't given. Raises BadRequest otherwise."""
        value = self.one(name)
        if value is None:
            return None
        if not (
            value.isascii() and value.removeprefix("-").isdigit() and len(value) < 20 and low <= int(value) <= high
        ):
            raise BadRequest(f"'{name}' must be a whole number from {low} to {high}, not '{value[:64]}'")
        return int(value)

    def names(self) -> set[str]:
        """Every name that was given."""
        return {key for key, _ in self._pairs}

    def pairs(self) -> list[tuple[str, str]]:
        """All of it, in order."""
        return list(self._pairs)


async def no_chunks() -> AsyncIterator[bytes]:
    """A body without bytes."""
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk


async def _parked() -> bool:
    return True


async def _never() -> None:
    await asyncio.Event().wait()


@dataclass(slots=True)
class Call:
    """One request, as the function that serves it sees it."""

    cloud: Cloud
    method: str
    door: str
    """The door's name, which is also where it is mounted: ``compute`` for ``/compute``."""
    path: str
    """Behind the mount, percent-encoded as it came: ``/v2.1/servers/…``."""
    query: Query
    headers: Mapping[str, str]
    """Names in lower case."""
    request_id: str
    tokens: Tokens
    params: dict[str, str] = field(default_factory=dict)
    """The parts of the path that the route names in braces, decoded. Any text but the empty one."""
    caller: Caller = ANONYMOUS
    body: bytes = b""
    """The whole body, at most `JSON_BYTES_MAX`; empty on routes that stream."""
    chunks: Callable[[], AsyncIterator[bytes]] = no_chunks
    """The body piece by piece, on routes that stream."""
    park: Callable[[], Awaitable[bool]] = _parked
    """Gives its place among the calls that are served to another, for one among those that only wait; False if there
    is none.
    """
    entered: int | None = None
    """The shard of the registrar at which the gate has taken its place (see `Backlog.enter`), if it has."""
    gone: Callable[[], Awaitable[None]] = _never
    """Returns when the client isn't there any more."""

    @property
    def base_url(self) -> str:
        """Where clients reach this door, without a slash at the end."""
        return f"{self.cloud.public_url}/{self.door}"

    def read(self, shape: type[S]) -> S:
        """The JSON body as `shape`. Raises BadRequest naming the field that is wrong."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.ValidationError as error:
            raise BadRequest(f"Invalid input: {_readable(str(error))}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest("the body isn't well-formed JSON") from error
        except RecursionError as error:
            raise BadRequest("the body is nested too deeply") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `body`: bytes as they are, None for no body, anything else as JSON. `stream` goes first."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    stream: AsyncIterator[bytes] | None = None

    def payload(self) -> bytes:
        """The body's bytes."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else _encoder.encode(self.body)


Serve = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """Who serves a method of a path, and the policy that must let the caller in (see `policy.RULES`)."""

    serve: Serve
    policy: str
    streams: bool = False
    """The function reads the body itself from `Call.chunks`, unbounded."""
    sends_bytes: bool = False
    """The answer is a stream that lasts as long as the client likes."""
    sends_events: bool = False
    """The answer is a stream of events, which lasts as long as both sides like."""
    asks_for_guests: bool = False
    """It asks for what takes long to make: such calls have bounds of their own, and keep none of the others waiting."""
    knows_past: bool = False
    """The function heeds the header `AS_OF`."""

    @property
    def is_transfer(self) -> bool:
        """Whether it lasts as long as the client likes: such calls have a bound of their own."""
        return self.streams or self.sends_bytes


Routes = Mapping[tuple[str, str], Route]
"""(METHOD, "/v3/users/{user_id}") -> Route. HEAD is served by GET where it isn't named itself."""


def no_headers(call: Call) -> Mapping[str, str]:
    """Nothing to add."""
    del call
    return {}


@dataclass(frozen=True, slots=True)
class Door:
    """A service: mounted at ``/name``."""

    name: str
    routes: Routes
    fault: FaultBody
    """How errors look in this service's format."""
    headers: Callable[[Call], Mapping[str, str]] = no_headers
    """Headers for every answer, also for errors (versions, Vary). Must not raise."""


def _readable(error: str) -> str:
    """msgspec's sentence, with a regular expression of ours told in words."""
    head, found, rest = error.partition(" matching regex ")
    if not found:
        return error
    _, at, where = rest.rpartition(" - at ")
    return f"{head} without control characters or other signs that aren't allowed here{at}{where}"

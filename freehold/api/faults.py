"""The one place where an error becomes HTTP: a status, and a body in the format of the service that was asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from freehold.vocabulary.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    FreeholdError,
    NoRoom,
    NotFound,
    QuotaExceeded,
    TooLarge,
    TooOld,
    Unauthorized,
    Unavailable,
)

RETRY_AFTER_S: Final = 2
AGAIN: Final[Mapping[str, str]] = {"retry-after": str(RETRY_AFTER_S)}
"""The headers of a refusal that is for the moment."""


class HttpRefusal(FreeholdError):
    """A refusal that only HTTP knows: no such method (405), version not acceptable (406), media type (415)."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})


@dataclass(frozen=True, slots=True)
class Failure:
    """An error on its way out. `noun` is the collection that was asked for: ``networks``."""

    status: int
    message: str
    error: FreeholdError | None
    noun: str
    request_id: str


FaultBody = Callable[[Failure], Any]

_STATUS: Final[tuple[tuple[type[FreeholdError], int], ...]] = (
    (TooLarge, 413),
    (TooOld, 410),
    (BadRequest, 400),
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (NoRoom, 409),
    (Unavailable, 503),
)


def status_of(error: FreeholdError, body: FaultBody) -> int:
    """The HTTP status of an error, where it is told by `body`; what isn't in the table is our own failure. A quota that
    is used up is a conflict for Neutron, forbidden for Nova, and too large a request for Cinder.
    """
    if isinstance(error, QuotaExceeded) and body in _QUOTA_EXCEEDED:
        return _QUOTA_EXCEEDED[body]
    if isinstance(error, HttpRefusal):
        return error.status
    return next((status for cls, status in _STATUS if isinstance(error, cls)), 500)


def headers_of(error: FreeholdError, public_url: str) -> dict[str, str]:
    """The headers that go with an error."""
    if isinstance(error, HttpRefusal):
        return error.headers
    if isinstance(error, Unauthorized):
        return {"www-authenticate": f'Keystone uri="{public_url}/identity/v3"'}
    return dict(AGAIN) if isinstance(error, Unavailable) else {}


_NOVA: Final = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    410: "gone",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def nova(failure: Failure) -> Any:
    """Nova's: ``{"itemNotFound": {"code": 404, "message": …}}``."""
    return {_NOVA.get(failure.status, "computeFault"): {"code": failure.status, "message": failure.message}}


def keystone(failure: Failure) -> Any:
    """Keystone's: ``{"error": {"code": 404, "title": "Not Found", "message": …}}``."""
    return {"error": {"code": failure.status, "title": title(failure.status), "message": failure.message}}


def glance(failure: Failure) -> Any:
    """Glance answers in HTML, which clients only print; this is its JSON."""
    return {"code": failure.status, "title": title(failure.status), "message": failure.message}


def cinder(failure: Failure) -> Any:
    """Cinder's: as Nova's, from which it came."""
    return nova(failure)


_NEUTRON_NOUNS: Final = {
    "networks": "Network",
    "subnets": "Subnet",
    "ports": "Port",
    "security-groups": "SecurityGroup",
    "security-group-rules": "SecurityGroupRule",
    "extensions": "Extension",
    "quotas": "Quota",
    "agents": "Agent",
}


def neutron(failure: Failure) -> Any:
    """Neutron's: ``{"NeutronError": {"type": "NetworkNotFound", "message": …, "detail": ""}}``."""
    noun = _NEUTRON_NOUNS.get(failure.noun, "HTTP")
    if isinstance(failure.error, QuotaExceeded):
        kind = "OverQuota"
    elif failure.status == 404:
        kind = f"{noun}NotFound"
    elif failure.status == 409 and noun != "HTTP":
        kind = f"{noun}InUse"
    else:
        kind = "HTTP" + title(failure.status).replace(" ", "")
    return {"NeutronError": {"type": kind, "message": failure.message, "detail": ""}}


_QUOTA_EXCEEDED: Final[Mapping[FaultBody, int]] = {neutron: 409, cinder: 413}


def title(status: int) -> str:
    """HTTP's own phrase for a status."""
    return HTTPStatus(status).phrase

"""Whether a host takes guests, as its operator has ordered. Touches nothing.

it stands       order                it stands after it
enabled         Drain                drained, with its reason
drained         Drain                drained, with the new reason
drained         Undrain              enabled
enabled         Undrain              as it did
not retired     Retire, no guests    retired
not retired     Retire, guests       Conflict: as it did
retired         Retire               as it did
retired         Drain, Undrain       Conflict: as it did
"""

from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict
from freehold.vocabulary.host import REASON_LETTERS_MAX, Drain, Host, Retire, Undrain

RETIRED: Final = "It is retired."
"""The reason that a retired host is shown with, as long as it is shown."""


def ordered(host: Host, order: Drain | Undrain | Retire, guests: int, now: int) -> Host:
    """`host`, which has so many guests, after an order at clock time `now`. Raises Conflict, BadRequest."""
    if host.retired:
        if isinstance(order, Retire):
            return host
        raise Conflict(f"Host {host.name} is retired, for good: start it over a new state folder to have it back.")
    match order:
        case Drain(reason=reason):
            return replace(host, enabled=False, disabled_reason=checked_reason(reason))
        case Undrain():
            return replace(host, enabled=True, disabled_reason="")
        case Retire():
            if guests:
                raise Conflict(
                    f"Host {host.name} has {guests} guest{'s' if guests > 1 else ''}. Drain it, have them deleted, and"
                    " retire it then; guests can't be moved yet."
                )
            return replace(host, enabled=False, disabled_reason=RETIRED, retired=now)


def checked_reason(reason: str) -> str:
    """The reason, if it can be kept. Raises BadRequest."""
    if len(reason) > REASON_LETTERS_MAX or not (reason.isprintable() or not reason):
        raise BadRequest(f"A reason has at most {REASON_LETTERS_MAX} letters, on one line.")
    return reason


def refusal_sentence(host: Host) -> str:
    """Why a host that isn't enabled takes no guest. Tenants may read it: the operator's own words aren't for them."""
    if host.retired:
        return f"Host {host.name} is retired and takes no guests any more."
    return f"Host {host.name} is drained and takes no new guests."

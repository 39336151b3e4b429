"""A request's URN, as a client is told it: with every answer to a call that makes or changes a guest."""

from typing import Final

from freehold.api.call import Call
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.ids import URN_PREFIX, is_request_urn, request_urn

ID_PREFIX: Final = "req-"
"""What OpenStack's request ids begin with: the same UUID follows as in the URN."""

IDEMPOTENCY_KEY_LENGTH_MAX: Final = 255


def request_id(urn: str) -> str:
    """A request's URN as clients know request ids: ``req-…``."""
    return ID_PREFIX + urn.removeprefix(URN_PREFIX)


def urn_of(text: str) -> str:
    """The URN that a client means by a URN or a request id; empty for what is neither."""
    urn = request_urn(text.removeprefix(ID_PREFIX)) if text.startswith(ID_PREFIX) else text
    return urn if is_request_urn(urn) else ""


def idempotency_key(call: Call) -> str:
    """What a client calls a request by, so that it is done once however often it is sent; empty if it has no name.
    Raises BadRequest for one that can't be one.
    """
    key = call.headers.get("idempotency-key", "")
    if len(key) > IDEMPOTENCY_KEY_LENGTH_MAX or not key.isprintable():
        raise BadRequest(f"Idempotency-Key must be at most {IDEMPOTENCY_KEY_LENGTH_MAX} printable characters")
    return key


def new_urn(call: Call) -> str:
    """The URN of what this call asks for: that of its request id, so that a client finds one by the other."""
    return urn_of(call.request_id)


def url(call: Call, urn: str) -> str:
    """Where a request can be looked at."""
    return f"{call.cloud.public_url}/freehold/v1/requests/{urn}"


def headers(call: Call, *urns: str) -> dict[str, str]:
    """The headers of an answer that is about requests: where each can be looked at. The call's own id becomes that of
    the first.
    """
    call.request_id = request_id(urns[0])
    return {"link": ", ".join(f'<{url(call, urn)}>; rel="monitor"' for urn in urns)}

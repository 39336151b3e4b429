"""The rules of letting machines in. Pure.

invitation   none        Invite, unless a machine that isn't barred has the name      open
             open        Enroll with its secret, in time, by who has the key          used, for this request
             used        the same Enroll again                                        as it was: the same machine
             used        another Enroll                                               Conflict
machine      none        its invitation's Enroll                                      known
             known       Renew, signed by the key that is known                       known by the new key
             known       Bar                                                          barred, for good
"""

from hmac import compare_digest
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.codec import decode
from freehold.vocabulary.errors import BadRequest, Conflict, Unauthorized
from freehold.vocabulary.machine import (
    PASSPORT_LIFE_S,
    EarlierKey,
    Enroll,
    Invite,
    Machine,
    MachineRequest,
    Passport,
    mac,
)
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import unix_ms
from freehold.vocabulary.word import Word

STORES_MAX: Final = 1000
KEY_BYTES: Final = 32
REFUSED_MAX: Final = 8000
"""Keys on a roll: more than that is more than a message. The others are refused by those who hear them."""
ROLES: Final = frozenset(
    {"directory", "registrar", "image", "scheduler", "network", "volume", "host", "notifier", "api", "broker"}
)


class Invitation(Word, frozen=True, kw_only=True):
    """What the directory keeps of an invitation (private; key its id)."""

    id: str
    secret: Secret
    name: str
    roles: tuple[str, ...]
    cluster: str
    expires_ms: int
    request: bytes = b""
    """The request that has used it."""
    machine: str = ""
    """The machine that has come of it."""


def invited(asked: Invite, machines: list[Machine], invitation: str, secret: Secret, now: int) -> Invitation:
    """A new invitation. Raises Conflict if a machine that isn't barred has the name, BadRequest."""
    unknown = sorted(set(asked.roles) - ROLES)
    if unknown or not asked.roles:
        raise BadRequest(f"roles {', '.join(unknown) or 'are missing'}; there are {', '.join(sorted(ROLES))}")
    if not asked.name or not asked.name.isprintable() or len(asked.name) > 255:
        raise BadRequest("a machine has a name of up to 255 letters")
    if not is_cluster(asked.cluster):
        raise BadRequest(f"cluster is {asked.cluster!r}; it can have letters, digits and dashes")
    if not 1 <= asked.life_s <= 30 * 24 * 3600:
        raise BadRequest("an invitation holds for 1 second to 30 days")
    if any(machine.name == asked.name and not machine.barred for machine in machines):
        raise Conflict(f"there is a machine {asked.name} already; bar it first, or choose another name")
    return Invitation(
        id=invitation,
        secret=secret,
        name=asked.name,
        roles=asked.roles,
        cluster=asked.cluster,
        expires_ms=unix_ms(now) + round(asked.life_s * 1000),
    )


def is_cluster(name: str) -> bool:
    """Whether this can be the name of a cluster. It becomes part of subjects."""
    return name.isascii() and name.replace("-", "").isalnum()


def admitted(invitation: Invitation | None, asked: Enroll, now: int) -> MachineRequest:
    """The request of a machine that shows an invitation. Raises Unauthorized, without saying which part was wrong;
    Conflict if the invitation was used by another; BadRequest.
    """
    if invitation is None or not compare_digest(mac(invitation.secret, asked.request), asked.mac):
        raise Unauthorized("This invitation can't be used.")
    if invitation.expires_ms <= unix_ms(now):
        raise Unauthorized("This invitation can't be used.")
    if invitation.request and invitation.request != asked.request:
        raise Conflict("this invitation was used by another machine; if that wasn't you, bar it, and ask for a new one")
    return requested(asked.request)


def requested(text: bytes) -> MachineRequest:
    """A machine's request, read. Raises BadRequest."""
    try:
        request = decode(text, MachineRequest)
    except ValueError as error:
        raise BadRequest("the machine's request can't be read") from error
    if len(request.key) != KEY_BYTES or len(request.stores) > STORES_MAX:
        raise BadRequest(f"a machine's key has {KEY_BYTES} bytes, and it has at most {STORES_MAX} stores")
    if not all(store.isascii() and store.replace("-", "").isalnum() for store in request.stores):
        raise BadRequest("a store's id has letters, digits and dashes")
    return request


def check_stores(request: MachineRequest, machines: list[Machine], but: str = "") -> None:
    """Raises Conflict if another machine that isn't barred speaks for one of the stores."""
    taken = {store for machine in machines if not machine.barred and machine.id != but for store in machine.stores}
    shared = sorted(taken & set(request.stores))
    if shared:
        raise Conflict(f"store {shared[0]} is another machine's; bar that first if it is gone")


def enrolled(invitation: Invitation, request: MachineRequest, machine: str, now: int) -> Machine:
    """The machine that has come of an invitation."""
    return Machine(
        id=machine,
        name=invitation.name,
        roles=invitation.roles,
        cluster=invitation.cluster,
        stores=request.stores,
        key=request.key,
        enrolled=now,
        expires_ms=ends_ms(now),
    )


def renewed(machine: Machine | None, request: MachineRequest, now: int) -> Machine:
    """A machine with its new key. Raises Unauthorized for one that is barred, or unknown."""
    if machine is None or machine.barred:
        raise Unauthorized("This machine gets no passport.")
    earlier = machine.earlier
    if request.key != machine.key:
        earlier = (*earlier, EarlierKey(key=machine.key, expires_ms=machine.expires_ms))
    earlier = tuple(one for one in earlier if one.expires_ms > unix_ms(now))
    return replace(machine, key=request.key, stores=request.stores, expires_ms=ends_ms(now), earlier=earlier)


def refused_keys(machines: list[Machine], now: int) -> dict[bytes, int]:
    """Every key of who was shut out, and when its last ticket ends (unix ms): of many, of who was shut out last."""
    latest = sorted((machine for machine in machines if machine.barred), key=lambda machine: -machine.barred)
    keys = [(m.key, m.expires_ms) for m in latest] + [(k.key, k.expires_ms) for m in latest for k in m.earlier]
    return dict([(key, until_ms) for key, until_ms in keys if until_ms > unix_ms(now)][:REFUSED_MAX])


def barred(machine: Machine, now: int) -> Machine:
    """A machine that is shut out. A second time changes nothing."""
    return machine if machine.barred else replace(machine, barred=now)


def still_barred(machines: list[Machine], now: int) -> tuple[str, ...]:
    """Who was shut out and has a passport that holds."""
    return tuple(sorted(m.id for m in machines if m.barred and m.expires_ms > unix_ms(now)))


def passport_of(machine: Machine, now: int) -> Passport:
    """What the authority says of a machine."""
    return Passport(
        machine=machine.id,
        name=machine.name,
        roles=machine.roles,
        cluster=machine.cluster,
        stores=machine.stores,
        key=machine.key,
        issued_ms=unix_ms(now),
        expires_ms=machine.expires_ms,
    )


def ends_ms(now: int) -> int:
    """When a passport of now ends."""
    return unix_ms(now) + round(PASSPORT_LIFE_S * 1000)

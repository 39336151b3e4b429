"""The feed: what owners' logs say, as events of the lives of guests and other things, for people. Pure.

    owner      kind        what changed                               event
    host       guest       its state, as Nova would show it           freehold.guest.building, active, stopped …
    host       guest       name, description, metadata, tags          freehold.guest.updated
    host       action      begun; ended                               freehold.request.started, done, failed
    network    port        addresses, for a guest under a deed        freehold.guest.addressed
    network    port        of no guest: made, changed, gone           freehold.port.created, updated, deleted
    network    network     made, changed, gone                        freehold.network.created, updated, deleted
    image      image       made, usable, changed, gone                freehold.image.created, active, updated, deleted
    registrar  request     its stage                                  freehold.request.admitted, scheduled, building …
    registrar  admission   another attempt                            freehold.request.refused
    registrar  admission   failed; to be deleted; gone                freehold.guest.error, deleting, deleted

One entry of a log gives one event at most, whoever reads it, at whatever time, and it is the same to the last byte: its
id stands for the owner's store, epoch and sequence. It is made from those by a digest with the project, so that nobody
learns which guests of several projects are on one host.

What a tenant may see is in it and nothing else: addresses come from the network worker, not from the host; hosts, deeds
and the figures of a host that refused stay out. What a host tells of a guest counts only under a deed that the ledger
has given it: `deed` and `guest` are there for `is_given`, which whoever passes an event on asks first.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec

from freehold.vocabulary.codec import KINDS, OWNED_BY, decode_kind
from freehold.vocabulary.envelope import Entry, Owner
from freehold.vocabulary.errors import Fault, refused_to_tenant
from freehold.vocabulary.guest import Action, Guest, GuestState
from freehold.vocabulary.image import Image, ImageStatus
from freehold.vocabulary.network import Network, Port
from freehold.vocabulary.request import Admission, Request, Stage
from freehold.vocabulary.units import iso_millis
from freehold.vocabulary.word import Word

ID_BYTES: Final = 16
SPEC_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/cloudevents+json"
"""Of an envelope in structured mode."""

STATUS: Final[dict[str, str]] = {
    "building": "BUILD",
    "active": "ACTIVE",
    "starting": "SHUTOFF",
    "stopping": "ACTIVE",
    "stopped": "SHUTOFF",
    "paused": "PAUSED",
    "rebooting": "REBOOT",
    "error": "ERROR",
    "deleting": "ACTIVE",
    "deleted": "DELETED",
}
"""The status that Nova shows with each of a guest's events."""

TYPES: Final = frozenset(
    {f"freehold.guest.{word}" for word in (*STATUS, "addressed", "updated")}
    | {f"freehold.request.{word}" for word in (*Stage, "refused", "started", "done") if word != Stage.ADDRESSED}
    | {f"freehold.image.{word}" for word in ("created", "active", "updated", "deleted")}
    | {f"freehold.{noun}.{word}" for noun in ("network", "port") for word in ("created", "updated", "deleted")}
)
"""Every type there is."""

_BY_STATE: Final[dict[GuestState, str]] = {
    GuestState.RUNNING: "active",
    GuestState.STOPPED: "stopped",
    GuestState.PAUSED: "paused",
    GuestState.CRASHED: "error",
    GuestState.QUARANTINED: "error",
    GuestState.SHUTTING_DOWN: "stopping",
    GuestState.STOPPING: "stopping",
    GuestState.REBOOTING_SOFT: "rebooting",
    GuestState.REBOOTING_HARD: "rebooting",
    GuestState.DELETING: "",  # the registrar told that it is to go, and will tell that it is gone
    GuestState.REFUSING: "",  # and that another attempt is made
}
"""States in progress that aren't here belong to a build, or to a start."""


class Event(Word, frozen=True, kw_only=True):
    """Something that happened to a thing of a project's. Everything down to `data` is for people."""

    id: str
    type: str
    """One of `TYPES`."""
    subject: tuple[str, str]
    """Kind and id: ``("guest", "3f…")``."""
    project: str
    time: int
    """The clock time at which the owner wrote it."""
    data: dict[str, Any]
    guest: str = ""
    """The guest that it is about; empty: none."""
    request: str = ""
    """The URN of the request that it belongs to, where that is known."""
    deed: int = 0
    """Under which a host or network worker tells of the guest; 0: it needs none."""


def event_of(owner: Owner, epoch: str, entry: Entry, before: bytes | None) -> Event | None:
    """The event in an entry of an owner's log, or None. `before`: what stood under the entry's key in that log, None
    for nothing. What can't be read, or isn't the owner's to tell, gives None.
    """
    tell = _TELLERS.get(entry.kind)
    if tell is None or OWNED_BY[entry.kind] != owner.role:
        return None
    try:
        was = None if before is None else decode_kind(entry.kind, before)
        now = None if entry.value is None else decode_kind(entry.kind, entry.value)
    except ValueError:  # said by the follower
        return None
    told = tell(was, now) if was is not None or now is not None else None
    if told is None:
        return None
    about: Any = now or was
    return Event(
        id=_id(about.project, owner.store, epoch, entry.seq),
        type=f"freehold.{told.noun}.{told.word}",
        subject=(told.noun, told.subject),
        project=about.project,
        time=entry.time,
        data=told.data,
        guest=told.guest,
        request=told.request,
        deed=told.deed,
    )


def is_given(owner: Owner, event: Event, admission: Admission | None) -> bool:
    """Whether the ledger has given the guest of an event to the owner that tells of it; `admission`: the guest's, or as
    it last was. A host shows nothing of guests that it has no deed for, and nothing in another project's name.
    """
    if not event.guest or not event.deed:
        return True
    if admission is None or admission.project != event.project:
        return False
    deed = admission.deed
    if owner.role != "host":
        return deed is not None and (deed.cluster == owner.cluster or bool(admission.refused_hosts))
    held = {deed.host: deed.number} if deed is not None else {}
    return owner.store in admission.refused_hosts or held.get(owner.store, 0) >= event.deed


def is_early(owner: Owner, event: Event, admission: Admission | None) -> bool:
    """Whether the ledger may give the guest to who tells of it yet: his log may be read before the ledger's. Under a
    deed that the ledger has gone past, only an old copy of the guest tells of it.
    """
    if admission is None:
        return bool(event.guest and event.deed)
    return not is_given(owner, event, admission) and (admission.deed is None or admission.deed.number < event.deed)


def envelope(event: Event) -> dict[str, Any]:
    """The event as a CloudEvents 1.0 envelope, to be written as JSON in structured mode."""
    kind, key = event.subject
    return {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": f"/freehold/projects/{event.project}",
        "type": event.type,
        "subject": f"{kind}/{key}",
        "time": iso_millis(event.time),
        "datacontenttype": "application/json",
        "data": event.data,
    }


def reason(fault: Fault) -> dict[str, str]:
    """Why a host refused an attempt, as a tenant may know it."""
    told = refused_to_tenant(fault)
    return {"code": told.code, "message": told.message}


def guest_word(guest: Guest) -> str:
    """Where a guest stands, as the end of an event's type; empty where that says nothing to its owner."""
    if guest.state in _BY_STATE:
        return _BY_STATE[guest.state]
    return "building" if guest.launched is None else "starting"


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    noun: str
    word: str
    subject: str
    data: dict[str, Any]
    guest: str = ""
    request: str = ""
    deed: int = 0


def _guest(was: Guest | None, now: Guest | None) -> _Told | None:
    if now is None:  # refused or deleted: the registrar tells which
        return None
    word = guest_word(now)
    if was is not None and guest_word(was) == word:
        word = "updated" if was.labels != now.labels else ""
    if not word:
        return None
    request = now.working_for or (was.working_for if was is not None else "")
    data: dict[str, Any] = {"id": now.id, "name": now.labels.name, "status": _status(now), "request": request or None}
    if word == "error" and now.fault is not None:
        data["fault"] = _fault(now.fault)
    if word == "updated":
        data |= {"description": now.labels.description, "metadata": now.labels.metadata, "tags": list(now.labels.tags)}
    return _Told(
        noun="guest", word=word, subject=now.id, data=data, guest=now.id, request=request, deed=max(now.deed, 1)
    )


def _status(guest: Guest) -> str:
    if guest.state is GuestState.REBOOTING_HARD:
        return "HARD_REBOOT"
    return STATUS.get(guest_word(guest), STATUS["active"])


def _action(was: Action | None, now: Action | None) -> _Told | None:
    if now is None or now.action in ("create", "delete", "restore"):  # those are the ledger's
        return None
    if now.finished is None:
        word = "started" if was is None else ""
    else:
        word = "" if was is not None and was.finished is not None else "failed" if now.fault else "done"
    if not word:
        return None
    data: dict[str, Any] = {"id": now.urn, "action": now.action, "stage": word, "guest": now.guest}
    if now.fault is not None:
        data["fault"] = _fault(now.fault)
    return _Told(
        noun="request",
        word=word,
        subject=now.urn,
        data=data,
        guest=now.guest,
        request=now.urn,
        deed=max(now.deed, 1),
    )


def _request(was: Request | None, now: Request | None) -> _Told | None:
    if now is None:
        return None
    word = _stage(now)
    if was is not None and (_stage(was) == word or word == Stage.ADMITTED):  # again, after a refusal: that is told
        return None
    data: dict[str, Any] = {"id": now.urn, "action": now.action, "stage": word, "guest": now.guest}
    if now.fault is not None:
        data["fault"] = _fault(now.fault)
    return _Told(noun="request", word=word, subject=now.urn, data=data, guest=now.guest, request=now.urn)


def _stage(request: Request) -> str:
    """The last stage; ``done`` or ``failed`` for a request that has ended without one of its own."""
    last = request.stages[-1][0] if request.stages else Stage.ADMITTED.value
    if request.finished is None or last in (Stage.ACTIVE, Stage.FAILED):
        return last
    return "done" if request.fault is None else Stage.FAILED.value


def _admission(was: Admission | None, now: Admission | None) -> _Told | None:
    if was is None:  # its request is told of
        return None
    if now is None:
        return _of_guest(was, "deleted", was.delete_urn)
    if now.delete_urn and not was.delete_urn:
        return _of_guest(now, "deleting", now.delete_urn)
    if now.attempts > was.attempts:
        data: dict[str, Any] = {"id": now.urn, "action": "create", "stage": "refused", "guest": now.guest}
        data |= {"attempt": was.attempts, "reason": reason(now.refused[-1]) if now.refused else None}
        return _Told(noun="request", word="refused", subject=now.urn, data=data, guest=now.guest, request=now.urn)
    if now.stage is Stage.FAILED and was.stage is not Stage.FAILED:
        return _of_guest(now, "error", now.urn)
    return None


def _of_guest(admission: Admission, word: str, request: str) -> _Told:
    guest = admission.guest
    data: dict[str, Any] = {
        "id": guest,
        "name": admission.labels.name,
        "status": STATUS[word],
        "request": request or None,
    }
    if word == "error" and admission.fault is not None:
        data["fault"] = _fault(admission.fault)
    return _Told(noun="guest", word=word, subject=guest, data=data, guest=guest, request=request)


def _port(was: Port | None, now: Port | None) -> _Told | None:
    for_guest = now is not None and bool(now.deed and now.device)
    if now is not None and for_guest:
        if was is not None and _reached_at(was) == _reached_at(now):
            return None
        request = now.made_for.urn if now.made_for is not None else ""
        data = {"id": now.device, "addresses": _addresses(now), "port": now.id, "network": now.network, "mac": now.mac}
        return _Told(
            noun="guest",
            word="addressed",
            subject=now.device,
            data=data,
            guest=now.device,
            request=request,
            deed=now.deed,
        )
    if was is not None and was.made_for is not None:  # it went with its guest
        return None
    port = now or was
    assert port is not None
    word = "created" if was is None else "deleted" if now is None else "updated"
    data = {"id": port.id, "name": port.name, "network": port.network, "mac": port.mac, "addresses": _addresses(port)}
    return _Told(noun="port", word=word, subject=port.id, data=data)


def _reached_at(port: Port) -> tuple[object, ...]:
    return port.device, port.deed, port.addresses, port.mac


def _addresses(port: Port) -> list[str]:
    return [address.address for address in port.addresses]


def _network(was: Network | None, now: Network | None) -> _Told | None:
    network = now or was
    assert network is not None
    word = "created" if was is None else "deleted" if now is None else "updated"
    data = {"id": network.id, "name": network.name, "shared": network.shared, "mtu": network.mtu}
    return _Told(noun="network", word=word, subject=network.id, data=data)


def _image(was: Image | None, now: Image | None) -> _Told | None:
    image = now or was
    assert image is not None
    word = "created" if was is None else "deleted" if now is None else "updated"
    if was is not None and now is not None and now.status is ImageStatus.ACTIVE and was.status is not now.status:
        word = "active"
    data: dict[str, Any] = {"id": image.id, "name": image.name, "status": image.status.value}
    data |= {
        "visibility": image.visibility.value,
        "size": image.size_bytes,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
    }
    return _Told(noun="image", word=word, subject=image.id, data=data)


def _fault(fault: Fault) -> dict[str, str]:
    return {"code": fault.code, "message": fault.message}


def _id(project: str, store: str, epoch: str, seq: int) -> str:
    return blake2b(f"{project}\0{store}\0{epoch}\0{seq}".encode(), digest_size=ID_BYTES).hexdigest()


_TELLERS: Final[dict[str, Callable[[Any, Any], _Told | None]]] = {
    "guest": _guest,
    "action": _action,
    "request": _request,
    "admission": _admission,
    "port": _port,
    "network": _network,
    "image": _image,
}
"""Kinds that have something to tell, and who tells it from the record before and after."""

KINDS_TOLD: Final = tuple(kind for kind in KINDS if kind in _TELLERS)

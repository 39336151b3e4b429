"""The rules of the ledger: what an admission becomes by what came. Pure.

    stage        by                                         becomes
    -            Admit                                      ADMITTED
    ADMITTED     RecordDeed                                 SCHEDULED
    SCHEDULED    a host's record under the deed             BUILDING
    SCHEDULED,   a host's refusal of the deed               SCHEDULED, with that host refused: sent again, deed n+1
    BUILDING
    BUILDING     the host's record says it runs             ACTIVE: the request has ended
    before       GiveUp under the newest deed, or its       FAILED: the request has ended; a host with the deed is
    ACTIVE       deadline                                   asked to refuse it for good, unless it has run it
    FAILED       the host's record says it runs             ACTIVE: it came too late for its request, and is there
    any          DeleteGuest, nobody can have built it      gone
    any          DeleteGuest otherwise                      DELETING: carried to the host until its refusal is seen
    DELETING     the host's refusal of the deed             gone
    ACTIVE       the host's refusal, as deleted             gone: this ledger was put back to before the delete
    ACTIVE       the host's refusal otherwise               FAILED: its host has nothing of it any more
    ACTIVE       Lost, by the host with the deed            as it was, and sent to that host until it shows the guest
    none         a host's record of the guest, unless it    as the host says: this ledger was put back to before it
                 is known to have ended

And of a guest whose host is fenced:

    ACTIVE       Evacuate                                   as it was, and sent on its way to another host
    SCHEDULED,   Evacuate                                   the same, by its own request
    BUILDING
    any, moving  RecordDeed of the next number              SCHEDULED: it has left its host
    any, moving  GiveUp, its deadline, the host is let in   as it was: it stays its host's
    FAILED,      Evacuate                                   ADMITTED: tried once more
    had left
    any          DeleteGuest                                gone

The host's refusal on its disk, or the fence of the host, are the only evidence that ends a deed; no clock does.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import Conflict, Fault, QuotaExceeded, refused_to_tenant
from freehold.vocabulary.guest import Guest, GuestState, Refusal
from freehold.vocabulary.network import NetworkWanted
from freehold.vocabulary.request import Admission, Build, Request, Stage
from freehold.vocabulary.tenant import UNLIMITED, Quota, Resource

ENDED: Final = frozenset({Stage.ACTIVE, Stage.FAILED})
"""Stages in which the request to build has ended."""

LEFT_MAX: Final = 8
"""How many hosts that it has left are remembered of a guest."""

Usage = Mapping[Resource, int]

_RAN: Final = frozenset({GuestState.RUNNING, GuestState.STOPPED, GuestState.PAUSED, GuestState.CRASHED})


def wanted(build: Build) -> dict[Resource, int]:
    """What one guest takes of its project's quota."""
    flavor = build.spec.flavor
    return {Resource.INSTANCES: 1, Resource.CORES: flavor.vcpus, Resource.RAM_MIB: flavor.ram_mib}


def check_quota(quota: Quota, used: Usage, more: Usage) -> None:
    """Raises QuotaExceeded, naming the resource and the figures, if `more` doesn't fit."""
    for resource, amount in more.items():
        limit = int(getattr(quota, resource.value))
        if limit != UNLIMITED and used.get(resource, 0) + amount > limit:
            raise QuotaExceeded(
                f"Quota exceeded for {resource.value}: Requested {amount}, but already used {used.get(resource, 0)} "
                f"of {limit} {resource.value}"
            )


def admitted(build: Build) -> Admission:
    """The admission of a build that has its ids and times."""
    return Admission(
        guest=build.guest,
        project=build.project,
        user=build.user,
        urn=build.urn,
        created=build.created,
        hostname=build.hostname,
        labels=build.labels,
        spec=build.spec,
        networks=build.networks,
        updated=build.created,
    )


def may_hold(admission: Admission) -> bool:
    """Whether some host may have, or may yet build, the guest: there is a deed that hasn't been refused on disk."""
    return admission.live_deed() is not None


def deed_recorded(admission: Admission | None, deed: Deed, now: int) -> Admission:
    """The admission with `deed`, or with the deed that was first for this number. Raises Conflict if the guest may get
    no deed now.
    """
    if admission is not None and admission.moving and deed.urn == admission.moving:
        return _left(admission, deed, now)
    if admission is None or admission.delete_urn or admission.stage in ENDED or admission.urn != deed.urn:
        raise Conflict(f"guest {deed.guest} is gone or has ended; it gets no deed")
    highest = admission.deed
    if highest is not None and may_hold(admission):
        return admission
    if deed.number != (1 if highest is None else highest.number + 1):
        raise Conflict(f"deed {deed.number} of guest {deed.guest} doesn't follow the highest")
    return replace(admission, deed=deed, stage=Stage.SCHEDULED, updated=now)


def _left(admission: Admission, deed: Deed, now: int) -> Admission:
    """The admission that has left its host for the one in `deed`. That the host is fenced is the caller's to know."""
    assert admission.deed is not None
    if deed.number == admission.deed.number:
        return admission
    if deed.number != admission.deed.number + 1 or deed.host == admission.deed.host:
        raise Conflict(f"deed {deed.number} of guest {deed.guest} doesn't follow the highest")
    return replace(
        _asked_anew(admission, admission.moving, now),
        deed=deed,
        stage=Stage.SCHEDULED,
        left=(*admission.left, admission.deed.host)[-LEFT_MAX:],
    )


def _asked_anew(admission: Admission, urn: str, now: int) -> Admission:
    """The admission being built by the request `urn`, and by no attempt yet."""
    return replace(
        admission,
        urn=urn,
        made_urn=admission.made_urn or (admission.urn if admission.urn != urn else ""),
        stage=Stage.ADMITTED,
        attempts=admission.attempts + 1,
        refused=(),
        refused_hosts=(),
        fault=None,
        lost=False,
        moving="",
        updated=now,
    )


def evacuation_asked(admission: Admission, host: str, urn: str, now: int) -> Admission:
    """The admission that is to leave `host`, which is fenced, by the request `urn` or by the one that is under way.
    Raises Conflict if it can't.
    """
    deed = admission.live_deed()
    if admission.delete_urn:
        raise Conflict(f"Instance {admission.guest} is being deleted.")
    if deed is None and admission.stage is Stage.FAILED and host in admission.left:
        return _asked_anew(admission, urn, now)
    if deed is None or deed.host != host:
        raise Conflict(f"Instance {admission.guest} isn't on that host any more.")
    if admission.stage is Stage.FAILED:
        raise Conflict(f"The build of instance {admission.guest} had failed: there is nothing to evacuate. Delete it.")
    if admission.moving:
        return admission
    return replace(admission, moving=urn if admission.stage is Stage.ACTIVE else admission.urn, updated=now)


def stayed(admission: Admission, now: int) -> Admission:
    """The admission that has found no other host, or needs none: its host has it as before."""
    return replace(admission, moving="", updated=now)


def guest_seen(admission: Admission, guest: Guest, now: int) -> Admission:
    """The admission after the record of a host was seen."""
    if admission.deed is None or (guest.deed, guest.host) != (admission.deed.number, admission.deed.host):
        return admission
    if admission.lost:
        admission = replace(admission, lost=False, updated=now)
    if admission.delete_urn or admission.stage is Stage.ACTIVE or not may_hold(admission):
        return admission
    if guest.state in _RAN and guest.launched is not None:
        return replace(admission, stage=Stage.ACTIVE, fault=None, updated=now)
    if admission.stage in (Stage.BUILDING, Stage.FAILED):
        return admission
    return replace(admission, stage=Stage.BUILDING, updated=now)


def refusal_seen(admission: Admission, refusal: Refusal, host: str, now: int) -> Admission | None:
    """The admission after a host's refusal was seen; None when it has ended and nothing is left to wait for."""
    if admission.deed is None or admission.deed.host != host or refusal.deed < admission.deed.number:
        return admission
    if not may_hold(admission):  # told again: it has had its effect
        return admission
    refused = replace(admission, refused_deed=admission.deed.number, updated=now)
    if admission.delete_urn or (refusal.deleted and admission.stage is Stage.ACTIVE):
        return None  # also when this ledger was put back to before the delete was asked for
    if admission.stage is Stage.ACTIVE:
        return failed(refused, refusal.fault, now)
    if admission.stage is Stage.FAILED:
        return refused
    return replace(
        refused,
        stage=Stage.ADMITTED,
        attempts=admission.attempts + 1,
        refused=(*admission.refused, refusal.fault),
        refused_hosts=(*admission.refused_hosts, host),
    )


def adopted(guest: Guest, now: int) -> Admission:
    """The admission of a guest that a host shows and this ledger has lost, as it was put back to an old copy."""
    deed = Deed(
        guest=guest.id, project=guest.project, number=guest.deed, host=guest.host, cluster=guest.cluster, urn=guest.urn
    )
    return Admission(
        guest=guest.id,
        project=guest.project,
        user=guest.user,
        urn=guest.urn,
        created=guest.created,
        hostname=guest.hostname,
        labels=guest.labels,
        spec=guest.spec,
        networks=tuple(NetworkWanted(port=wiring.port) for wiring in guest.ports),
        stage=Stage.ACTIVE if guest.launched is not None else Stage.BUILDING,
        deed=deed,
        updated=now,
    )


def is_held(admission: Admission) -> bool:
    """Whether its host has shown that it runs it, and hasn't let go of it. One that isn't ACTIVE is sent anyway."""
    return may_hold(admission) and admission.stage is Stage.ACTIVE


def is_shown(admission: Admission) -> bool:
    """Whether its host has shown a record of it, and is to have it: a host without one was put back to an old copy."""
    return is_held(admission) or (
        may_hold(admission) and admission.stage is Stage.BUILDING and not admission.delete_urn
    )


def is_sent(admission: Admission) -> bool:
    """Whether its host is being sent it, and has shown nothing of it so far."""
    return may_hold(admission) and admission.stage is Stage.SCHEDULED and not admission.delete_urn


def lost(admission: Admission | None, host: str, now: int) -> Admission | None:
    """The admission after its host has said that it has no record of the guest; None if it isn't that host's to say."""
    if admission is None or admission.deed is None or admission.deed.host != host or admission.lost:
        return None
    return replace(admission, lost=True, updated=now) if is_held(admission) else None


def given_up(admission: Admission, deed: int, fault: Fault, now: int) -> Admission:
    """The admission after a stage gave up under `deed`. One that is out of date changes nothing."""
    if admission.moving:
        return stayed(admission, now)
    newest = 0 if admission.deed is None else admission.deed.number
    if admission.stage in ENDED or admission.delete_urn or deed < newest:
        return admission
    return failed(admission, fault, now)


def failed(admission: Admission, fault: Fault, now: int) -> Admission:
    """The admission when its request has failed for good."""
    return replace(admission, stage=Stage.FAILED, fault=fault, moving="", updated=now)


def expired(admission: Admission, now: int) -> Admission:
    """The admission when its deadline has passed."""
    last = refused_to_tenant(admission.refused[-1]).message if admission.refused else "No host said why."
    message = f"The guest wasn't built before its deadline; the last refusal: {last} Try again or ask the operator."
    return failed(admission, Fault(code="NoAnswer", message=message), now)


def delete_asked(admission: Admission, urn: str, now: int, cancelled: str = "") -> Admission | None:
    """The admission with the intent to delete; None if no host can have it. A second delete changes nothing.

    `cancelled`: the request that made the guest, if that is to be taken back. Raises Conflict if it can't be any more.
    """
    if cancelled:
        _check_cancel(admission, cancelled)
    if not may_hold(admission):
        return None
    return admission if admission.delete_urn else replace(admission, delete_urn=urn, moving="", updated=now)


def _check_cancel(admission: Admission, urn: str) -> None:
    if admission.urn != urn or admission.stage in ENDED:
        raise Conflict("The request has ended: there is nothing left to cancel. Delete the server if it isn't wanted.")
    if admission.delete_urn:
        raise Conflict("The server is being deleted already, and its request ends with it.")


def ended(request: Request, now: int, fault: Fault | None = None) -> Request:
    """The request having ended without another stage of its own: its guest is gone."""
    return request if request.finished is not None else replace(request, finished=now, fault=fault)


def staged(request: Request, stage: Stage, now: int, fault: Fault | None = None) -> Request:
    """The request having come to `stage`; those in `ENDED` end it."""
    if request.finished is not None or (request.stages and request.stages[-1][0] == stage.value):
        return request
    stages = (*request.stages, (stage.value, now))
    return replace(request, stages=stages, finished=now if stage in ENDED else None, fault=fault)


def create_request(build: Build) -> Request:
    """The ledger's line of a build."""
    return Request(
        urn=build.urn,
        project=build.project,
        user=build.user,
        action="create",
        guest=build.guest,
        created=build.created,
        expires=build.expires,
        stages=((Stage.ADMITTED.value, build.created),),
    )


def delete_request(admission: Admission, user: str, urn: str, now: int, ended: bool) -> Request:
    """The ledger's line of a delete; `ended` if nobody can have built the guest."""
    return Request(
        urn=urn,
        project=admission.project,
        user=user,
        action="delete",
        guest=admission.guest,
        created=now,
        expires=0,
        stages=((Stage.DELETING.value, now),),
        finished=now if ended else None,
    )

"""Whether a build is taken. Only the host decides whether it has room; touches nothing."""

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary import trait
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import BadRequest, Broken, Conflict, FreeholdError, NoRoom, Unavailable
from freehold.vocabulary.guest import Action, Delete, Guest, GuestState, Power, Refusal
from freehold.vocabulary.host import Host, needed_by
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.request import Build, is_forgotten
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import GIB
from freehold.workers.host.messages import DELETED, NEEDS_IMAGE, WITHDRAWN, BuildSecret, HigherDeedKnown
from freehold.workers.host.standing import refusal_sentence

NO_KEY: Final = Secret("")


@dataclass(frozen=True, slots=True)
class Claimed:
    """It is taken: these are its first records."""

    guest: Guest
    secret: BuildSecret
    action: Action


@dataclass(frozen=True, slots=True)
class Refused:
    """It can't be had here."""

    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Known:
    """It was taken before. `message`: the guest has something to learn from it; `secret`: a fresh key for the image;
    `missed`: the registrar takes it for lost, and is to see its record again.
    """

    message: HigherDeedKnown | None = None
    secret: BuildSecret | None = None
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """It isn't for this host, or it is out of date. `wrong`: nobody should have sent it."""

    reason: str
    wrong: bool = False


Outcome = Claimed | Refused | Known | Dropped


def claim(
    host: Host,
    held: Guest | None,
    refusal: Refusal | None,
    build: Build,
    now: int,
    power: Power = Power.ABSENT,
    *,
    left: bool = False,
    outdated: bool = False,
) -> Outcome:
    """What `host` does with `build`, of which it holds `held` or has refused `refusal`.

    `power`: of what there is of the guest on the machine. Where there is something and no record, the disk was put
    back to an old copy: the record is restored, and nothing of the guest is made anew or taken apart. `left`: the guest
    had left this host, and what is here is from before that. `outdated`: `held` is from before the guest ran here.
    """
    deed = build.deed
    if deed is None:
        return Dropped("it has no deed", wrong=True)
    reason = _not_ours(host, deed, build) or ("it has long expired" if is_forgotten(build, now) else "")
    if reason:
        return Dropped(reason, wrong=True)
    if refusal is not None and (refusal.deleted or deed.number <= refusal.deed):
        return Dropped(f"refused under deed {refusal.deed}")
    if held is not None and held.state is GuestState.QUARANTINED and deed.number > held.deed:
        return Refused(_kept(_refusal(build, deed, _kept_apart(host, held.id), now)))
    if held is None and left and power is not Power.ABSENT and not build.restore:
        return Refused(_kept(_refusal(build, deed, _kept_apart(host, build.guest), now)))
    if held is not None and not (outdated and build.restore):
        return _again(held, deed, build)
    if build.restore or power is not Power.ABSENT:
        return _restored(host, build, deed, power, now)
    try:
        image = _possible(host, build)
    except FreeholdError as error:
        return Refused(_refusal(build, deed, error, now))
    return _claimed(host, build, deed, image, now)


def _kept_apart(host: Host, guest: str) -> Conflict:
    return Conflict(
        f"Host {host.name} keeps an old copy of guest {guest}, and builds nothing over it. Its operator can let go "
        "of that copy: `freehold host discard`."
    )


def was_sent_before(host: Host, build: Build) -> bool:
    """Whether a build was sent to an earlier incarnation of this host. Its ports may have been given back since, by a
    refusal that isn't on this disk any more.
    """
    return build.incarnation not in ("", host.incarnation)


def _not_ours(host: Host, deed: Deed, build: Build) -> str:
    if deed.host != host.id:
        return f"its deed names host {deed.host}"
    if deed.guest != build.guest or deed.project != build.project:
        return "its deed is of another guest"
    if not is_uuid(build.guest) or not all(is_uuid(wiring.port) for wiring in build.ports):
        return "an id in it is none"
    return ""


def _again(held: Guest, deed: Deed, build: Build) -> Outcome:
    if deed.number < held.deed:
        return Dropped(f"deed {held.deed} is held")
    message = HigherDeedKnown(deed) if deed.number > held.deed else None
    fresh = _secret(build) if held.state in NEEDS_IMAGE and build.image is not None else None
    return Known(message, fresh, missed=build.restore)


def _possible(host: Host, build: Build) -> ImageOffer | None:
    """The image to build from; None where it boots from a volume. Raises why the host can't build it."""
    if build.image is None and not any(one.boot for one in build.spec.volumes):
        raise BadRequest("A guest needs an image or a volume to boot from.")
    if not host.enabled:
        raise Unavailable(refusal_sentence(host))
    elsewhere = next((one for one in build.spec.volumes if one.cluster != host.cluster), None)
    if elsewhere is not None:
        raise Unavailable(
            f"Volume {elsewhere.volume} is in availability zone {elsewhere.cluster}, and this host isn't."
        )
    if build.image is not None:
        _check_size(build.image, build)
    lack = trait.lacking(host, build.spec)
    if lack:
        raise Unavailable(f"Host {host.name} {lack}.")
    lacking = [lack for lack in (host.carriage.lacks(wiring) for wiring in build.ports) if lack]
    if lacking:
        raise Unavailable(f"Host {host.name} can't carry the guest's network: it {lacking[0]}.")
    wanted, free = needed_by(build.spec.flavor), host.free()
    if not free.fits(wanted):
        raise NoRoom(
            f"Host {host.name} has {free.vcpus} vCPUs, {free.ram_mib} MiB and {free.disk_gib} GiB free; "
            f"the guest needs {wanted.vcpus}, {wanted.ram_mib} and {wanted.disk_gib}."
        )
    return build.image


def _check_size(image: ImageOffer, build: Build) -> None:
    needed_gib = -(-image.virtual_bytes // GIB)
    disk_gib = build.spec.flavor.disk_gib
    if disk_gib and disk_gib < needed_gib:
        raise BadRequest(
            f"Image {image.id} needs a disk of {needed_gib} GiB; flavor {build.spec.flavor.name} has {disk_gib}."
        )


def _refusal(build: Build, deed: Deed, error: FreeholdError, now: int) -> Refusal:
    return Refusal(
        guest=build.guest, project=build.project, deed=deed.number, urn=build.urn, fault=error.fault(), time=now
    )


def _kept(refusal: Refusal) -> Refusal:
    return replace(refusal, kept_copy=True)


def _secret(build: Build) -> BuildSecret:
    key = build.image.key if build.image else None
    return BuildSecret(user_data=build.user_data, admin_password=build.admin_password, image_key=key)


def _claimed(host: Host, build: Build, deed: Deed, image: ImageOffer | None, now: int) -> Claimed:
    guest = Guest(
        id=build.guest,
        project=build.project,
        user=build.user,
        host=host.id,
        cluster=host.cluster,
        deed=deed.number,
        urn=build.urn,
        spec=build.spec,
        labels=build.labels,
        hostname=build.hostname,
        state=GuestState.FETCHING_IMAGE,
        ports=build.ports,
        volumes=build.spec.volumes,
        image=None if image is None else replace(image, key=NO_KEY),
        working_for=build.urn,
        stays_off=build.stopped,
        created=build.created,
        updated=now,
    )
    action = Action(
        guest=guest.id,
        project=guest.project,
        urn=build.urn,
        action=build.action,
        user=build.user,
        deed=deed.number,
        started=build.created,
    )
    return Claimed(guest, _secret(build), action)


def _restored(host: Host, build: Build, deed: Deed, power: Power, now: int) -> Claimed:
    """The record of a guest that was here before: nothing is made anew, and one that was off stays off.

    If its secrets were lost with the record, its config drive still has them, where it has one.
    """
    claimed = _claimed(host, replace(build, user_data=None, admin_password=None), deed, None, now)
    state, fault = GuestState.WIRING, None
    if power in (Power.OFF, Power.CRASHED):
        state = GuestState.STOPPED
    elif power is Power.ABSENT:
        state, fault = GuestState.CRASHED, Broken("The host has nothing of this guest any more: its disk is gone.")
    guest = replace(
        claimed.guest,
        state=state,
        power=power,
        launched=build.created,
        working_for="",
        fault=None if fault is None else fault.fault(),
    )
    action = replace(claimed.action, urn=f"{build.urn}/restore", action="restore", started=now, finished=now)
    return Claimed(guest, claimed.secret, action)


def refusal_of_unknown(command: Delete, known: Refusal | None, now: int) -> Refusal | None:
    """What a host writes that is told to delete a guest it doesn't have, so that a late build is refused.

    None: it has written that already.
    """
    if known is not None and known.deleted and known.deed >= command.deed:
        return None
    return Refusal(
        guest=command.guest,
        project=known.project if known else command.project,
        deed=max(command.deed, known.deed if known else 0),
        urn=command.urn,
        fault=DELETED,
        deleted=True,
        time=now,
    )


def refusal_of_withdrawn(
    command: Delete, host: Host, known: Refusal | None, now: int, *, kept_copy: bool
) -> Refusal | None:
    """What a host writes that is told to withdraw a build, and has nothing of it. `kept_copy`: it has an old copy of
    the guest, which is none of the build's, and is left.

    None: it has written that already.
    """
    if known is not None and known.deed >= command.deed:
        return None
    return Refusal(
        guest=command.guest,
        project=command.project,
        deed=command.deed,
        urn=command.urn,
        fault=_kept_apart(host, command.guest).fault() if kept_copy else WITHDRAWN,
        deleted=known is not None and known.deleted,
        kept_copy=kept_copy,
        time=now,
    )

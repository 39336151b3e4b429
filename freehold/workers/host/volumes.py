"""The rules of a guest's volumes on its host: what it is to have, by its record. Pure.

    PlugAsked      it is to have one more; or one that it has is larger now
    UnplugAsked    one is to be taken from it
    Unplugged      one was, or couldn't be given to it

Whether it has them is the world's, and compared with this whenever the guest runs (`plugging`).
"""

from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.attachment import VOLUMES_OF_GUEST_MAX, GuestVolume
from freehold.vocabulary.errors import Conflict
from freehold.vocabulary.guest import Action, Guest
from freehold.workers.host.messages import PlugAsked, UnplugAsked, Unplugged

VOLUMES_MAX: Final = VOLUMES_OF_GUEST_MAX


def volume_of(guest: Guest | None, attachment: str) -> GuestVolume | None:
    """A guest's volume by its attachment."""
    every = () if guest is None else guest.volumes
    return next((one for one in every if one.attachment == attachment), None)


def changed(guest: Guest, message: PlugAsked | UnplugAsked | Unplugged, now: int) -> Guest:
    """The guest after it; the same if that is nothing new. Raises Conflict for one volume too many."""
    match message:
        case PlugAsked(asked=asked):
            return _plugged(guest, asked.disk, now)
        case UnplugAsked(attachment=attachment):
            held = volume_of(guest, attachment)
            if held is None or held.leaving:
                return guest
            return _with(guest, replace(held, leaving=True), now)
        case Unplugged(attachment=attachment):
            if volume_of(guest, attachment) is None:
                return guest
            left = tuple(one for one in guest.volumes if one.attachment != attachment)
            return replace(guest, volumes=left, updated=now)


def _plugged(guest: Guest, disk: GuestVolume, now: int) -> Guest:
    held = volume_of(guest, disk.attachment)
    if held is not None:
        return guest if held.size_gib >= disk.size_gib else _with(guest, replace(held, size_gib=disk.size_gib), now)
    if any(one.volume == disk.volume for one in guest.volumes):
        raise Conflict(f"Volume {disk.volume} is still being taken from guest {guest.id}. Try again.")
    if len(guest.volumes) >= VOLUMES_MAX:
        raise Conflict(f"Guest {guest.id} has {VOLUMES_MAX} volumes, the most it may have. Detach one first.")
    return replace(guest, volumes=(*guest.volumes, replace(disk, leaving=False)), updated=now)


def _with(guest: Guest, disk: GuestVolume, now: int) -> Guest:
    every = tuple(disk if one.attachment == disk.attachment else one for one in guest.volumes)
    return replace(guest, volumes=every, updated=now)


def action(guest: Guest, message: PlugAsked | UnplugAsked | Unplugged, now: int) -> Action | None:
    """What is noted of it: that a request gave the guest a volume, or took it, which is done with that."""
    match message:
        case PlugAsked(asked=asked) if volume_of(guest, asked.disk.attachment) is None:
            name, urn, user = "attach_volume", asked.disk.urn, asked.user
        case UnplugAsked(urn=urn, user=user):
            name = "detach_volume"
        case _:
            return None
    done = Action(guest=guest.id, project=guest.project, urn=urn, action=name, user=user, started=now)
    return replace(done, deed=guest.deed, finished=now)

"""The rules of attachments, on the worker that owns the volume: what is and what came, to what is now. Pure.

    none         AttachVolume                              ATTACHING, if nobody has the volume, or several may
    none         OpenVolume                                ATTACHED, if nobody else has the volume: its guest was made
                                                           with it, or the record was lost here
    ATTACHING    its guest's host knows of it              ATTACHED
    ATTACHING    its guest's host refuses it               gone
    ATTACHED     its host, or a higher deed, opens it      ATTACHED under the next number; the last one is cut off
    any          DetachVolume                              DETACHING
    DETACHING    the host says that the guest let go       gone, when it is cut off
    DETACHING    by force                                  gone, when it is cut off
    any          its guest was deleted                     gone, when it is cut off

What ended here stays so: an attachment is never made a second time. Numbers only grow, and one is given only to the
host that holds the guest's highest deed, by the registrar's word.
"""

from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.attachment import Attachment, AttachmentState, ClaimVolume, Export, OpenVolume
from freehold.vocabulary.errors import Conflict, Forbidden, NotFound, Unavailable
from freehold.vocabulary.request import Intent
from freehold.vocabulary.volume import Volume, VolumeState

ATTACHMENTS_MAX: Final = 32
"""Of one volume that several may have."""


def attachment_of(volume: Volume | None, identifier: str) -> Attachment | None:
    """One of a volume's."""
    every = () if volume is None else volume.attachments
    return next((one for one in every if one.id == identifier), None)


def attached(volume: Volume, asked: Attachment, now: int) -> Volume:
    """The volume with one more guest; the same if that has it by this very request. Raises Conflict."""
    if attachment_of(volume, asked.id) is not None:
        return volume
    if volume.state is not VolumeState.AVAILABLE:
        raise Conflict(f"Volume {volume.id} is {volume.state}: it can be attached when it is available.")
    _check_free(volume, asked.guest)
    return _with(volume, replace(asked, state=AttachmentState.ATTACHING, deed=0, number=0, created=now), now)


def _check_free(volume: Volume, guest: str) -> None:
    if any(one.guest == guest for one in volume.attachments):
        raise Conflict(f"Volume {volume.id} is attached to this server already.")
    if volume.attachments and not volume.spec.multi_attach:
        raise Conflict(f"Volume {volume.id} is attached to another server. Detach it there first.")
    if len(volume.attachments) >= ATTACHMENTS_MAX:
        raise Conflict(f"Volume {volume.id} has {ATTACHMENTS_MAX} attachments, the most it may have.")


def known_there(volume: Volume, identifier: str, now: int) -> Volume:
    """The volume when the guest's host has it on its disk that the guest is to have it."""
    held = attachment_of(volume, identifier)
    if held is None or held.state is not AttachmentState.ATTACHING:
        return volume
    return _with(volume, replace(held, state=AttachmentState.ATTACHED), now)


def found_at(volume: Volume, identifier: str, host: str, cluster: str, now: int) -> Volume:
    """The volume when the guest is known to be at another host, which hasn't opened it yet."""
    held = attachment_of(volume, identifier)
    if held is None or held.host == host:
        return volume
    return _with(volume, replace(held, host=host, cluster=cluster), now)


def detaching(volume: Volume, identifier: str, urn: str, now: int) -> Volume:
    """The volume when it is to be taken from a guest. Raises NotFound."""
    held = attachment_of(volume, identifier)
    if held is None:
        raise NotFound(f"Volume {volume.id} has no attachment {identifier}.")
    if held.state is AttachmentState.DETACHING:
        return volume
    return _with(volume, replace(held, state=AttachmentState.DETACHING, detach_urn=urn), now)


def ended(volume: Volume, identifier: str, now: int) -> Volume:
    """The volume when a guest has it no more, and what it was served under is to be cut off."""
    held = attachment_of(volume, identifier)
    if held is None:
        return volume
    left = tuple(one for one in volume.attachments if one.id != identifier)
    cut_off = (*volume.cut_off, held.number) if held.number else volume.cut_off
    return replace(volume, attachments=left, cut_off=cut_off, updated=now)


def cut_off(volume: Volume, number: int, now: int) -> Volume:
    """The volume when nothing is served under a number any more."""
    left = tuple(one for one in volume.cut_off if one != number)
    return replace(volume, cut_off=left, updated=now)


# --- opening ---------------------------------------------------------------------------------------------------------


def check_opening(volume: Volume | None, asked: ClaimVolume, *, ended_here: bool) -> bool:
    """Whether a host may have the volume opened without more, as it has it already under this deed. `ended_here`: the
    volume, or the attachment, was here and is gone. Raises NotFound where that is so, Unavailable for a volume that is
    still being made, Forbidden, or Conflict.
    """
    if ended_here or (volume is not None and volume.state is VolumeState.DELETING):
        raise NotFound(f"Attachment {asked.disk.attachment} of volume {asked.disk.volume} has ended.")
    if volume is None or volume.state is VolumeState.CREATING:
        raise Unavailable(f"Volume {asked.disk.volume} isn't there yet.")
    held = attachment_of(volume, asked.disk.attachment)
    if held is None:
        _check_free(volume, asked.guest)
        return False
    if held.guest != asked.guest or volume.project != asked.project:
        raise Forbidden(f"Attachment {held.id} of volume {volume.id} is another guest's.")
    if held.state is AttachmentState.DETACHING:
        raise Conflict(f"Volume {volume.id} is being detached from guest {held.guest}.")
    if asked.deed < held.deed:
        raise Forbidden(f"Guest {held.guest} has opened volume {volume.id} under a higher deed.")
    return bool(held.number) and (held.host, held.deed) == (asked.host, asked.deed)


def check_deed(intent: Intent, asked: ClaimVolume) -> None:
    """Raises Forbidden unless the registrar has recorded that this host may run the guest, under this deed."""
    deed = intent.deed
    refused = deed is not None and intent.refused_deed >= deed.number
    is_asked = deed is not None and (deed.host, deed.number, deed.project) == (asked.host, asked.deed, asked.project)
    if deed is None or refused or not is_asked:
        raise Forbidden(f"Guest {asked.guest} isn't this host's: its volumes aren't opened here.")


def claimed(volume: Volume, asked: ClaimVolume, now: int) -> Volume:
    """The volume, with a guest whose host has proved its deed and says that it is to have it."""
    held = attachment_of(volume, asked.disk.attachment)
    if held is not None:
        return known_there(volume, held.id, now)
    return _with(volume, replace(_taken_up(asked, now), state=AttachmentState.ATTACHED), now)


def opened(volume: Volume, asked: OpenVolume, exports: tuple[Export, ...], now: int) -> Volume:
    """The volume, with a host that has proved its deed. `exports`: what it is served as, whatever is known of that
    here: the store may have been put back to an old copy. A host that is served keeps its number: nobody else has been
    since.
    """
    held = attachment_of(volume, asked.disk.attachment) or _taken_up(asked, now)
    has_it_open = any((one.number, one.reader) == (asked.number, asked.host) for one in exports)
    others = {one.number for one in volume.attachments if one.id != held.id}
    highest = max((volume.number_last, *(one.number for one in exports)))
    number = asked.number if has_it_open and asked.number not in {*others, *volume.cut_off} else highest + 1
    after = replace(held, host=asked.host, cluster=asked.cluster, deed=asked.deed, number=number)
    after = replace(after, state=AttachmentState.ATTACHED)
    stale = (held.number,) if held.number not in (0, number) else ()
    volume = replace(volume, number_last=max(number, highest), cut_off=(*volume.cut_off, *stale))
    return _with(volume, after, now)


def strangers(volume: Volume, exports: tuple[Export, ...]) -> tuple[int, ...]:
    """The numbers under which a volume is served, and which nothing here knows of."""
    known = {*(one.number for one in volume.attachments), *volume.cut_off}
    return tuple(one.number for one in exports if one.volume == volume.id and one.number not in known)


def strangers_cut_off(volume: Volume, numbers: tuple[int, ...], now: int) -> Volume:
    """The volume when nobody has come to claim what it is served under."""
    highest = max((volume.number_last, *numbers))
    return replace(volume, cut_off=(*volume.cut_off, *numbers), number_last=highest, updated=now)


def _taken_up(asked: ClaimVolume, now: int) -> Attachment:
    """An attachment that its host has, and of which the record was lost here with an old copy of the store."""
    disk = asked.disk
    return Attachment(
        id=disk.attachment,
        guest=asked.guest,
        host=asked.host,
        cluster=asked.cluster,
        user=asked.user,
        urn=disk.urn,
        device=disk.device,
        tag=disk.tag,
        delete_on_termination=disk.delete_on_termination,
        boot=disk.boot,
        created=now,
    )


def _with(volume: Volume, attachment: Attachment, now: int) -> Volume:
    attachment = replace(attachment, updated=now)
    if attachment_of(volume, attachment.id) is None:
        every = (*volume.attachments, attachment)
    else:
        every = tuple(attachment if one.id == attachment.id else one for one in volume.attachments)
    return replace(volume, attachments=every, updated=now)

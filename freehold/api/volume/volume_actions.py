"""What can be done to a volume."""

from collections.abc import Mapping
from typing import Final

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.requests import new_urn, request_id
from freehold.api.volume import microversion as mv
from freehold.api.volume.actions import Action, act, force_delete, reset_status
from freehold.api.volume.flags import yes
from freehold.api.volume.joined import IN_USE, Joined, again, volume_of
from freehold.api.volume.labels import check_metadata, relabel
from freehold.api.volume.volume_create import size
from freehold.api.volume.volume_view import attachments_of
from freehold.api.volume.wire.volumes import (
    BootableIn,
    ExtendIn,
    ForceDetachIn,
    ImageKeyIn,
    ImageMetadataIn,
    NothingIn,
    StatusIn,
)
from freehold.vocabulary.attachment import DetachVolume
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.volume import Volume, VolumeState
from freehold.vocabulary.volume_request import ExtendVolume

NOT_OFFERED: Final = frozenset(
    {"os-attach", "os-detach", "os-reserve", "os-unreserve", "os-begin_detaching"}
    | {"os-roll_detaching", "os-initialize_connection", "os-terminate_connection", "os-volume_upload_image"}
    | {"os-migrate_volume", "os-migrate_volume_completion", "os-retype", "os-update_readonly_flag", "os-unmanage"}
    | {"os-reimage", "os-extend_volume_completion", "revert"}
)
"""Cinder's other actions: known by name, so that a client is told that this cloud doesn't offer them."""


async def serve(call: Call) -> Answer:
    """POST /volumes/{id}/action."""
    return await act(call, volume_of, _OFFERED, NOT_OFFERED)


async def _extend(call: Call, item: Joined, given: ExtendIn) -> Answer:
    size_gib = size(given.new_size)
    may_be = (VolumeState.AVAILABLE, IN_USE) if mv.of(call) >= mv.EXTEND_IN_USE else (VolumeState.AVAILABLE,)
    if item.status not in may_be:
        raise BadRequest(f"Invalid volume: Volume {item.id} status must be available to extend, not {item.status}.")
    if size_gib <= item.size_gib:
        raise BadRequest(
            f"Invalid input received: New size for extend must be greater than current size. "
            f"(current: {item.size_gib}, extended: {size_gib})."
        )
    project = item.admission.project
    try:
        question = ExtendVolume(id=item.id, project=project, urn=new_urn(call), size_gib=size_gib)
        done = await asking.volume(call, question, project)
    except Conflict as error:
        raise BadRequest(f"Invalid volume: {error.message}") from error
    call.request_id = request_id(done.key)
    return Answer(202)


async def _force_detach(call: Call, item: Joined, given: ForceDetachIn) -> Answer:
    """Cuts a server off from the volume, whatever its host says: for hosts that are dead."""
    every = attachments_of(item)
    found = [one for one in every if given.attachment_id in (None, one.id)]
    if len(found) != 1 or not isinstance(item.record, Volume):
        raise BadRequest(f"Volume {item.id} has {len(every)} attachments; say which one is meant by its attachment_id.")
    question = DetachVolume(volume=item.id, attachment=found[0].id, urn=new_urn(call), force=True)
    await asking.attachment(call, question, item.record.store, item.record.cluster)
    return Answer(202)


async def _set_bootable(call: Call, item: Joined, given: BootableIn) -> Answer:
    await relabel(call, item, item.labels, bootable=yes("bootable", given.bootable))
    return Answer(200)


async def _set_image_metadata(call: Call, item: Joined, given: ImageMetadataIn) -> Answer:
    noted = item.spec.image | given.metadata
    await check_metadata(call, noted, item.admission.project)
    await relabel(call, item, item.labels, image=noted)
    return _image_metadata(again(call, item))


async def _unset_image_metadata(call: Call, item: Joined, given: ImageKeyIn) -> Answer:
    if given.key not in item.spec.image:
        raise NotFound(f"Volume {item.id} has no metadata with key {given.key[:64]}.")
    noted = {name: value for name, value in item.spec.image.items() if name != given.key}
    await relabel(call, item, item.labels, image=noted)
    return Answer(200)


async def _show_image_metadata(call: Call, item: Joined, given: NothingIn | None) -> Answer:
    del call, given
    return _image_metadata(item)


def _image_metadata(item: Joined) -> Answer:
    return Answer(body={"metadata": item.spec.image})


_OFFERED: Final[Mapping[str, Action]] = {
    "os-extend": Action(ExtendIn, _extend),
    "os-reset_status": Action(StatusIn, reset_status, admins=True),
    "os-force_delete": Action(NothingIn | None, force_delete, admins=True),
    "os-force_detach": Action(ForceDetachIn, _force_detach, admins=True),
    "os-set_bootable": Action(BootableIn, _set_bootable),
    "os-set_image_metadata": Action(ImageMetadataIn, _set_image_metadata),
    "os-unset_image_metadata": Action(ImageKeyIn, _unset_image_metadata),
    "os-show_image_metadata": Action(NothingIn | None, _show_image_metadata),
}

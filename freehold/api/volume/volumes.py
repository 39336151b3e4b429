"""Volumes one by one: show, update, delete. Lists are in `volume_list`, creation in `volume_create`."""

from typing import Final

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.requests import new_urn, request_id
from freehold.api.volume import microversion as mv
from freehold.api.volume import volume_view
from freehold.api.volume.joined import Joined, again, volume_of
from freehold.api.volume.labels import relabel, updated
from freehold.api.volume.wire.volumes import UpdateBody
from freehold.vocabulary.errors import BadRequest, Conflict, Forbidden
from freehold.vocabulary.volume_request import DeleteVolume, VolumeAdmission

CASCADE: Final = "'cascade' isn't offered by this cloud yet: delete the volume's snapshots first."


async def show(call: Call) -> Answer:
    """GET /volumes/{id}."""
    return Answer(body={"volume": volume_view.detail(call, await volume_of(call))})


async def update(call: Call) -> Answer:
    """PUT /volumes/{id}: name, description, metadata."""
    given, item = call.read(UpdateBody).volume, await volume_of(call)
    await relabel(call, item, await updated(call, given, item.labels, item.admission.project))
    return Answer(body={"volume": volume_view.detail(call, again(call, item))})


async def delete(call: Call) -> Answer:
    """DELETE /volumes/{id}: durable when it answers; the volume is gone once its pool says so."""
    force = mv.of(call) >= mv.FORCED_DELETE and (call.query.flag("force") or False)
    cascade, item = call.query.flag("cascade") or False, await volume_of(call)
    if cascade and _has_snapshots(call, item):
        raise BadRequest(CASCADE)
    await end(call, item, force=force)
    return Answer(202)


def _has_snapshots(call: Call, item: Joined) -> bool:
    every = call.cloud.view.list(VolumeAdmission, item.admission.project)
    return any(admission.snapshot_of == item.id for admission in every)


async def end(call: Call, item: Joined, *, force: bool = False) -> None:
    """Has the registrar record that a volume or a snapshot is to go. Raises BadRequest if its owner keeps it, Forbidden
    if it is forced and the caller is no admin.
    """
    if force and not call.caller.is_admin:
        raise Forbidden("Only an admin may force a delete.")
    project = item.admission.project
    try:
        question = DeleteVolume(id=item.id, project=project, urn=new_urn(call), force=force)
        done = await asking.volume(call, question, project)
    except Conflict as error:
        raise BadRequest(f"Invalid {item.noun.lower()}: {error.message}") from error
    call.request_id = request_id(done.key)

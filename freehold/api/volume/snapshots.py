"""Snapshots: a volume as it was at one moment. Lists are in `snapshot_list`."""

import hashlib
from collections.abc import Mapping
from typing import Final

from freehold.api import asking, requests
from freehold.api.call import Answer, Call
from freehold.api.volume import microversion as mv
from freehold.api.volume import snapshot_view
from freehold.api.volume.actions import Action, act, force_delete, reset_status
from freehold.api.volume.flags import yes
from freehold.api.volume.joined import IN_USE, again, joined, named, snapshot_of
from freehold.api.volume.labels import check_metadata, relabel, updated
from freehold.api.volume.volume_create import seen
from freehold.api.volume.volumes import end
from freehold.api.volume.wire.snapshots import SnapshotBody, SnapshotIn, SnapshotUpdateBody
from freehold.api.volume.wire.volumes import NothingIn, StatusIn
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.volume import VolumeLabels, VolumeSpec, VolumeState
from freehold.vocabulary.volume_request import AdmitVolume

NOT_OFFERED: Final = frozenset({"os-update_snapshot_status", "os-unmanage"})


async def create(call: Call) -> Answer:
    """POST /snapshots: 202 as soon as the request is durable. Also of a volume in use, with
    and without `force`: today's `openstack volume snapshot create --force` doesn't say it.
    """
    given = call.read(SnapshotBody).snapshot
    _check_force(call, given)
    volume = await named(call, given.volume_id, snapshot=False)
    if volume.status not in (VolumeState.AVAILABLE, IN_USE):
        raise BadRequest(f"Invalid volume: Volume {volume.id} status must be available, but is: {volume.status}.")
    project = volume.admission.project
    question = AdmitVolume(
        project=project,
        user=call.caller.user,
        spec=VolumeSpec(size_gib=volume.size_gib),
        labels=await _labels(call, given, project),
        snapshot_of=volume.id,
        idempotency_key=requests.idempotency_key(call),
        body_digest=hashlib.sha256(call.body).hexdigest(),
    )
    admission = await seen(call, await asking.new_volume(call, question))
    return Answer(202, {"snapshot": snapshot_view.summary(call, joined(call, admission))})


def _check_force(call: Call, given: SnapshotIn) -> None:
    forced = yes("force", given.force)
    if given.force is not None and not forced and mv.of(call) >= mv.FORCE_IS_IMPLIED:
        raise BadRequest("Invalid input: since microversion 3.66 'force' is always true; leave it out.")


async def _labels(call: Call, given: SnapshotIn, project: str) -> VolumeLabels:
    metadata = given.metadata or {}
    await check_metadata(call, metadata, project)
    name = given.display_name if given.name is None else given.name
    description = given.display_description if given.description is None else given.description
    return VolumeLabels(name=(name or "").strip(), description=description or "", metadata=metadata)


async def show(call: Call) -> Answer:
    """GET /snapshots/{id}."""
    return Answer(body={"snapshot": snapshot_view.detail(call, await snapshot_of(call))})


async def update(call: Call) -> Answer:
    """PUT /snapshots/{id}: name, description, metadata."""
    given, item = call.read(SnapshotUpdateBody).snapshot, await snapshot_of(call)
    await relabel(call, item, await updated(call, given, item.labels, item.admission.project))
    return Answer(body={"snapshot": snapshot_view.summary(call, again(call, item))})


async def delete(call: Call) -> Answer:
    """DELETE /snapshots/{id}: durable when it answers; the snapshot is gone once its pool says so."""
    await end(call, await snapshot_of(call))
    return Answer(202)


async def serve_action(call: Call) -> Answer:
    """POST /snapshots/{id}/action."""
    return await act(call, snapshot_of, _OFFERED, NOT_OFFERED)


_OFFERED: Final[Mapping[str, Action]] = {
    "os-reset_status": Action(StatusIn, reset_status, admins=True),
    "os-force_delete": Action(NothingIn | None, force_delete, admins=True),
}

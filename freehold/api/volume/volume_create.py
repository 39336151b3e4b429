"""POST /volumes: a body becomes what the registrar is asked for, checked against the view."""

import hashlib

from freehold.api import asking, requests
from freehold.api.call import Answer, Call
from freehold.api.caller import SYSTEM_PROJECT
from freehold.api.reading import find
from freehold.api.volume import volume_view
from freehold.api.volume.flags import yes
from freehold.api.volume.joined import joined
from freehold.api.volume.labels import check_metadata
from freehold.api.volume.pools import is_zone
from freehold.api.volume.sources import Copied, copied
from freehold.api.volume.types import type_wanted
from freehold.api.volume.wire.volumes import CreateBody, Size, VolumeIn
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.volume import SIZE_GIB_MAX, VolumeLabels, VolumeSpec
from freehold.vocabulary.volume_request import AdmitVolume, VolumeAdmission, VolumeAdmitted


async def create(call: Call) -> Answer:
    """Admits a volume; 202 as soon as the request is durable."""
    body = call.read(CreateBody)
    given = body.volume
    _check_offered(given, body)
    if call.caller.project == SYSTEM_PROJECT:
        raise BadRequest("Sign in for the project that the volume is for.")
    source = await copied(call, given.image or given.image_id, given.snapshot_id, given.source_volid)
    kind = await type_wanted(call, given.volume_type or "", source)
    size_gib = source.size_gib if given.size is None else size(given.size)
    if size_gib == 0:
        raise BadRequest("Invalid input: 'size' is a required property.")
    source.check_size(size_gib)
    spec = VolumeSpec(
        size_gib=size_gib,
        type=kind[0],
        type_name=kind[1],
        zone=await _zone(call, given.availability_zone or "", source),
        source=source.source,
        bootable=source.bootable,
        image=source.image,
    )
    return await _admitted(call, await _labels(call, given), spec, source)


def _check_offered(given: VolumeIn, body: CreateBody) -> None:
    if yes("multiattach", given.multiattach):
        raise BadRequest("volumes of several servers at once aren't offered by this cloud; leave 'multiattach' out")
    if given.hints or body.hints:
        raise BadRequest("scheduler hints for volumes aren't offered by this cloud; leave them out")
    for name in ("consistencygroup_id", "group_id", "backup_id", "source_replica"):
        if getattr(given, name) is not None:
            raise BadRequest(f"'{name}' isn't offered by this cloud; leave it out")


def size(value: Size) -> int:
    """A size in GiB as somebody gave it. Raises BadRequest for one that no volume can have."""
    size_gib = int(value)
    if not 1 <= size_gib <= SIZE_GIB_MAX:
        raise BadRequest(
            f"Invalid input received: Volume size '{str(value)[:20]}' must be an integer, from 1 to {SIZE_GIB_MAX} GiB."
        )
    return size_gib


async def _zone(call: Call, zone: str, source: Copied) -> str:
    if zone and not await is_zone(call, zone):
        raise BadRequest(f"Availability zone '{zone[:64]}' is invalid.")
    if zone and source.zone and zone != source.zone:
        raise BadRequest(f"Availability zone '{zone[:64]}' is invalid: what is copied is in {source.zone}.")
    return zone


async def _labels(call: Call, given: VolumeIn) -> VolumeLabels:
    metadata = given.metadata or {}
    await check_metadata(call, metadata, call.caller.project)
    name = given.display_name if given.name is None else given.name
    description = given.display_description if given.description is None else given.description
    return VolumeLabels(name=(name or "").strip(), description=description or "", metadata=metadata)


async def _admitted(call: Call, labels: VolumeLabels, spec: VolumeSpec, source: Copied) -> Answer:
    question = AdmitVolume(
        project=call.caller.project,
        user=call.caller.user,
        spec=spec,
        labels=labels,
        copy_of=source.copy_of,
        image_owner=source.image_owner,
        idempotency_key=requests.idempotency_key(call),
        body_digest=hashlib.sha256(call.body).hexdigest(),
    )
    admission = await seen(call, await asking.new_volume(call, question))
    return Answer(202, {"volume": volume_view.detail(call, joined(call, admission))})


async def seen(call: Call, admitted: VolumeAdmitted) -> VolumeAdmission:
    """The admission, as the view has it by now. The call's own id becomes the request's."""
    call.request_id = requests.request_id(admitted.urn)
    admission = await find(call, VolumeAdmission, admitted.id)
    if admission is None:
        raise NotFound(f"It was deleted as soon as it was made: {admitted.id}.")
    return admission

"""Volumes of a server: the attachments of its volumes' owners, and what its host has on its disk of them."""

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.microversion import Version
from freehold.api.compute.server_disks import DISK_LETTERS, free
from freehold.api.compute.server_view import Server, joined
from freehold.api.compute.servers import server_of
from freehold.api.compute.wire.volume_attachments import AttachBody, AttachIn
from freehold.api.requests import new_urn
from freehold.api.volume.joined import held, named
from freehold.runtime.chance import new_id
from freehold.vocabulary.attachment import Attachment, AttachmentState, AttachVolume, DetachVolume, GuestVolume
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.guest import Guest
from freehold.vocabulary.volume import Volume


@dataclass(frozen=True, slots=True)
class Shown:
    """One of a server's volumes."""

    attachment: str
    volume: str
    device: str
    tag: str
    delete_on_termination: bool


async def index(call: Call) -> Answer:
    """GET /servers/{id}/os-volume_attachments."""
    server = await _fresh(call)
    volumes = () if server.guest is None else server.guest.volumes
    limit, offset = call.query.number("limit"), call.query.number("offset") or 0
    page = volumes[offset:] if limit is None else volumes[offset : offset + limit]
    return Answer(body={"volumeAttachments": [_body(call, server, _of_guest(one)) for one in page]})


async def show(call: Call) -> Answer:
    """GET /servers/{id}/os-volume_attachments/{volume_id}."""
    server = await _fresh(call)
    return Answer(body={"volumeAttachment": _body(call, server, await _shown(call, server))})


async def update(call: Call) -> Answer:
    """PUT /servers/{id}/os-volume_attachments/{volume_id}: not offered."""
    await _shown(call, await _fresh(call))
    raise BadRequest("an attachment can't be changed by this cloud yet: detach the volume, and attach it anew")


async def create(call: Call) -> Answer:
    """POST /servers/{id}/os-volume_attachments: when it answers, the volume's owner has it on its disk that the server
    is to have the volume; and so has the server's host, if that was heard.
    """
    given = call.read(AttachBody).attachment
    _check_version(given, mv.of(call))
    server = await _fresh(call)
    guest = _attachable(server)
    item = await named(call, given.volume, snapshot=False)
    volume = free(item)
    attachment = Attachment(
        id=new_id(call.cloud.chance),
        guest=guest.id,
        host=guest.host,
        cluster=guest.cluster,
        user=call.caller.user,
        urn=new_urn(call),
        device=given.device or _next_device(guest),
        tag="" if given.tag is UNSET else given.tag,
        delete_on_termination=given.delete_on_termination is True,
    )
    question = AttachVolume(volume=volume.id, project=volume.project, attachment=attachment)
    try:
        await asking.attachment(call, question, volume.store, volume.cluster)
    except Conflict as error:
        raise BadRequest(f"Invalid volume: {error.message}") from error
    return Answer(body={"volumeAttachment": _body(call, server, _of_volume(volume, attachment))})


async def delete(call: Call) -> Answer:
    """DELETE /servers/{id}/os-volume_attachments/{volume_id}: durable when it answers. The server has the volume until
    its system lets go of it.
    """
    server = await _fresh(call)
    found = await _shown(call, server)
    volume = held(await named(call, found.volume, snapshot=False))
    assert isinstance(volume, Volume)
    question = DetachVolume(volume=volume.id, attachment=found.attachment, urn=new_urn(call))
    try:
        await asking.attachment(call, question, volume.store, volume.cluster)
    except Conflict as error:
        raise BadRequest(f"Invalid volume: {error.message}") from error
    return Answer(202)


# --- what there is ---------------------------------------------------------------------------------------------------


async def _fresh(call: Call) -> Server:
    """The server, with all that its host had written when this was asked."""
    server = await server_of(call)
    if server.guest is not None:
        await call.cloud.view.fresh(["host"], hosts={server.guest.host})
        server = joined(call, server.admission)
    return server


async def _shown(call: Call, server: Server) -> Shown:
    """The volume that the path names, as the server's. Raises NotFound."""
    identifier = call.params["volume_id"]
    for one in () if server.guest is None else server.guest.volumes:
        if one.volume == identifier:
            return _of_guest(one)
    absent = NotFound(f"Instance {server.admission.guest} is not attached to volume {identifier[:64]}")
    try:
        volume = (await named(call, identifier, snapshot=False)).record
    except NotFound:
        raise absent from None
    for attachment in volume.attachments if isinstance(volume, Volume) else ():
        if attachment.guest == server.admission.guest and attachment.state is not AttachmentState.DETACHING:
            assert isinstance(volume, Volume)
            return _of_volume(volume, attachment)
    raise absent


def _of_guest(one: GuestVolume) -> Shown:
    return Shown(one.attachment, one.volume, one.device, one.tag, one.delete_on_termination)


def _of_volume(volume: Volume, one: Attachment) -> Shown:
    return Shown(one.id, volume.id, one.device, one.tag, one.delete_on_termination)


def _body(call: Call, server: Server, shown: Shown) -> dict[str, Any]:
    version = mv.of(call)
    body: dict[str, Any] = {"serverId": server.admission.guest, "volumeId": shown.volume, "device": shown.device}
    if version >= mv.INTERFACE_TAG:
        body["tag"] = shown.tag or None
    if version >= mv.DELETED_WITH_SERVER:
        body["delete_on_termination"] = shown.delete_on_termination
    if version < mv.ATTACHMENT_ID:
        return {"id": shown.volume, **body}
    return {**body, "attachment_id": shown.attachment, "bdm_uuid": shown.attachment}


# --- what may be -----------------------------------------------------------------------------------------------------


def _check_version(given: AttachIn, version: Version) -> None:
    for name, value, since in (
        ("tag", given.tag, mv.ATTACH_TAG),
        ("delete_on_termination", given.delete_on_termination, mv.DELETED_WITH_SERVER),
    ):
        if value is not UNSET and version < since:
            raise BadRequest(f"Invalid input: Additional properties are not allowed ('{name}' was unexpected)")


def _attachable(server: Server) -> Guest:
    guest = server.guest
    if guest is None or guest.launched is None or server.admission.delete_urn:
        state = "deleting" if server.admission.delete_urn else "building"
        identifier = server.admission.guest
        raise Conflict(f"Cannot 'attach_volume' instance {identifier} while it is in vm_state {state}")
    return guest


def _next_device(guest: Guest) -> str:
    taken = {one.device for one in guest.volumes}
    names = (f"/dev/vd{letter}" for letter in DISK_LETTERS)
    return next((name for name in names if name not in taken), "/dev/vdz")

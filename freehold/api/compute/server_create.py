"""POST /servers: a body becomes builds, checked against the view, and is admitted by the registrar."""

import base64
import binascii
import hashlib
import re
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from freehold.api import requests, waiting
from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute import server_view, server_waits
from freehold.api.compute.host_needs import needing
from freehold.api.compute.links import links
from freehold.api.compute.server_disks import Disks, disks_wanted, made
from freehold.api.compute.server_hints import hinted
from freehold.api.compute.server_networks import networks_wanted
from freehold.api.compute.wire.servers import CreateBody, HintsIn, ServerIn
from freehold.api.reading import every, find
from freehold.api.sharing import sees
from freehold.bus import subjects, talk
from freehold.vocabulary.errors import BadRequest, Conflict, Forbidden
from freehold.vocabulary.guest import GuestSpec, Labels
from freehold.vocabulary.host import Host
from freehold.vocabulary.image import Image, ImageStatus
from freehold.vocabulary.network import SecurityGroup
from freehold.vocabulary.request import Admission, Admit, Admitted, Build, Stage
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import Flavor, KeyPair, Quota
from freehold.vocabulary.units import GIB

ADMIT_DEADLINE_S: Final = 10.0
USER_DATA_BYTES_MAX: Final = 64 * 1024
PASSWORD_BYTES: Final = 9
URNS_TOLD_MAX: Final = 20
"""Of servers that are asked for at once; all are in the project's list of requests."""
TAGS_MAX: Final = 50


async def create(call: Call) -> Answer:
    """Admits one guest or several; 202 as soon as the request is durable."""
    shard = call.cloud.shards.of(call.caller.project)
    if call.entered != shard:
        call.cloud.backlog.enter(shard)
    body = call.read(CreateBody)
    server = body.server
    version = mv.of(call)
    _check_version(server, version)
    password = server.admin_password or base64.urlsafe_b64encode(call.cloud.chance.bytes(PASSWORD_BYTES)).decode()
    disks = await disks_wanted(call, server, (server.image or "").rstrip("/").rsplit("/", 1)[-1])
    build = await _build(call, server, body.hints or body.hints_old or server.hints, password, disks)
    wait_s = waiting.preferred_s(call)
    until = server_waits.wanted(call) if wait_s else Stage.ADMITTED
    async with made(call, disks, _several(build, *_counts(server)), build.spec.availability_zone) as builds:
        admitted = await _admit(call, builds)
    told = _answer(call, server, admitted, (server.admin_password or "") if admitted.again else password)
    return await _waited(call, told, admitted, until, wait_s) if wait_s else told


async def _waited(call: Call, told: Answer, admitted: Admitted, until: Stage, wait_s: int) -> Answer:
    """The answer when its servers have come as far as the client would have it wait: 201 if that shows something, with
    the whole of the first server. Without room to wait, the answer as it was.
    """
    stage = await server_waits.created(call, admitted.guests, until, wait_s)
    if stage is None:
        return told
    headers = {**told.headers, **waiting.applied(wait_s, stage.value)}
    admission = call.cloud.view.get(Admission, admitted.guests[0])
    if admission is None or "server" not in told.body or stage not in (Stage.ADDRESSED, Stage.ACTIVE, Stage.FAILED):
        return Answer(told.status, told.body, headers)
    body = {"server": told.body["server"] | server_view.detail(call, server_view.joined(call, admission))}
    return Answer(201 if server_waits.has_come(stage, until) else 202, body, headers)


def _check_version(server: ServerIn, version: mv.Version) -> None:
    """Refuses fields that the call's version hasn't, or no longer has."""
    since: tuple[tuple[str, object, mv.Version], ...] = (
        ("description", server.description, mv.DESCRIPTION),
        ("tags", server.tags, mv.CREATE_TAGS),
        ("trusted_image_certificates", server.trusted_image_certificates, mv.TRUSTED_CERTS),
        ("host", server.host or server.hypervisor_hostname, mv.CREATE_HOST),
        ("hostname", server.hostname, mv.HOSTNAME),
    )
    for name, value, first in since:
        if value is not None and version < first:
            raise BadRequest(f"Invalid input: Additional properties are not allowed ('{name}' was unexpected)")
    if server.personality is not None and version >= mv.NO_FILES:
        raise BadRequest("Invalid input: Additional properties are not allowed ('personality' was unexpected)")
    if server.networks is UNSET and version >= mv.NETWORKS_REQUIRED:
        raise BadRequest("Invalid input: 'networks' is a required property")
    if isinstance(server.networks, str) and (version < mv.NETWORKS_REQUIRED or server.networks not in ("auto", "none")):
        raise BadRequest(f"Invalid input for field/attribute networks. Value: {server.networks[:64]}.")
    unserved: tuple[tuple[str, object], ...] = (
        ("personality", server.personality),
        ("trusted_image_certificates", server.trusted_image_certificates),
        ("host", server.host),
        ("hypervisor_hostname", server.hypervisor_hostname),
        ("block_device_mapping", server.block_devices),
        ("accessIPv4", server.access_v4),
        ("accessIPv6", server.access_v6),
    )
    for name, value in unserved:
        if value:
            raise BadRequest(f"'{name}' isn't supported by this cloud; leave it out")
    if not server.name.strip():
        raise BadRequest("Invalid input for field/attribute name: it can't be blank.")
    if len(server.tags or ()) > TAGS_MAX:
        raise BadRequest(f"The number of tags exceeded the per-server limit {TAGS_MAX}")


async def _build(call: Call, server: ServerIn, hints: HintsIn | None, password: str, disks: Disks) -> Build:
    flavor = await _flavor(call, str(server.flavor))
    if not disks.image and disks.are_plain():
        raise BadRequest("Invalid imageRef provided.")
    image = await _image(call, disks.image) if disks.image else None
    if image is not None:
        _check_fits(flavor, image)
    pair = await _key_pair(call, server)
    zone = await _zone(call, server.availability_zone)
    if zone and disks.zone not in ("", zone):
        raise BadRequest(f"The server's volumes are in availability zone {disks.zone}, and it is to be in {zone}.")
    zone = zone or disks.zone
    networks, ties = await networks_wanted(call, server.networks, zone)
    spec = GuestSpec(
        flavor=flavor,
        image="" if image is None else image.id,
        image_name="" if image is None else image.name,
        key_name=pair.name if pair else "",
        public_key=pair.public_key if pair else "",
        availability_zone=zone or (ties.cluster if disks.volumes else ""),
        config_drive=_yes("config_drive", server.config_drive),
        security_groups=await _groups(call, server, ties.cluster),
    )
    return Build(
        urn="",
        guest="",
        project=call.caller.project,
        user=call.caller.user,
        created=0,
        expires=0,
        hostname=server.hostname or _hostname(server.name),
        labels=_labels(call, server),
        spec=await hinted(call, hints, spec if image is None else needing(spec, image)),
        networks=networks,
        ties=ties,
        image_owner="" if image is None else call.cloud.view.owner(Image, image.id),
        user_data=_user_data(server.user_data),
        admin_password=Secret(password),
    )


async def _flavor(call: Call, key: str) -> Flavor:
    flavor = await find(call, Flavor, key.rstrip("/").rsplit("/", 1)[-1])
    allowed = flavor is not None and (
        flavor.public or call.caller.is_admin or call.caller.project in flavor.project_access
    )
    if flavor is None or not allowed:
        raise BadRequest(f"Flavor {key[:64]} could not be found.")
    return flavor


async def _image(call: Call, key: str) -> Image:
    image = await find(call, Image, key)
    if image is None or not await sees(call, image):
        raise BadRequest(f"Image {key[:64]} could not be found.")
    if image.status is not ImageStatus.ACTIVE:
        raise BadRequest(f"Image {key[:64]} is not active: its status is {image.status.value}.")
    return image


def _check_fits(flavor: Flavor, image: Image) -> None:
    if image.min_ram_mib > flavor.ram_mib:
        raise BadRequest("Flavor's memory is too small for requested image.")
    disk_bytes = flavor.disk_gib * GIB
    if flavor.disk_gib and (image.virtual_bytes or 0) > disk_bytes:
        raise BadRequest(
            f"Flavor's disk is too small for requested image. Flavor disk is {disk_bytes} bytes, "
            f"image is {image.virtual_bytes} bytes."
        )
    if flavor.disk_gib and image.min_disk_gib > flavor.disk_gib:
        raise BadRequest(
            f"Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is {disk_bytes} "
            f"bytes, minimum size is {image.min_disk_gib * GIB} bytes."
        )


async def _key_pair(call: Call, server: ServerIn) -> KeyPair | None:
    if server.key_name is UNSET or not server.key_name:
        return None
    pair = await find(call, KeyPair, f"{call.caller.user}/{server.key_name}")
    if pair is None:
        raise BadRequest("Invalid key_name provided.")
    return pair


async def _zone(call: Call, zone: str | None) -> str:
    if not zone:
        return ""
    if any(host.cluster == zone for host in call.cloud.view.list(Host)):
        return zone
    if not any(host.cluster == zone for host in await every(call, Host)):
        raise BadRequest("The requested availability zone is not available")
    return zone


async def _groups(call: Call, server: ServerIn, cluster: str) -> tuple[str, ...]:
    """The ids of the groups asked for, of the cluster of the server's networks if it has any."""
    if not server.security_groups:
        return ()
    mine, elsewhere = await _groups_of(call, cluster)
    found: dict[str, None] = {}
    for wanted in server.security_groups:
        matching = [g.id for g in mine if g.id == wanted.name] or [g.id for g in mine if g.name == wanted.name]
        if not matching and wanted.name != "default" and any(wanted.name in (g.id, g.name) for g in elsewhere):
            raise BadRequest(
                f"Security group {wanted.name[:64]} is of another availability zone than the server's networks, which "
                f"are of {cluster}: make one there, with availability_zone_hints {cluster}."
            )
        if not matching and wanted.name != "default":
            raise BadRequest(f"Security group {wanted.name[:64]} not found for project {call.caller.project}.")
        if len(matching) > 1:
            raise Conflict(f"Multiple security groups found matching '{wanted.name[:64]}'. Use an ID.")
        found |= dict.fromkeys(matching)
    return tuple(found)


async def _groups_of(call: Call, cluster: str) -> tuple[list[SecurityGroup], list[SecurityGroup]]:
    """The project's groups that a server in a cluster can have (all, if it may be in any), and its others."""
    every_one = list(await every(call, SecurityGroup, call.caller.project))
    here = {seen.owner.store for seen in call.cloud.view.owners() if seen.owner.cluster == cluster}
    fits = {one.id for one in every_one if not cluster or call.cloud.view.owner(SecurityGroup, one.id) in here}
    return [one for one in every_one if one.id in fits], [one for one in every_one if one.id not in fits]


def _labels(call: Call, server: ServerIn) -> Labels:
    quota = call.cloud.view.get(Quota, call.caller.project) or Quota(project=call.caller.project)
    if 0 <= quota.metadata_items < len(server.metadata):
        raise Forbidden(f"Maximum number of metadata items exceeds {quota.metadata_items}")
    tags = tuple(dict.fromkeys(server.tags or ()))
    return Labels(name=server.name.strip(), description=server.description, metadata=server.metadata, tags=tags)


def _hostname(name: str) -> str:
    """A host name made from a server's name, by Nova's rule: lower case, what isn't a letter, digit, dash or dot left
    out.
    """
    plain = re.sub(r"[ _]", "-", name.strip()).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9.-]+", "", plain).strip(".-")[:63].rstrip(".-")
    return plain.replace(".", "-") or "server"


def _user_data(encoded: str | None) -> Secret | None:
    """User data as it travels: base64, for it may be any bytes. The host decodes it."""
    if not encoded:
        return None
    packed = "".join(encoded.split())
    try:
        raw = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("Invalid input for field/attribute user_data: it must be base64.") from error
    if len(raw) > USER_DATA_BYTES_MAX:
        raise BadRequest(f"user_data has {len(raw)} bytes; at most {USER_DATA_BYTES_MAX} can be given")
    return Secret(packed)


def _yes(name: str, value: bool | str | None) -> bool:
    text = str(value if value is not None else "").lower()
    if text in ("", "false", "0", "no", "off", "f", "n"):
        return False
    if text in ("true", "1", "yes", "on", "t", "y"):
        return True
    raise BadRequest(f"Invalid input for field/attribute {name}. Value: {text[:64]}.")


def _counts(server: ServerIn) -> tuple[int, int]:
    low = int(server.min_count or 1)
    high = int(server.max_count or low)
    if low > high:
        raise BadRequest("min_count must be <= max_count")
    return low, high


def _several(build: Build, low: int, high: int) -> tuple[Build, ...]:
    del low  # all or nothing: a quota that has no room for the most is told, rather than met half-way
    if high == 1:
        return (build,)
    if any(network.port or network.address for network in build.networks):
        raise BadRequest("a port or a fixed address can be given to one server only; leave out min_count and max_count")
    named = ((f"{build.labels.name}-{number}", f"{build.hostname[:59]}-{number}") for number in range(1, high + 1))
    return tuple(replace(build, labels=replace(build.labels, name=name), hostname=host) for name, host in named)


async def _admit(call: Call, builds: tuple[Build, ...]) -> Admitted:
    key, digest = requests.idempotency_key(call), hashlib.sha256(call.body).hexdigest()
    question = Admit(builds=builds, idempotency_key=key, body_digest=digest)
    shard = call.cloud.shards.of(call.caller.project)
    with call.cloud.backlog.asking(shard):
        admitted = await talk.ask(call.cloud.bus, subjects.ask_shard(shard), question, Admitted, ADMIT_DEADLINE_S)
    call.cloud.backlog.has_room(shard, admitted.room)
    await call.cloud.view.seen(admitted)
    return admitted


def _answer(call: Call, server: ServerIn, admitted: Admitted, password: str) -> Answer:
    known = (call.cloud.view.get(Admission, guest) for guest in admitted.guests)
    urns = dict.fromkeys([admitted.urn, *(admission.urn for admission in known if admission is not None)])
    headers = requests.headers(call, *list(urns)[:URNS_TOLD_MAX])
    if _yes("return_reservation_id", server.return_reservation_id):
        return Answer(202, {"reservation_id": "r-" + admitted.urn[-12:]}, headers)
    first = admitted.guests[0]
    groups = [{"name": group.name} for group in server.security_groups or ()] or [{"name": "default"}]
    body = {
        "id": first,
        "links": links(call, "servers", first),
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": groups,
    }
    if password:  # the one made for an earlier request with the same key isn't kept here
        body["adminPass"] = password
    return Answer(202, {"server": body}, {**headers, "location": f"{call.base_url}/v2.1/servers/{first}"})

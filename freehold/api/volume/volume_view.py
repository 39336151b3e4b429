"""Volumes in Cinder's form."""

from typing import Any

from freehold.api.call import Call
from freehold.api.microversions import Version
from freehold.api.volume import microversion as mv
from freehold.api.volume.joined import Joined, type_of
from freehold.api.volume.links import links
from freehold.api.volume.pools import backend
from freehold.vocabulary.attachment import Attachment
from freehold.vocabulary.units import iso_micros
from freehold.vocabulary.volume import Pool, SourceKind, Volume


def summary(call: Call, item: Joined) -> dict[str, Any]:
    """As short lists show it."""
    return {"id": item.id, "name": item.labels.name, "links": links(call, "volumes", item.id)}


def detail(call: Call, item: Joined) -> dict[str, Any]:
    """All of it, in the version of the call."""
    version, labels, kind = mv.of(call), item.labels, type_of(call, item)
    shown: dict[str, Any] = {
        **summary(call, item),
        "description": labels.description or None,
        "status": item.status,
        "size": item.size_gib,
        "availability_zone": item.zone or None,
        "created_at": iso_micros(item.admission.created),
        "updated_at": iso_micros(item.updated),
        "metadata": labels.metadata,
        "user_id": item.admission.user,
        "volume_type": kind[1],
        "snapshot_id": item.source(SourceKind.SNAPSHOT),
        "source_volid": item.source(SourceKind.VOLUME),
        "bootable": "true" if item.spec.bootable else "false",
        "encrypted": False,
        "multiattach": item.spec.multi_attach,
        "attachments": [_attachment(call, item, one) for one in attachments_of(item)],
        "consistencygroup_id": None,
        "replication_status": None,
        "os-vol-tenant-attr:tenant_id": item.admission.project,
    }
    if item.spec.image:
        shown["volume_image_metadata"] = item.spec.image
    if call.caller.is_admin:
        shown |= _for_admins(call, item, version)
    return shown | _since(kind[0], version)


def attachments_of(item: Joined) -> tuple[Attachment, ...]:
    """Who has a volume."""
    return item.record.attachments if isinstance(item.record, Volume) else ()


def _attachment(call: Call, item: Joined, one: Attachment) -> dict[str, Any]:
    return {
        "id": item.id,
        "attachment_id": one.id,
        "volume_id": item.id,
        "server_id": one.guest,
        "host_name": one.host if call.caller.is_admin else None,
        "device": one.device,
        "attached_at": iso_micros(one.created),
    }


def _for_admins(call: Call, item: Joined, version: Version) -> dict[str, Any]:
    place = item.admission.live_place()
    pool = None if place is None else call.cloud.view.get(Pool, place.store)
    return {
        "os-vol-host-attr:host": None if pool is None else backend(pool),
        "os-vol-mig-status-attr:migstat": None,
        "os-vol-mig-status-attr:name_id": None,
        "migration_status": None,
        **({"provider_id": None} if version >= mv.PROVIDER_ID else {}),
        **({"cluster_name": None} if version >= mv.CLUSTER_NAME else {}),
    }


def _since(type_id: str | None, version: Version) -> dict[str, Any]:
    """What came with later versions."""
    return {
        **({"group_id": None} if version >= mv.GROUPS else {}),
        **({"shared_targets": False, "service_uuid": None} if version >= mv.SHARED_TARGETS else {}),
        **({"volume_type_id": type_id} if version >= mv.TYPE_ID else {}),
        **({"consumes_quota": True} if version >= mv.CONSUMES_QUOTA else {}),
    }

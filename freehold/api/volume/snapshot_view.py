"""Snapshots in Cinder's form."""

from typing import Any

from freehold.api.call import Call
from freehold.api.volume import microversion as mv
from freehold.api.volume.joined import Joined
from freehold.vocabulary.units import iso_micros
from freehold.vocabulary.volume import VolumeState


def summary(call: Call, item: Joined) -> dict[str, Any]:
    """As short lists show it."""
    version, labels = mv.of(call), item.labels
    return {
        "id": item.id,
        "name": labels.name,
        "description": labels.description or None,
        "volume_id": item.admission.snapshot_of,
        "status": item.status,
        "size": item.size_gib,
        "created_at": iso_micros(item.admission.created),
        "updated_at": iso_micros(item.updated),
        "metadata": labels.metadata,
        **({"user_id": item.admission.user} if version >= mv.SNAPSHOT_USER else {}),
        **({"group_snapshot_id": None} if version >= mv.GROUP_SNAPSHOTS else {}),
        **({"consumes_quota": True} if version >= mv.CONSUMES_QUOTA else {}),
    }


def detail(call: Call, item: Joined) -> dict[str, Any]:
    """All of it."""
    return summary(call, item) | {
        "os-extended-snapshot-attributes:project_id": item.admission.project,
        "os-extended-snapshot-attributes:progress": "100%" if item.status == VolumeState.AVAILABLE else "0%",
    }

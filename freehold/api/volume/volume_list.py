"""Lists of volumes, and their sums."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.volume import microversion as mv
from freehold.api.volume import volume_view
from freehold.api.volume.joined import Joined, type_of
from freehold.api.volume.lists import Keep, Kind, equal, flag, fresh, keeps_of, kept, listed, pairs, times
from freehold.vocabulary.volume import SourceKind


def _by_type(call: Call, value: str) -> Keep:
    return lambda item: value in type_of(call, item)


def _image(item: Joined) -> dict[str, str]:
    return item.spec.image


KIND: Final = Kind(
    noun="volumes",
    of_snapshots=False,
    sort={
        "id": lambda item: item.id,
        "name": lambda item: item.labels.name,
        "display_name": lambda item: item.labels.name,
        "description": lambda item: item.labels.description,
        "size": lambda item: item.size_gib,
        "status": lambda item: item.status,
        "bootable": lambda item: int(item.spec.bootable),
        "availability_zone": lambda item: item.zone,
        "created_at": lambda item: item.admission.created,
        "updated_at": lambda item: item.updated,
        "user_id": lambda item: item.admission.user,
        "project_id": lambda item: item.admission.project,
    },
    filters={
        "id": equal(lambda item: item.id),
        "name": equal(lambda item: item.labels.name),
        "display_name": equal(lambda item: item.labels.name),
        "description": equal(lambda item: item.labels.description),
        "status": equal(lambda item: item.status),
        "size": equal(lambda item: str(item.size_gib)),
        "volume_type": _by_type,
        "volume_type_id": _by_type,
        "availability_zone": equal(lambda item: item.zone),
        "user_id": equal(lambda item: item.admission.user),
        "snapshot_id": equal(lambda item: item.source(SourceKind.SNAPSHOT) or ""),
        "source_volid": equal(lambda item: item.source(SourceKind.VOLUME) or ""),
        "bootable": flag("bootable", lambda item: item.spec.bootable),
        "multiattach": flag("multiattach", lambda item: False),
        "consumes_quota": flag("consumes_quota", lambda item: True),
        "metadata": pairs("metadata", lambda item: item.labels.metadata),
        "glance_metadata": pairs("glance_metadata", _image),
        "image_metadata": pairs("image_metadata", _image),
        "created_at": times("created_at", lambda item: item.admission.created),
        "updated_at": times("updated_at", lambda item: item.updated),
    },
)


async def index(call: Call) -> Answer:
    """GET /volumes."""
    return await listed(call, KIND, volume_view.summary)


async def detail(call: Call) -> Answer:
    """GET /volumes/detail."""
    return await listed(call, KIND, volume_view.detail)


async def summary(call: Call) -> Answer:
    """GET /volumes/summary: how many there are, how large they are together, and what is noted of them."""
    keeps = keeps_of(call, KIND)
    await fresh(call)
    count = size_gib = 0
    noted: dict[str, dict[str, None]] = {}
    async for item in kept(call, KIND, keeps):
        count, size_gib = count + 1, size_gib + item.size_gib
        for name, value in item.labels.metadata.items():
            noted.setdefault(name, {})[value] = None
    found: dict[str, Any] = {"total_size": size_gib, "total_count": count}
    if mv.of(call) >= mv.SUMMARY_METADATA:
        found["metadata"] = {name: list(values) for name, values in noted.items()}
    return Answer(body={"volume-summary": found})

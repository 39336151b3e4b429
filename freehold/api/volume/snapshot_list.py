"""Lists of snapshots."""

from typing import Final

from freehold.api.call import Answer, Call
from freehold.api.volume import snapshot_view
from freehold.api.volume.lists import Kind, equal, flag, listed, pairs, times

KIND: Final = Kind(
    noun="snapshots",
    of_snapshots=True,
    sort={
        "id": lambda item: item.id,
        "name": lambda item: item.labels.name,
        "display_name": lambda item: item.labels.name,
        "description": lambda item: item.labels.description,
        "volume_id": lambda item: item.admission.snapshot_of,
        "size": lambda item: item.size_gib,
        "status": lambda item: item.status,
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
        "volume_id": equal(lambda item: item.admission.snapshot_of),
        "volume_size": equal(lambda item: str(item.size_gib)),
        "user_id": equal(lambda item: item.admission.user),
        "availability_zone": equal(lambda item: item.zone),
        "consumes_quota": flag("consumes_quota", lambda item: True),
        "metadata": pairs("metadata", lambda item: item.labels.metadata),
        "created_at": times("created_at", lambda item: item.admission.created),
        "updated_at": times("updated_at", lambda item: item.updated),
    },
)


async def index(call: Call) -> Answer:
    """GET /snapshots."""
    return await listed(call, KIND, snapshot_view.summary)


async def detail(call: Call) -> Answer:
    """GET /snapshots/detail."""
    return await listed(call, KIND, snapshot_view.detail)

"""Bodies of snapshots."""

from freehold.api.call import Body
from freehold.api.volume.wire.labels import Metadata
from freehold.api.volume.wire.volumes import Flag, UpdateIn
from freehold.api.wire import Identifier, NameOrNothing, Text


class SnapshotIn(Body, frozen=True, kw_only=True):
    """What may be said of a new snapshot."""

    volume_id: Identifier
    name: NameOrNothing | None = None
    display_name: NameOrNothing | None = None
    description: Text | None = None
    display_description: Text | None = None
    metadata: Metadata | None = None
    force: Flag | None = None


class SnapshotBody(Body, frozen=True, kw_only=True):
    """POST /snapshots."""

    snapshot: SnapshotIn


class SnapshotUpdateBody(Body, frozen=True, kw_only=True):
    """PUT /snapshots/{id}."""

    snapshot: UpdateIn

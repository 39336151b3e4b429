"""Bodies of what people note of volumes and snapshots."""

from freehold.api.call import Body
from freehold.api.wire import Name, NameOrNothing

Metadata = dict[Name, NameOrNothing]


class MetadataBody(Body, frozen=True, kw_only=True):
    """POST and PUT /volumes/{id}/metadata, and the like of snapshots."""

    metadata: Metadata


class MetaBody(Body, frozen=True, kw_only=True):
    """PUT /volumes/{id}/metadata/{key}, and the like of snapshots."""

    meta: Metadata

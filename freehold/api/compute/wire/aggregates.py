"""Bodies of host aggregates."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from freehold.api.call import Body
from freehold.api.wire import Identifier, Name, NameOrNothing

MetadataKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9_:. -]+\Z")]


class AggregateIn(Body, frozen=True, kw_only=True):
    """What may be given of a new aggregate."""

    name: Name
    availability_zone: NameOrNothing | UnsetType | None = UNSET


class AggregateBody(Body, frozen=True, kw_only=True):
    """POST /os-aggregates."""

    aggregate: AggregateIn


class AggregateUpdateIn(Body, frozen=True, kw_only=True):
    """What may be changed of an aggregate: one of these at least."""

    name: Name | UnsetType = UNSET
    availability_zone: NameOrNothing | UnsetType | None = UNSET


class AggregateUpdateBody(Body, frozen=True, kw_only=True):
    """PUT /os-aggregates/{id}."""

    aggregate: AggregateUpdateIn


class HostIn(Body, frozen=True, kw_only=True):
    """A host, by name or id."""

    host: Identifier


class MetadataIn(Body, frozen=True, kw_only=True):
    """What is set, and with None removed."""

    metadata: dict[MetadataKey, NameOrNothing | None]


class AggregateActionBody(Body, frozen=True, kw_only=True):
    """POST /os-aggregates/{id}/action: one of these."""

    add_host: HostIn | UnsetType = UNSET
    remove_host: HostIn | UnsetType = UNSET
    set_metadata: MetadataIn | UnsetType = UNSET

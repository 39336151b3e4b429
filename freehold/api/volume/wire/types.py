"""Bodies of volume types."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from freehold.api.call import Body
from freehold.api.wire import Identifier, Name, NameOrNothing, Text

SpecKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9_:. -]+\Z")]
Specs = dict[SpecKey, NameOrNothing]


class TypeIn(Body, frozen=True, kw_only=True):
    """What may be said of a new type."""

    name: Name
    description: Text | None = None
    extra_specs: Specs | None = None
    public: bool | UnsetType = field(name="os-volume-type-access:is_public", default=UNSET)
    is_public: bool | UnsetType = UNSET


class TypeBody(Body, frozen=True, kw_only=True):
    """POST /types."""

    volume_type: TypeIn


class TypeUpdateIn(Body, frozen=True, kw_only=True):
    """What may be changed of a type."""

    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    public: bool | UnsetType = field(name="os-volume-type-access:is_public", default=UNSET)
    is_public: bool | UnsetType = UNSET


class TypeUpdateBody(Body, frozen=True, kw_only=True):
    """PUT /types/{id}."""

    volume_type: TypeUpdateIn


class SpecsBody(Body, frozen=True, kw_only=True):
    """POST /types/{id}/extra_specs."""

    extra_specs: Specs


class AccessIn(Body, frozen=True, kw_only=True):
    """A project."""

    project: Identifier


class AccessBody(Body, frozen=True, kw_only=True):
    """POST /types/{id}/action: one of these."""

    add: AccessIn | UnsetType = field(name="addProjectAccess", default=UNSET)
    remove: AccessIn | UnsetType = field(name="removeProjectAccess", default=UNSET)

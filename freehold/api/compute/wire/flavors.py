"""Bodies of flavors."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from freehold.api.call import Body
from freehold.api.wire import Identifier, Name, Text

FlavorId = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^(?! )[a-zA-Z0-9. _-]+(?<! )\Z")]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)] | Annotated[str, Meta(pattern=r"^[0-9]{1,9}\Z")]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)] | Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,8}\Z")]
Factor = Annotated[float, Meta(gt=0, le=1e9)] | Annotated[str, Meta(pattern=r"^[0-9]{1,9}(?:\.[0-9]{1,9})?\Z")]
SpecKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9_:. -]+\Z")]
SpecValue = Annotated[str, Meta(max_length=255)]
Specs = dict[SpecKey, SpecValue]


class FlavorIn(Body, frozen=True, kw_only=True):
    """What may be given of a new flavor. Numbers may come as text. RAM and swap in MiB, disks in GiB."""

    name: Name
    ram: Count
    vcpus: Count
    disk: Number
    id: FlavorId | Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    swap: Number | None = None
    ephemeral: Number = field(name="OS-FLV-EXT-DATA:ephemeral", default=0)
    rxtx_factor: Factor = 1.0
    public: bool | str = field(name="os-flavor-access:is_public", default=True)
    description: Text | UnsetType | None = UNSET


class FlavorBody(Body, frozen=True, kw_only=True):
    """POST /flavors."""

    flavor: FlavorIn


class FlavorUpdateIn(Body, frozen=True, kw_only=True):
    """What may be changed of a flavor."""

    description: Text | None


class FlavorUpdateBody(Body, frozen=True, kw_only=True):
    """PUT /flavors/{id}."""

    flavor: FlavorUpdateIn


class SpecsBody(Body, frozen=True, kw_only=True):
    """POST /flavors/{id}/os-extra_specs."""

    extra_specs: Specs


class AccessIn(Body, frozen=True, kw_only=True):
    """A project."""

    tenant: Identifier


class AccessBody(Body, frozen=True, kw_only=True):
    """POST /flavors/{id}/action: one of these."""

    add: AccessIn | UnsetType = field(name="addTenantAccess", default=UNSET)
    remove: AccessIn | UnsetType = field(name="removeTenantAccess", default=UNSET)

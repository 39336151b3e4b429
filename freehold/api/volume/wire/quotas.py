"""Bodies of quotas."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from freehold.api.call import Body
from freehold.api.wire import Identifier
from freehold.api.wire import Limit as WholeLimit

Limit = WholeLimit | Annotated[str, Meta(pattern=r"^(?:-1|[0-9]{1,9})\Z")]


class QuotaIn(Body, frozen=True, kw_only=True):
    """Limits to set; they may come as text."""

    volumes: Limit | UnsetType = UNSET
    snapshots: Limit | UnsetType = UNSET
    gigabytes: Limit | UnsetType = UNSET
    per_volume_gigabytes: Limit | UnsetType = UNSET
    backups: Limit | UnsetType = UNSET
    backup_gigabytes: Limit | UnsetType = UNSET
    groups: Limit | UnsetType = UNSET
    tenant_id: Identifier | UnsetType = UNSET


class QuotaBody(Body, frozen=True, kw_only=True):
    """PUT /os-quota-sets/{project}."""

    quota_set: QuotaIn

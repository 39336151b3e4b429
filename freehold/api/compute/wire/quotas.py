"""Bodies of quotas."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from freehold.api.call import Body
from freehold.api.wire import Identifier
from freehold.api.wire import Limit as WholeLimit

Limit = WholeLimit | Annotated[str, Meta(pattern=r"^(?:-1|[0-9]{1,9})\Z")]


class QuotaIn(Body, frozen=True, kw_only=True):
    """Limits to set; they may come as text."""

    instances: Limit | UnsetType = UNSET
    cores: Limit | UnsetType = UNSET
    ram: Limit | UnsetType = UNSET
    key_pairs: Limit | UnsetType = UNSET
    metadata_items: Limit | UnsetType = UNSET
    server_groups: Limit | UnsetType = UNSET
    server_group_members: Limit | UnsetType = UNSET
    injected_files: Limit | UnsetType = UNSET
    injected_file_bytes: Limit | UnsetType = field(name="injected_file_content_bytes", default=UNSET)
    injected_file_path_bytes: Limit | UnsetType = UNSET
    fixed_ips: Limit | UnsetType = UNSET
    floating_ips: Limit | UnsetType = UNSET
    security_groups: Limit | UnsetType = UNSET
    security_group_rules: Limit | UnsetType = UNSET
    networks: Limit | UnsetType = UNSET
    tenant_id: Identifier | UnsetType = UNSET
    force: bool | str = False


class QuotaBody(Body, frozen=True, kw_only=True):
    """PUT /os-quota-sets/{project}."""

    quota_set: QuotaIn

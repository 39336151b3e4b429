"""Bodies of server groups."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from freehold.api.call import Body
from freehold.api.wire import Name


class RulesIn(Body, frozen=True, kw_only=True):
    """Rules of a policy."""

    max_server_per_host: int | str | UnsetType = UNSET


class ServerGroupIn(Body, frozen=True, kw_only=True):
    """What may be given of a new server group: ``policies`` until 2.63, ``policy`` and ``rules`` after."""

    name: Name
    policies: Annotated[list[str], Meta(min_length=1, max_length=1)] | UnsetType = UNSET
    policy: str | UnsetType = UNSET
    rules: RulesIn | UnsetType = UNSET


class ServerGroupBody(Body, frozen=True, kw_only=True):
    """POST /os-server-groups."""

    server_group: ServerGroupIn

"""Which versions there are."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.discovery import version
from freehold.api.volume import microversion as mv


def _versions(call: Call) -> dict[str, Any]:
    numbers = {"version": str(mv.HIGHEST), "min_version": str(mv.LOWEST), "updated": "2026-11-01T00:00:00Z"}
    media = {"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}
    return {"versions": [version("v3.0", f"{call.base_url}/v3/", **numbers) | {"media-types": [media]}]}


async def index(call: Call) -> Answer:
    """GET /: a choice, though there is one."""
    return Answer(300, _versions(call))


async def show(call: Call) -> Answer:
    """GET /v3."""
    return Answer(body=_versions(call))

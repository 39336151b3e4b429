"""Which versions there are."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.discovery import version


def _current(call: Call) -> dict[str, Any]:
    href = f"{call.base_url}/v2.1/"
    numbers = {"version": str(mv.HIGHEST), "min_version": str(mv.LOWEST), "updated": "2013-07-23T11:33:21Z"}
    return version("v2.1", href, **numbers)


async def index(call: Call) -> Answer:
    """GET /."""
    return Answer(body={"versions": [_current(call)]})


async def show(call: Call) -> Answer:
    """GET /v2.1."""
    media = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}
    return Answer(body={"version": _current(call) | {"media-types": [media]}})

"""Which version of the identity API there is."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.discovery import version


def _v3(call: Call) -> dict[str, Any]:
    media = [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}]
    return {
        **version("v3.14", f"{call.base_url}/v3/", "stable", updated="2020-04-07T00:00:00Z"),
        "media-types": media,
    }


async def index(call: Call) -> Answer:
    """All versions."""
    return Answer(300, {"versions": {"values": [_v3(call)]}}, {"location": f"{call.base_url}/v3/"})


async def show(call: Call) -> Answer:
    """Version 3."""
    return Answer(body={"version": _v3(call)})

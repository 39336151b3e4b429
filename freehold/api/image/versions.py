"""Versions of the image API, and what it tells about itself."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.discovery import version

_VERSIONS: Final = (("v2.9", "CURRENT"), ("v2.7", "SUPPORTED"), ("v2.2", "SUPPORTED"), ("v2.0", "SUPPORTED"))


def _versions(call: Call) -> dict[str, Any]:
    return {"versions": [version(name, f"{call.base_url}/v2/", status) for name, status in _VERSIONS]}


async def index(call: Call) -> Answer:
    """GET /: a choice, though there is one."""
    return Answer(300, _versions(call))


async def versions(call: Call) -> Answer:
    """GET /versions and /v2."""
    return Answer(body=_versions(call))


async def import_info(call: Call) -> Answer:
    """GET /v2/info/import: images come by PUT alone."""
    del call
    return Answer(body={"import-methods": {"description": "Import methods available.", "type": "array", "value": []}})


async def stores_info(call: Call) -> Answer:
    """GET /v2/info/stores: stores can't be chosen by clients."""
    del call
    return Answer(body={"stores": []})


async def tasks(call: Call) -> Answer:
    """GET /v2/tasks: there are none."""
    del call
    return Answer(body={"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"})

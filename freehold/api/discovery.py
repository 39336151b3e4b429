"""What may be asked without signing in: which services and versions there are."""

from collections.abc import Sequence
from typing import Any

from freehold.api import faults
from freehold.api.call import Answer, Call, Door, Route


def root_door(doors: Sequence[Door]) -> Door:
    """What stands at ``/``: the list of doors. Anything else there is not found."""
    names = [door.name for door in doors]

    async def services(call: Call) -> Answer:
        return Answer(body={"services": [{"name": name, "href": f"{call.cloud.public_url}/{name}"} for name in names]})

    return Door("", {("GET", "/"): Route(services, "discover")}, faults.keystone)


def version(identifier: str, href: str, status: str = "CURRENT", **more: Any) -> dict[str, Any]:
    """One version in the form that all services share."""
    return {"id": identifier, "status": status, **more, "links": [{"rel": "self", "href": href}]}

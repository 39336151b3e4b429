"""Links, as Cinder gives them."""

from typing import Any

from freehold.api.call import Call


def links(call: Call, noun: str, key: str) -> list[dict[str, Any]]:
    """The link to a thing itself, and its bookmark; both name the project if the call's path does."""
    within = f"/{call.caller.project}" if "project_id" in call.params else ""
    return [
        {"rel": "self", "href": f"{call.base_url}/v3{within}/{noun}/{key}"},
        {"rel": "bookmark", "href": f"{call.base_url}{within}/{noun}/{key}"},
    ]

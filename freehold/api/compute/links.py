"""Links, as Nova gives them."""

from typing import Any

from freehold.api.call import Call


def links(call: Call, noun: str, key: str) -> list[dict[str, Any]]:
    """The link to a thing itself, and its bookmark."""
    return [{"rel": "self", "href": f"{call.base_url}/v2.1/{noun}/{key}"}, bookmark(call, noun, key)]


def bookmark(call: Call, noun: str, key: str) -> dict[str, Any]:
    """The link without a version."""
    return {"rel": "bookmark", "href": f"{call.base_url}/{noun}/{key}"}

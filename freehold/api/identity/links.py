"""The frame around Keystone's answers: links, lists, and the one domain."""

from collections.abc import Iterable
from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.vocabulary.tenant import DEFAULT_DOMAIN

DOMAIN_NAME: Final = "Default"
DOMAIN: Final = {"id": DEFAULT_DOMAIN, "name": DOMAIN_NAME}


def self_link(call: Call, collection_name: str, identifier: str) -> dict[str, Any]:
    """``{"links": {"self": …}}`` of one thing."""
    return {"links": {"self": f"{call.base_url}/v3/{collection_name}/{identifier}"}}


def collection(call: Call, name: str, rows: Iterable[dict[str, Any]]) -> Answer:
    """A whole list: Keystone doesn't page."""
    links = {"self": f"{call.base_url}{call.path}", "next": None, "previous": None}
    return Answer(body={name: list(rows), "links": links})

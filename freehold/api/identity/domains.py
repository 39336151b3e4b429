"""The one domain. Everything belongs to it."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.faults import HttpRefusal
from freehold.api.identity.links import DOMAIN, collection, self_link
from freehold.api.reading import not_found
from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.tenant import DEFAULT_DOMAIN


def _shown(call: Call) -> dict[str, Any]:
    more = {"description": "The only domain", "enabled": True, "tags": [], "options": {}}
    return {**DOMAIN, **more, **self_link(call, "domains", DEFAULT_DOMAIN)}


async def index(call: Call) -> Answer:
    """GET /domains and /auth/domains."""
    name, enabled = call.query.one("name"), call.query.flag("enabled")
    match = (name is None or name == DOMAIN["name"]) and enabled is not False
    return collection(call, "domains", [_shown(call)] if match else [])


async def show(call: Call) -> Answer:
    """GET /domains/{domain_id}."""
    if call.params["domain_id"] != DEFAULT_DOMAIN:
        raise NotFound(not_found("domain", call.params["domain_id"]))
    return Answer(body={"domain": _shown(call)})


async def refuse(call: Call) -> Answer:
    """Any change of domains."""
    raise HttpRefusal(501, "There is one domain, and it can't be changed: use projects.")


async def no_groups(call: Call) -> Answer:
    """GET /groups and /users/{user_id}/groups: roles are given to users alone."""
    return collection(call, "groups", [])

"""The one table of who may do what. What a thing belongs to is checked where it is found; this is about roles alone."""

from enum import Enum
from typing import Final

from freehold.api.caller import Caller
from freehold.vocabulary.errors import Forbidden, Unauthorized


class Rule(Enum):
    """Who is let in. `admin` implies `member`, which implies `reader`; admin in any project administers the cloud."""

    ANYONE = "anyone"
    AUTHENTICATED = "authenticated"
    READER = "reader"
    """Signed in for a project, with a role in it."""
    MEMBER = "member"
    ADMIN = "admin"


RULES: Final[dict[str, Rule]] = {
    "discover": Rule.ANYONE,
    # identity
    "token:create": Rule.ANYONE,
    "token:read": Rule.AUTHENTICATED,
    "token:revoke": Rule.AUTHENTICATED,
    "own:read": Rule.AUTHENTICATED,
    "user:read": Rule.AUTHENTICATED,
    "user:write": Rule.ADMIN,
    "user:list": Rule.ADMIN,
    "user:password": Rule.AUTHENTICATED,
    "credential:read": Rule.AUTHENTICATED,
    "credential:write": Rule.AUTHENTICATED,
    "project:read": Rule.AUTHENTICATED,
    "project:list": Rule.ADMIN,
    "project:write": Rule.ADMIN,
    "role:read": Rule.AUTHENTICATED,
    "role:write": Rule.ADMIN,
    "assignment:read": Rule.AUTHENTICATED,
    "assignment:write": Rule.ADMIN,
    "domain:read": Rule.AUTHENTICATED,
    "domain:write": Rule.ADMIN,
    "catalog:read": Rule.AUTHENTICATED,
    "catalog:write": Rule.ADMIN,
    # image
    "image:read": Rule.READER,
    "image:write": Rule.MEMBER,
    # network
    "network:read": Rule.READER,
    "network:write": Rule.MEMBER,
    "network:admin": Rule.ADMIN,
    # volume
    "volume:read": Rule.READER,
    "volume:write": Rule.MEMBER,
    "volume:admin": Rule.ADMIN,
    # compute
    "compute:read": Rule.READER,
    "compute:write": Rule.MEMBER,
    "compute:admin": Rule.ADMIN,
    # freehold's own
    "native:admin": Rule.ADMIN,
    "request:read": Rule.READER,
    "request:write": Rule.MEMBER,
    "native:enroll": Rule.ANYONE,  # who has an invitation
    "native:read": Rule.READER,
    "native:write": Rule.MEMBER,
    "native:feed": Rule.ANYONE,  # who has a feed's URL
}

_IMPLIED: Final = {
    Rule.READER: frozenset({"reader", "member", "admin"}),
    Rule.MEMBER: frozenset({"member", "admin"}),
    Rule.ADMIN: frozenset({"admin"}),
}


def rule_of(action: str) -> Rule:
    """The rule of an action. Raises KeyError for one that isn't in the table, which is an error in a route table."""
    return RULES[action]


def check(rule: Rule, caller: Caller) -> None:
    """Raises Unauthorized if nobody is signed in, Forbidden if the caller's roles don't suffice."""
    if rule is Rule.ANYONE:
        return
    if not caller.user:
        raise Unauthorized("The request you have made requires authentication.")
    if rule is not Rule.AUTHENTICATED and not _IMPLIED[rule] & caller.roles:
        raise Forbidden(f"You are not authorized to do this: it needs the {rule.value} role in a project.")

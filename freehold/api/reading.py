"""Reads from the view, so that a client always finds what it has just written, through whichever API process.

"Not found" and lists first make sure that the view is as new as the question; what is found is given at once.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from freehold.api.call import Call
from freehold.vocabulary.codec import KIND_OF, OWNED_BY
from freehold.vocabulary.envelope import Owner
from freehold.vocabulary.errors import NotFound, Unavailable
from freehold.vocabulary.shards import IDENTITY_SHARD
from freehold.vocabulary.tenant import Quota
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)

KEY_BYTES_MAX: Final = 400
"""No key is longer; whatever is asked for beyond isn't there."""

_OF_PROJECTS: Final = frozenset({"admission", "request", "quota", "server_group", "fence", "volume_admission"})
"""What each project's own registrar shard keeps; the identity shard has the registrar's other kinds."""


def owner_role(shape: type[Word]) -> str:
    """The role that owns records of a class."""
    return OWNED_BY[KIND_OF[shape]]


def shards(call: Call, shape: type[Word], project: str | None = None) -> Iterable[int]:
    """The registrar shards that may have records of a class: of `project`, or of any that the caller may see."""
    if KIND_OF[shape] not in _OF_PROJECTS:
        return (IDENTITY_SHARD,)
    if project is not None or not call.caller.is_admin:
        return (call.cloud.shards.of(project if project is not None else call.caller.project),)
    return call.cloud.shards.all()


def registrars(call: Call, shape: type[Word], project: str | None = None) -> list[Owner]:
    """The owners of those shards. Raises Unavailable for one that isn't known yet: its part would be missing."""
    known = [seen.owner for seen in call.cloud.view.owners() if seen.owner.role == "registrar"]
    found: list[Owner] = []
    for shard in shards(call, shape, project):
        owners = [owner for owner in known if owner.shard == shard]
        if not owners:
            raise Unavailable(f"Registrar shard {shard} hasn't been heard since this API process started. Try again.")
        found += owners
    return found


def is_key(text: str) -> bool:
    """Whether anything can be kept under a key."""
    return bool(text) and text.isprintable() and len(text.encode(errors="replace")) <= KEY_BYTES_MAX


async def find(call: Call, shape: type[R], key: str) -> R | None:
    """The record under `key`, or None once the view is sure."""
    if not is_key(key):
        return None
    view = call.cloud.view
    found = view.get(shape, key)
    if found is None:
        await view.fresh([owner_role(shape)], shards(call, shape, key if shape is Quota else None))
        found = view.get(shape, key)
    return found


async def one(call: Call, shape: type[R], key: str, noun: str) -> R:
    """The record under `key`. Raises NotFound: "{noun} {key} could not be found."."""
    found = await find(call, shape, key)
    if found is None:
        raise NotFound(not_found(noun, key))
    return found


def not_found(noun: str, key: str) -> str:
    """The sentence that clients know; also for what is there but not the caller's to see."""
    return f"{noun} {key[:255]} could not be found."


async def every(call: Call, shape: type[R], project: str | None = None, *, newest_first: bool = True) -> Iterator[R]:
    """All records of a class, of one project or of all, in order of creation."""
    await call.cloud.view.fresh([owner_role(shape)], shards(call, shape, project))
    if project is not None and not is_key(project):
        return iter(())
    return call.cloud.view.list(shape, project, newest_first=newest_first)


async def keyed(call: Call, shape: type[R], prefix: str) -> list[R]:
    """The records whose key begins with `prefix`."""
    await call.cloud.view.fresh([owner_role(shape)], shards(call, shape))
    return list(call.cloud.view.keyed(shape, prefix)) if is_key(prefix) else []

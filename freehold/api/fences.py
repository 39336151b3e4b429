"""What an operator vouches for of a host, by whichever door: that it is off, and that it may come in again.

What somebody vouches for was so when he looked. An order may lie in a process that stands still, while the host is
repaired and let in; so who gives it says which of the host's fences it is about (`seen`), and is refused if that isn't
what comes next any more.
"""

import asyncio
import re
from typing import Final

from freehold.api.call import Call
from freehold.bus import subjects, talk
from freehold.runtime.chance import new_urn
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Conflict
from freehold.vocabulary.fence import Fence, FenceHost, FenceStands, UnfenceHost
from freehold.vocabulary.host import Host

DEADLINE_S: Final = 10.0
_SEPARATOR: Final = "-"
_TERM: Final = re.compile(r"[1-9][0-9]{0,8}")


async def sure_fences(call: Call, host: str) -> list[Fence]:
    """The fences of a host that stand. Raises Unavailable if a shard can't be asked."""
    await call.cloud.view.fresh(("registrar",), call.cloud.shards.all())
    return fences(call, host)


def fences(call: Call, host: str) -> list[Fence]:
    """The fences of a host that stand, by shard, as this process knows them."""
    found = call.cloud.view.keyed(Fence, f"{host}/")
    return sorted((fence for fence in found if not fence.lifted), key=lambda fence: fence.shard)


async def seen(call: Call, host: Host) -> str:
    """What an order about a host says that it was given upon, if it is given now: the term, in each shard, of the fence
    that stands, or of the next.
    """
    return _SEPARATOR.join(str(shard.term) for shard in await _looked(call, host, "", force=True))


async def fence(call: Call, host: Host, evidence: str, *, force: bool, upon: str = "") -> list[Fence]:
    """Fences a host in every shard of the registrar. Raises Conflict while it is heard, unless `force`; and where an
    order that was given `upon` something (see `seen`) comes late.

    Every shard must agree before one of them begins. One that fails then has others fence it already: ask again.
    """
    shards = call.cloud.shards.all()
    given = _terms(call, upon)
    looked = await _looked(call, host, evidence, force=force)
    terms = tuple(shard.term for shard in looked)
    if given and given != terms:
        raise Conflict(f"Host {host.name} was fenced or let in since this was ordered. Look at it again.")
    urn = new_urn(call.cloud.chance)
    for shard, term in zip(shards, terms, strict=True):
        order = FenceHost(
            urn=urn, host=host.id, name=host.name, user=call.caller.user, evidence=evidence, force=force, term=term
        )
        await _seen(call, await _ask(call, shard, order))
    return fences(call, host.id)


async def unfence(call: Call, host: Host, *, upon: str = "") -> None:
    """Lets a host in again, in every shard. Raises Conflict if it isn't fenced, or if an order that was given `upon`
    something comes late; NoAnswer if the host doesn't answer.
    """
    shards, urn = call.cloud.shards.all(), new_urn(call.cloud.chance)
    terms = _terms(call, upon) or (0,) * len(shards)
    stood = [
        await _ask(call, shard, UnfenceHost(urn=urn, host=host.id, name=host.name, user=call.caller.user, term=term))
        for shard, term in zip(shards, terms, strict=True)
    ]
    for stands in stood:
        await _seen(call, stands)
    if not any(stands.lifted for stands in stood):
        raise Conflict(f"Host {host.name} isn't fenced.")


async def _looked(call: Call, host: Host, evidence: str, *, force: bool) -> list[FenceStands]:
    look = FenceHost(
        urn=new_urn(call.cloud.chance),
        host=host.id,
        name=host.name,
        user=call.caller.user,
        evidence=evidence,
        force=force,
        only_look=True,
    )
    return await asyncio.gather(*(_ask(call, shard, look) for shard in call.cloud.shards.all()))


def _terms(call: Call, upon: str) -> tuple[int, ...]:
    """What an order was given upon, taken apart; nothing if it doesn't say. Raises BadRequest."""
    if not upon:
        return ()
    parts = upon.split(_SEPARATOR)
    if len(parts) != call.cloud.shards.count or not all(_TERM.fullmatch(part) for part in parts):
        raise BadRequest("'seen' is to be what GET of the host's fence says.")
    return tuple(map(int, parts))


async def _ask(call: Call, shard: int, question: FenceHost | UnfenceHost) -> FenceStands:
    return await talk.ask(call.cloud.bus, subjects.ask_shard(shard), question, FenceStands, DEADLINE_S)


async def _seen(call: Call, stands: FenceStands) -> None:
    await call.cloud.view.seen(Done(store=stands.store, position=stands.position))

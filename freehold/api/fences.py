"""What an operator vouches for of a host, by whichever door: that it is off, and that it may come in again."""

import asyncio
from typing import Final

from freehold.api.call import Call
from freehold.bus import subjects, talk
from freehold.runtime.chance import new_urn
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Conflict
from freehold.vocabulary.fence import Fence, FenceHost, FenceStands, UnfenceHost
from freehold.vocabulary.host import Host

DEADLINE_S: Final = 10.0


async def sure_fences(call: Call, host: str) -> list[Fence]:
    """The fences of a host that stand. Raises Unavailable if a shard can't be asked."""
    await call.cloud.view.fresh(("registrar",), call.cloud.shards.all())
    return fences(call, host)


def fences(call: Call, host: str) -> list[Fence]:
    """The fences of a host that stand, by shard, as this process knows them."""
    found = call.cloud.view.keyed(Fence, f"{host}/")
    return sorted((fence for fence in found if not fence.lifted), key=lambda fence: fence.shard)


async def fence(call: Call, host: Host, evidence: str, *, force: bool) -> list[Fence]:
    """Fences a host in every shard of the registrar. Raises Conflict while it is heard, unless `force`.

    Every shard must agree before one of them begins. One that fails then has others fence it already: ask again.
    """
    look = FenceHost(
        urn=new_urn(call.cloud.chance),
        host=host.id,
        name=host.name,
        user=call.caller.user,
        evidence=evidence,
        force=force,
        only_look=True,
    )
    shards = call.cloud.shards.all()
    terms = await asyncio.gather(*(_ask(call, shard, look) for shard in shards))
    for shard, seen in zip(shards, terms, strict=True):
        order = FenceHost(
            urn=look.urn,
            host=host.id,
            name=host.name,
            user=look.user,
            evidence=evidence,
            force=force,
            term=seen.term,
        )
        await _seen(call, await _ask(call, shard, order))
    return fences(call, host.id)


async def unfence(call: Call, host: Host) -> None:
    """Lets a host in again, in every shard. Raises Conflict if it isn't fenced, NoAnswer if it doesn't answer."""
    order = UnfenceHost(urn=new_urn(call.cloud.chance), host=host.id, name=host.name, user=call.caller.user)
    stood = [await _ask(call, shard, order) for shard in call.cloud.shards.all()]
    for stands in stood:
        await _seen(call, stands)
    if not any(stands.lifted for stands in stood):
        raise Conflict(f"Host {host.name} isn't fenced.")


async def _ask(call: Call, shard: int, question: FenceHost | UnfenceHost) -> FenceStands:
    return await talk.ask(call.cloud.bus, subjects.ask_shard(shard), question, FenceStands, DEADLINE_S)


async def _seen(call: Call, stands: FenceStands) -> None:
    await call.cloud.view.seen(Done(store=stands.store, position=stands.position))

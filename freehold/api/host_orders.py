"""What an operator orders of a host, by whichever door: drain it, take it up again, retire it."""

from typing import Final

from msgspec.structs import replace

from freehold.api.call import Call
from freehold.api.reading import every
from freehold.bus import subjects, talk
from freehold.runtime.chance import new_urn
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import FreeholdError, NotFound
from freehold.vocabulary.fence import Fence
from freehold.vocabulary.host import NOTHING, Drain, Host, RetireHost, Undrain
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.machine import Bar, Machine
from freehold.vocabulary.request import Admission

DEADLINE_S: Final = 10.0


async def named(call: Call, key: str) -> Host:
    """The host of an id or a name. Raises NotFound, also if several have the name."""
    found = [host for host in await every(call, Host) if key in (host.id, host.name)]
    exact = [host for host in found if host.id == key] or found
    if len(exact) > 1:
        raise NotFound(f"{len(exact)} hosts are named {key[:255]}; say which by its id.")
    if not exact:
        raise NotFound(f"There is no host {key[:255]}.")
    return exact[0]


async def named_or_lost(call: Call, key: str) -> Host:
    """The same, also of a host that this API process has never heard: one that is fenced, by id or name, or that the
    ledger has given guests to, by id.
    """
    try:
        return await named(call, key)
    except NotFound:
        fenced = {fence.host: fence.name for fence in await every(call, Fence)}
        found = [host for host, name in fenced.items() if key in (host, name)]
        if not found and is_uuid(key):
            deeds = (admission.live_deed() for admission in await every(call, Admission))
            found = [key] if any(deed is not None and deed.host == key for deed in deeds) else []
        if len(found) != 1:
            raise
    return unheard(found[0], fenced.get(found[0], found[0]))


def unheard(host: str, name: str) -> Host:
    """What is known of a host that was never heard."""
    return Host(id=host, name=name, cluster="", total=NOTHING)


async def drain(call: Call, host: Host, reason: str) -> Host:
    """No new guests; what runs goes on. The host has it on disk. Gives it as it is then."""
    order = Drain(urn=new_urn(call.cloud.chance), host=host.id, user=call.caller.user, reason=reason)
    return await _ordered(call, host, order)


async def undrain(call: Call, host: Host) -> Host:
    """Guests again."""
    return await _ordered(call, host, Undrain(urn=new_urn(call.cloud.chance), host=host.id, user=call.caller.user))


async def _ordered(call: Call, host: Host, order: Drain | Undrain) -> Host:
    done = await talk.ask(call.cloud.bus, subjects.ASK_SCHEDULER, order, Done, DEADLINE_S)
    await call.cloud.view.seen(done)
    return call.cloud.view.get(Host, host.id) or host


async def retire(call: Call, host: Host, *, dead: bool) -> str:
    """Lets go of a host, for good. What became of its machine's passport: ``barred``, or a sentence why not.

    Every shard of the registrar must agree before one of them begins. Raises Conflict while it has guests.
    """
    question = RetireHost(
        urn=new_urn(call.cloud.chance), host=host.id, name=host.name, user=call.caller.user, dead=dead, only_look=True
    )
    await _every_shard(call, question)
    for done in await _every_shard(call, replace(question, only_look=False)):
        await call.cloud.view.seen(done)
    return await _bar(call, host)


async def _every_shard(call: Call, question: RetireHost) -> list[Done]:
    return [
        await talk.ask(call.cloud.bus, subjects.ask_shard(shard), question, Done, DEADLINE_S)
        for shard in call.cloud.shards.all()
    ]


async def _bar(call: Call, host: Host) -> str:
    """Shuts the host's machine out, if it is nothing else: its passport would let it speak as that host again."""
    view = call.cloud.view
    machine = next((one for one in view.list(Machine) if host.id in one.stores and not one.barred), None)
    if machine is None:
        return "It has no passport."
    if machine.roles != ("host",) or any(view.get(Host, store) is not None for store in machine.stores):
        return f"Its machine {machine.name} isn't barred: it has other roles, or other hosts."
    try:
        await view.seen(
            await talk.ask(call.cloud.bus, subjects.ASK_DIRECTORY, Bar(machine=machine.id), Done, DEADLINE_S)
        )
    except FreeholdError as error:
        return f"Its machine {machine.name} isn't barred yet: {error.message} Do it with `freehold machine bar`."
    return "barred"

"""What the operator of a whole cloud does in a story, as its admin."""

from typing import Any

from freehold.runtime.chance import new_urn
from freehold.sim.calls import Reply
from freehold.sim.site import PASSWORD, HostSite
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.host import Drain, Undrain
from freehold.vocabulary.local import HostStands, LocalAnswer
from tests.scenarios.stage import Lines, Stage

HOSTS = "/freehold/v1/hosts"


async def _asked(stage: Stage, method: str, path: str, body: Any = None) -> Reply:
    admin = await stage.world.signed_in("admin", PASSWORD, "admin")
    return await admin.call(stage.world.apis[0], method, path, body)


def _said(host: HostSite, reply: Reply, well: str) -> Lines:
    return [f"{host.name} {well}" if reply.status == 200 else f"{reply.status}: {reply.json['error']['message']}"]


async def drain(stage: Stage, host: HostSite) -> Lines:
    """Through the API."""
    reply = await _asked(stage, "PUT", f"{HOSTS}/{host.name}", {"host": {"enabled": False, "reason": "new disks"}})
    return _said(host, reply, "is drained")


async def undrain(stage: Stage, host: HostSite) -> Lines:
    """Through the API."""
    return _said(host, await _asked(stage, "PUT", f"{HOSTS}/{host.name}", {"host": {"enabled": True}}), "takes guests")


async def retire(stage: Stage, host: HostSite) -> Lines:
    """Lets go of a host that can be asked."""
    return _said(host, await _asked(stage, "DELETE", f"{HOSTS}/{host.name}"), "is retired")


async def retire_dead(stage: Stage, host: HostSite) -> Lines:
    """Lets go of one that is said to be gone."""
    return _said(host, await _asked(stage, "DELETE", f"{HOSTS}/{host.name}?dead=true"), "is retired, as dead")


async def drain_here(stage: Stage, host: HostSite) -> Lines:
    """At the machine itself, with nobody above."""
    return await _ordered_here(stage, host, Drain(urn=new_urn(stage.chance), host="", user="", reason="fans"))


async def undrain_here(stage: Stage, host: HostSite) -> Lines:
    """At the machine itself."""
    return await _ordered_here(stage, host, Undrain(urn=new_urn(stage.chance), host="", user=""))


async def _ordered_here(stage: Stage, host: HostSite, order: Drain | Undrain) -> Lines:
    del stage
    assert host.worker is not None and host.process is not None
    answer = decode(await host.process.start(host.worker.local.answer("operator", encode(order))), LocalAnswer)
    if answer.fault is not None:
        return [answer.fault.message]
    stands = decode(answer.body, HostStands)
    return [f"{stands.name} {'takes guests' if stands.enabled else 'is drained'}, and has {stands.guests}"]


async def fence(stage: Stage, host: HostSite) -> Lines:
    """Somebody vouches that it is off."""
    body = {"fence": {"evidence": "its plug is out"}}
    return _said(host, await _asked(stage, "PUT", f"{HOSTS}/{host.name}/fence", body), "is fenced")


async def unfence(stage: Stage, host: HostSite) -> Lines:
    """It may come in again."""
    return _said(host, await _asked(stage, "DELETE", f"{HOSTS}/{host.name}/fence"), "is let in again")


async def look_what_leaves(stage: Stage, host: HostSite) -> Lines:
    """What would be lost."""
    return await _leave(stage, host, dry_run=True)


async def evacuate(stage: Stage, host: HostSite) -> Lines:
    """Its guests are built elsewhere."""
    return await _leave(stage, host, dry_run=False)


async def _leave(stage: Stage, host: HostSite, *, dry_run: bool) -> Lines:
    body = {"evacuation": {"dry_run": dry_run}}
    reply = await _asked(stage, "POST", f"{HOSTS}/{host.name}/evacuation", body)
    told: Lines = []
    for guest in reply.json["evacuation"]["guests"]:
        what = guest["refused"] or ("would leave" if dry_run else "leaves")
        told += [f"{guest['name']}: {what}", *(f"  lost: {lost}" for lost in guest["lost"] if dry_run)]
    return told


async def discard(stage: Stage, name: str, host: HostSite) -> Lines:
    """It lets go of an old copy."""
    _, known = stage.owned(name)
    reply = await _asked(stage, "DELETE", f"{HOSTS}/{host.name}/copies/{known.id}")
    return [f"{reply.status}: {reply.json['error']['message']}"] if reply.status != 202 else [f"{name}: removed"]


async def switch_off(stage: Stage, host: HostSite) -> Lines:
    """The machine is off until somebody switches it on."""
    del stage
    host.lose_power()
    host.away = True
    return []


async def switch_on(stage: Stage, host: HostSite) -> Lines:
    """It is on again."""
    del stage
    host.away = False
    host.start()
    return []


async def take_away(stage: Stage, host: HostSite) -> Lines:
    """The machine is switched off and carried out."""
    stage.world.die(host)
    return []


async def fleet(stage: Stage) -> Lines:
    """The hosts, as the first API shows them."""
    hosts = (await _asked(stage, "GET", HOSTS)).json["hosts"]
    retired = (await _asked(stage, "GET", "/freehold/v1/retired-hosts")).json["hosts"]
    shown = [f"{host['name']}: {_stands(host)}, {host['guests']} guests" for host in hosts]
    return sorted(shown) + [f"{one['name']}: retired{', as dead' if one['dead'] else ''}" for one in retired]


def _stands(host: Any) -> str:
    if host["fences"]:
        return f"fenced ({host['fences'][0]['evidence']})"
    copies = f", {host['quarantined']} old copies" if host["quarantined"] else ""
    takes = "takes guests" if host["enabled"] else f"drained ({host['disabled_reason']})"
    takes += copies
    return takes if host["state"] == "heard" else f"{takes}, silent"

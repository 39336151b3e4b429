"""Guests that leave a fenced host: which they are, what is lost of each, and the requests by which they go."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from freehold.api.call import Call
from freehold.api.compute import server_view
from freehold.api.compute.server_view import Server
from freehold.api.fences import sure_fences
from freehold.api.reading import every
from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Conflict, FreeholdError
from freehold.vocabulary.fence import EVACUATION_DEADLINE_S, Evacuate
from freehold.vocabulary.guest import GuestState, Labels
from freehold.vocabulary.host import Host
from freehold.vocabulary.image import Image
from freehold.vocabulary.network import Network, NetworkWanted, Port, Ties
from freehold.vocabulary.request import Admission, Request, Stage
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import unix_ms
from freehold.vocabulary.word import Word

DEADLINE_S: Final = 10.0
AT_ONCE_MAX: Final = 32
STOPPED: Final = frozenset({GuestState.STOPPED, GuestState.STOPPING, GuestState.SHUTTING_DOWN})

BACKUP, VIEW, LEDGER, BOTH = "backup", "view", "ledger", "view and backup"


class Known(Word, frozen=True, kw_only=True):
    """What the backup of a host's store has of a guest. `updated_ms`: Unix time at which its host had last changed it,
    by that; None: nobody has said, and it is taken for the newest there is.
    """

    labels: Labels
    updated_ms: int | None = None
    stopped: bool = False
    user_data: Secret | None = None
    admin_password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Leaving:
    """A guest that may leave a host. `refused`: why it can't."""

    server: Server
    known_from: str
    lost: tuple[str, ...]
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """How guests are to go. `stopped` None: as they were."""

    target: str = ""
    stopped: bool | None = None
    password: Secret | None = None
    deadline_s: float = EVACUATION_DEADLINE_S


async def of_host(call: Call, host: str) -> list[Admission]:
    """The guests that a host has by the ledger, and those that have left it and are nowhere, oldest first."""
    found = [admission for admission in await every(call, Admission) if is_of(admission, host)]
    return sorted(found, key=lambda admission: (admission.created, admission.guest))


def is_of(admission: Admission, host: str) -> bool:
    """Whether a guest is a fenced host's to lose."""
    deed = admission.live_deed()
    if deed is not None:
        return deed.host == host
    return admission.stage is Stage.FAILED and host in admission.left


def leaving(call: Call, admission: Admission, known: Known | None) -> Leaving:
    """What is known of a guest, from where, and what of it is lost."""
    server = server_view.joined(call, admission)
    source = VIEW if server.guest is not None else LEDGER
    if known is not None:
        source = BOTH if _older(known, server) else BACKUP
    refused = ""
    if admission.delete_urn:
        refused = "It is being deleted."
    elif admission.stage is Stage.FAILED and admission.live_deed() is not None:
        refused = "Its build had failed: there is nothing to evacuate. Delete it."
    return Leaving(server, source, _lost(server, known), refused)


def _older(known: Known, server: Server) -> bool:
    """Whether the host has told of the guest since it was backed up: what it told is the newer of what both have."""
    if known.updated_ms is None or server.guest is None:
        return False
    return known.updated_ms < unix_ms(server.guest.updated)


def _lost(server: Server, known: Known | None) -> tuple[str, ...]:
    admission, flavor = server.admission, server.admission.spec.flavor
    if admission.stage in (Stage.SCHEDULED, Stage.BUILDING):
        return ()  # it goes on with the message that it is built by
    lost = [f"what is on its disk of {flavor.disk_gib} GiB" if flavor.disk_gib else "what is on its disk"]
    if known is None:
        lost.append("its user data and password, if it had any: only a backup of its host has them")
        if server.guest is None:
            lost.append("changes of its name, metadata and tags: its host isn't known to this API process")
    return tuple(lost)


async def evacuate(call: Call, host: Host, admission: Admission, known: Known | None, wish: Wish) -> str:
    """Asks for one guest to go; the URN of its request. Raises Conflict, also if its host isn't fenced."""
    shard = call.cloud.shards.of(admission.project)
    standing = [fence for fence in await sure_fences(call, host.id) if fence.shard == shard]
    if not standing:
        raise Conflict(
            f"Host {host.name} isn't fenced: nobody has said that it is off. Make sure that it is, and fence it first."
        )
    server = server_view.joined(call, admission)
    ports = server_view.ports_of(call, server)
    newest = None if known is not None and _older(known, server) else known
    stopped = newest.stopped if newest is not None else server.guest is not None and server.guest.state in STOPPED
    question = Evacuate(
        guest=admission.guest,
        host=host.id,
        term=standing[0].term,
        user=call.caller.user,
        labels=newest.labels if newest is not None else server.labels,
        networks=tuple(NetworkWanted(network=port.network, port=port.id) for port in ports) if ports else None,
        ties=_ties(call, admission, ports),
        image_owner=call.cloud.view.owner(Image, admission.spec.image),
        target=wish.target,
        stopped=stopped if wish.stopped is None else wish.stopped,
        user_data=None if known is None else known.user_data,
        admin_password=wish.password or (None if known is None else known.admin_password),
        deadline_s=wish.deadline_s,
    )
    done = await talk.ask(call.cloud.bus, subjects.ask_shard(shard), question, Done, DEADLINE_S)
    await call.cloud.view.seen(done)
    return done.key


def _ties(call: Call, admission: Admission, ports: Iterable[Port]) -> Ties:
    """A guest stays in the cluster of its networks."""
    wanted = [port.network for port in ports] or [one.network for one in admission.networks if one.network]
    networks = [network for key in wanted if (network := call.cloud.view.get(Network, key)) is not None]
    if not networks:
        deed = admission.deed
        return Ties(cluster=deed.cluster if admission.networks and deed is not None else "")
    physical = tuple(sorted({network.physical for network in networks if network.physical}))
    return Ties(cluster=networks[0].cluster, physical=physical)


async def evacuate_all(
    call: Call, host: Host, guests: Sequence[Leaving], known: Mapping[str, Known], wish: Wish
) -> dict[str, str | FreeholdError]:
    """Asks for many; what came of each, by guest: its request's URN, or why not."""
    turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(guest: Leaving) -> tuple[str, str | FreeholdError]:
        admission = guest.server.admission
        async with turns:
            try:
                return admission.guest, await evacuate(call, host, admission, known.get(admission.guest), wish)
            except FreeholdError as error:
                return admission.guest, error

    return dict(await asyncio.gather(*(one(guest) for guest in guests if not guest.refused)))


def stands(call: Call, admission: Admission, host: str) -> tuple[str, str]:
    """How far a guest has come that leaves, or has left, a host: a word, and a sentence where it says more."""
    deed = admission.live_deed()
    if deed is not None and deed.host == host:
        return (
            ("leaving", "It waits for another host.") if admission.moving else ("there", _last_fault(call, admission))
        )
    if admission.stage is Stage.FAILED:
        return "failed", "" if admission.fault is None else admission.fault.message
    return ("done", "") if admission.stage is Stage.ACTIVE else ("being built", "")


def _last_fault(call: Call, admission: Admission) -> str:
    """Why it hasn't left, if it was to: what its last request to has ended with."""
    requests = [one for one in call.cloud.view.list(Request, admission.project) if one.guest == admission.guest]
    ended = [one for one in requests if one.action == "evacuate" and one.fault is not None]
    last = max(ended, key=lambda one: one.created, default=None)
    return "" if last is None or last.fault is None else last.fault.message

"""Servers as they stood at a moment: what the header ``Freehold-As-Of`` asks for.

    Freehold-As-Of: 2026-11-24T02:00:00Z         a time (UTC where it names no zone)
    Freehold-As-Of: position STORE:SEQ           one owner's position, and the others at the time of that entry

The registrar's and the hosts' own logs are asked, so an answer is whole or refused, and a question about the same time
is answered alike until it lies before an owner's horizon.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from freehold.api.call import AS_OF, Call
from freehold.api.reading import registrars
from freehold.api.times import milliseconds
from freehold.views.interface import OwnerSeen
from freehold.views.past import Moment, PastReader, PastView, Wanted, too_old
from freehold.vocabulary.envelope import Owner
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.request import Admission
from freehold.vocabulary.units import COUNTER_BITS, clock_time, iso_millis

_POSITION: Final = re.compile(r"position ([0-9a-f-]{36}):([0-9]{1,18})")
_END_OF_MS: Final = (1 << COUNTER_BITS) - 1


async def standing(call: Call, project: str | None, *, guest: str = "") -> tuple[Call, Mapping[str, str]]:
    """The call, over a view of the moment that it asks for, and the header that says which that is. A call that asks
    for none comes back as it is.

    Raises BadRequest for a moment that can't be, TooOld for one before a horizon, Unavailable for an owner that can't
    be asked.
    """
    asked = call.headers.get(AS_OF)
    if asked is None:
        return call, {}
    owners = {seen.owner.store: seen for seen in call.cloud.view.owners()}
    moment = await _moment(call, owners, asked)
    ledgers = registrars(call, Admission, project)
    view = await _filled(PastReader(call.cloud.bus, moment), owners, ledgers, moment, project or "", guest)
    at = f"position {moment.store}:{moment.seq}; {iso_millis(moment.time)}" if moment.store else iso_millis(moment.time)
    return replace(call, cloud=replace(call.cloud, view=view)), {AS_OF: at}


async def _moment(call: Call, owners: Mapping[str, OwnerSeen], asked: str) -> Moment:
    if asked.startswith("position"):
        form = _POSITION.fullmatch(asked)
        if form is None or form[1] not in owners:
            raise BadRequest("Freehold-As-Of must be a time or 'position STORE:SEQ', as /freehold/v1/owners has them")
        store, seq = form[1], int(form[2])
        owner = owners[store].owner
        time = await PastReader(call.cloud.bus, Moment(0)).time_at(owner, _name(owners, owner), seq)
        return Moment(time, store, seq)
    ms = milliseconds("Freehold-As-Of", asked)
    if not 0 <= ms <= call.cloud.clock.clock.unix_ms():
        raise BadRequest(f"Freehold-As-Of is {asked[:64]}, which isn't in the past: nobody knows yet what is so then")
    return Moment(clock_time(ms, _END_OF_MS))


async def _filled(
    reader: PastReader, owners: Mapping[str, OwnerSeen], ledgers: list[Owner], moment: Moment, project: str, guest: str
) -> PastView:
    """What the registrars had admitted then, and what the hosts and network workers had of it."""
    view = PastView()
    networks = [owners[store].owner for store in sorted(owners) if owners[store].owner.role == "network"]
    _check_horizons(owners, [*ledgers, *networks], moment)
    asks = [Wanted(owner, _name(owners, owner), ("admission",), guest, project) for owner in ledgers]
    view.add(await reader.read(asks))
    admissions = list(view.list(Admission, project or None))
    clusters = {admission.deed.host: admission.deed.cluster for admission in admissions if admission.deed is not None}
    hosts = [Owner(store=store, role="host", cluster=clusters[store]) for store in sorted(clusters)]
    _check_horizons(owners, hosts, moment)
    asks = [Wanted(owner, _name(owners, owner), ("guest", "action"), guest, project) for owner in hosts]
    asks += [Wanted(owner, _name(owners, owner), ("host",)) for owner in hosts]
    among = admissions[0].project if guest and admissions else project
    if admissions:
        asks += [Wanted(owner, _name(owners, owner), ("port", "security_group"), "", among) for owner in networks]
    view.add(await reader.read(asks))
    return view


def _check_horizons(owners: Mapping[str, OwnerSeen], asked: list[Owner], moment: Moment) -> None:
    """Refuses at once what the latest of the horizons that were told lies after, so that nobody has to try twice."""
    told = [owners[owner.store] for owner in asked if owner.store in owners and owner.store != moment.store]
    latest = max(told, key=lambda seen: (seen.horizon, seen.owner.store), default=None)
    if latest is not None and latest.horizon > moment.time:
        raise too_old(_name(owners, latest.owner), latest.horizon)


def _name(owners: Mapping[str, OwnerSeen], owner: Owner) -> str:
    seen = owners.get(owner.store)
    return f"{owner.role} {owner.store if seen is None else seen.name or owner.store}"

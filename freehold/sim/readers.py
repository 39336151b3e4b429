"""What readers show when all has settled: what their owners have on disk."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from freehold.vocabulary.codec import KINDS, decode
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.guest import Action, Guest, Refusal

if TYPE_CHECKING:
    from freehold.sim.site import HostSite
    from freehold.sim.world import World

_UNDER_DEED: Final[dict[str, type[Guest | Action | Refusal]]] = {"guest": Guest, "action": Action, "refusal": Refusal}
"""What several hosts may have of one guest."""


def check_views(world: "World", deeds: Mapping[str, Deed | None]) -> None:
    """A view equals the fold of the owners, byte for byte, but for what a machine that died had said last. Of what
    several hosts have done with a guest, the one that has it is shown; `deeds`: who has which.
    """
    held: dict[tuple[str, str], list[tuple[int, int, str, bytes]]] = {}
    for site in world.sites.values():
        if site.store is not None:
            for kind, key, value in site.store.rows():
                rank, under = _ranked(kind, value, site.store.id, deeds.get(key.partition("/")[0]))
                held.setdefault((kind, key), []).append((rank, under, site.store.id, value))
    dead = {host.store.id for host in world.hosts if host.dead and host.store is not None}
    theirs = {place for place, those in held.items() if any(store in dead for _, _, store, _ in those)}
    rows = {place: max(those)[3] for place, those in held.items()}
    for api in world.apis:
        assert api.view is not None
        shown = api.view.everything()
        unsure = theirs | {(kind, key) for kind, key in shown if dead and api.view.owner(KINDS[kind], key) in dead}
        differs = [place for place in {**shown, **rows} if shown.get(place) != rows.get(place) and place not in unsure]
        if differs:
            world.checkers.violated(f"the view of {api.name} differs from the owners: {min(differs)}")


def check_fleets(world: "World", living: list["HostSite"]) -> None:
    """The scheduler's columns equal the records of the hosts that live."""
    for site in world.schedulers:
        fleet = site.worker.fleet if site.worker is not None else None
        for host in living:
            assert host.store is not None
            mine = [value for kind, _, value in host.store.rows() if kind == "host"]
            shown = [row for row in fleet.hosts() if row.name == host.name] if fleet else []
            if mine and [decode(mine[0], type(row)) for row in shown[:1]] != shown[:1]:
                world.checkers.violated(f"{site.name} sees {host.name} as {shown}")


def _ranked(kind: str, value: bytes, store: str, deed: Deed | None) -> tuple[int, int]:
    """Of several owners of one key the greatest is shown, with the deed it speaks under. Who has the guest comes first;
    who speaks under its deed, or a higher one, without having it, comes last: a tombstone of a copy says so.
    """
    shape = _UNDER_DEED.get(kind)
    under = 0 if shape is None else decode(value, shape).deed
    if shape is None or deed is None:
        return 1, under
    if store == deed.host and (under == deed.number or (kind != "guest" and under < deed.number)):
        return 2, under
    return int(under < deed.number), under

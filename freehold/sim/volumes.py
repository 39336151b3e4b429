"""What must always hold of volumes: as pools and registrars write, and when all has settled."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from freehold.sim import attachments
from freehold.sim.plan import GIGABYTES_QUOTA, VOLUMES_QUOTA
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Entry
from freehold.vocabulary.units import GIB
from freehold.vocabulary.volume import Pool, Snapshot, Volume, VolumeRefusal, VolumeState
from freehold.vocabulary.volume_request import VolumeAdmission, VolumeStage
from freehold.workers.registrar.volumes.lifecycle import is_unfinished as is_pursued
from freehold.workers.volume.lifecycle import is_unfinished
from freehold.workers.volume.records import promised_gib

if TYPE_CHECKING:
    from freehold.sim.people import Client
    from freehold.sim.pool_site import PoolSite
    from freehold.sim.site import Site
    from freehold.sim.world import World

MOVING = ("attaching", "detaching")
"""What a volume may be for long, if its guest's machine died for good."""


class Volumes:
    """Looks at what is written of volumes. Violations go to the world's checkers."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._admissions: dict[str, VolumeAdmission] = {}
        self._ended: dict[str, None] = {}
        self._had: dict[str, tuple[set[str], set[str]]] = {}
        """Of each volume, the attachments that it has, and those that have ended."""
        self._numbers: dict[tuple[str, int], tuple[str, str]] = {}
        """The attachment, and its host, that a number of a volume was given to."""

    def written(self, site: "Site", entry: Entry) -> None:
        """An entry that is on a site's disk."""
        if entry.kind == "volume_admission":
            self._world.tell(site.name, f"the ledger has volume {entry.key[:8]} {_stage(entry)}")
            self._admitted(entry)
        elif entry.kind in ("volume", "snapshot"):
            self._world.tell(site.name, f"{entry.kind} {entry.key[:8]} is {_state(entry)}")
            if entry.kind == "volume" and entry.value is not None:
                self._attached(site, decode(entry.value, Volume))
        elif entry.kind == "volume_pool" and entry.value is not None:
            pool = decode(entry.value, Pool)
            if pool.used_gib > pool.total_gib and site.name not in self._world.checkers.put_back:
                self._violated(f"{site.name} has promised {pool.used_gib} GiB of {pool.total_gib}")
        elif entry.kind == "volume_refusal" and entry.value is not None:
            self._refused(site, decode(entry.value, VolumeRefusal))

    def _admitted(self, entry: Entry) -> None:
        """Quota never exceeded. What has ended stays so."""
        if entry.value is None:
            self._admissions.pop(entry.key, None)
            self._ended[entry.key] = None
            return
        after = decode(entry.value, VolumeAdmission)
        if entry.key in self._ended and not after.delete_urn:
            self._violated(f"the admission of {entry.key} was gone and is back")
        is_new = entry.key not in self._admissions and not after.delete_urn
        self._admissions[entry.key] = after
        count = Counter[str]()
        for admission in self._admissions.values():
            if admission.project == after.project:
                count["snapshots" if admission.snapshot_of else "volumes"] += 1
                count["gigabytes"] += admission.size_gib()
        if is_new and (count["volumes"] > VOLUMES_QUOTA or count["gigabytes"] > GIGABYTES_QUOTA):
            self._violated(f"project {after.project} has {dict(count)}: more than its quota")

    def _refused(self, site: "Site", refusal: VolumeRefusal) -> None:
        """Bytes are gone before it is said that they are."""
        if refusal.deleted and refusal.id in cast("PoolSite", site).pool.volumes:
            self._violated(f"{site.name} says that volume {refusal.id} is gone, and has its bytes")

    def _attached(self, site: "Site", volume: Volume) -> None:
        """A volume is one guest's, and a number one attachment's, under one deed; one that has ended stays so."""
        if len(volume.attachments) > 1 and not volume.spec.multi_attach:
            self._violated(f"{site.name} has promised volume {volume.id} to {len(volume.attachments)} guests")
        there = {one.id for one in volume.attachments}
        if self._world.checkers.put_back[site.name]:
            self._had.pop(volume.id, None)
            return
        before, ended = self._had.get(volume.id, (set(), set()))
        self._had[volume.id] = there, ended | (before - there)
        if back := there & ended:
            self._violated(f"attachment {min(back)} of volume {volume.id} had ended, and is back")
        for one in volume.attachments:
            holder = self._numbers.setdefault((volume.id, one.number), (one.id, one.host))
            if one.number and holder != (one.id, one.host):
                self._violated(f"number {one.number} of volume {volume.id} was given twice")

    def _violated(self, what: str) -> None:
        self._world.checkers.violated(what)


def _stage(entry: Entry) -> str:
    if entry.value is None:
        return "no more"
    admission = decode(entry.value, VolumeAdmission)
    place = "" if admission.place is None else f", place {admission.place.number}"
    more = {"lost": admission.lost, "to be deleted": admission.delete_urn, "to grow": admission.grow_urn}
    states = "".join(f", {words}" for words, is_so in more.items() if is_so)
    return f"{admission.stage}{place}, {admission.size_gib()} GiB{states}"


def _state(entry: Entry) -> str:
    if entry.value is None:
        return "gone"
    if entry.kind == "volume":
        volume = decode(entry.value, Volume)
        held = "".join(f", {one.state} to {one.guest[:8]} as {one.number}" for one in volume.attachments)
        return f"{volume.state}, {promised_gib(volume)} GiB{held}"
    return decode(entry.value, Snapshot).state.value


def unsettled(world: "World") -> str:
    """What hasn't settled yet of volumes; empty if all has."""
    for site in world.registrars:
        assert site.store is not None
        for kind, key, value in site.store.rows():
            admission = decode(value, VolumeAdmission) if kind == "volume_admission" else None
            if admission is not None and is_pursued(admission):
                return f"the admission of volume {key} is {admission.stage}, and pursued"
        for key in site.store.private("stray_volume"):
            return f"{key} is to be removed from where it is"
    for pool in world.pools:
        for record in _records(pool):
            if is_unfinished(record):
                return f"{record.id} on {pool.name} is {record.state}"
    return attachments.unsettled(world)


def check(world: "World") -> None:
    """Ledger, pools and bytes say the same."""
    for said in _differences(world):
        world.checkers.violated(said)


def _differences(world: "World") -> Iterator[str]:
    admissions = _admissions(world)
    shown: dict[str, Volume | Snapshot] = {}
    for pool in world.pools:
        records = _records(pool)
        yield from _pool_differs(pool, records)
        for record in records:
            if record.id in shown:
                yield f"{record.id} is on two pools"
            shown[record.id] = record
            admission = admissions.get(record.id)
            place = None if admission is None else admission.live_place()
            if place is None or place.store != record.store:
                yield f"{pool.name} has {record.id}, and the ledger {admission}"
    for admission in admissions.values():
        there = shown.get(admission.id)
        if admission.stage is VolumeStage.ACTIVE and there is None:
            yield f"{admission.id} is active for the ledger, and on no pool"
        if isinstance(there, Volume) and there.spec.size_gib != admission.size_gib():
            yield f"{admission.id} has {there.spec.size_gib} GiB, and counts as {admission.size_gib()}"


def _pool_differs(pool: "PoolSite", records: list[Volume | Snapshot]) -> Iterator[str]:
    """Nothing is orphaned: what is there has a record, and the other way round."""
    volumes = {record.id: record for record in records if isinstance(record, Volume)}
    snapshots = {record.id: record for record in records if isinstance(record, Snapshot)}
    bytes_of = pool.pool.volumes
    for volume in bytes_of.keys() - volumes.keys():
        yield f"{pool.name} has bytes of volume {volume}, which has no record there"
    for volume, record in volumes.items():
        if record.state is VolumeState.AVAILABLE and volume not in bytes_of:
            yield f"volume {volume} on {pool.name} is available, and has no bytes"
        elif volume in bytes_of and bytes_of[volume].size_bytes != record.spec.size_gib * GIB:
            size_bytes = bytes_of[volume].size_bytes
            yield f"volume {volume} on {pool.name} has {size_bytes} bytes, and by its record {record.spec.size_gib} GiB"
    kept = {snapshot for held in bytes_of.values() for snapshot in held.chain.snapshots}
    for snapshot in kept ^ {one.id for one in snapshots.values() if one.state is VolumeState.AVAILABLE}:
        yield f"snapshot {snapshot} is on {pool.name}: {snapshot in kept}; by its record the other way round"
    assert pool.store is not None
    said = decode(pool.store.row("volume_pool", pool.store.id) or b"", Pool)
    if said.used_gib != sum(map(promised_gib, records)):
        yield f"{pool.name} says that it has promised {said.used_gib} GiB of {records}"


async def promises(world: "World", clients: list["Client"]) -> None:
    """Every API shows the same, and nothing in progress."""
    if not world.pools:
        return
    any_dead = any(host.dead for host in world.hosts)
    for client in clients:
        for noun in ("volumes", "snapshots"):
            lists = [await client.volumes.list(api, noun) for api in world.apis]
            if any(shown is None for shown in lists):
                world.checkers.violated(f"{client.name} got no list of {noun} when nothing went wrong")
            elif any(shown != lists[0] for shown in lists):
                world.checkers.violated(f"the APIs show {client.name} different {noun}")
            for one in lists[0] or []:
                if one["status"] not in ("available", "error", "in-use", *(MOVING if any_dead else ())):
                    world.checkers.violated(f"{noun} {one['id']} is still {one['status']}")


def _admissions(world: "World") -> dict[str, VolumeAdmission]:
    found: dict[str, VolumeAdmission] = {}
    for site in world.registrars:
        assert site.store is not None
        rows = ((key, value) for kind, key, value in site.store.rows() if kind == "volume_admission")
        found |= {key: decode(value, VolumeAdmission) for key, value in rows}
    return found


def _records(pool: "PoolSite") -> list[Volume | Snapshot]:
    assert pool.store is not None
    shapes: dict[str, type[Volume] | type[Snapshot]] = {"volume": Volume, "snapshot": Snapshot}
    return [decode(value, shapes[kind]) for kind, _, value in pool.store.rows() if kind in shapes]

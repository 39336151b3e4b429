"""What must always hold, looked at as it happens. Each check names the sentence of the design that it stands for."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from freehold.drivers.hypervisor.simulated import SimulatedGuest
from freehold.sim import attachments
from freehold.sim.leases import Leases
from freehold.sim.volumes import Volumes
from freehold.sim.witness import Witness
from freehold.views.cloud import CloudView
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Entry, Owner, Position
from freehold.vocabulary.errors import NoAnswer, StoreFailed
from freehold.vocabulary.guest import Guest, GuestState, Power, Refusal
from freehold.vocabulary.host import NOTHING, Capacity, Host, needed_by
from freehold.vocabulary.request import Admission, Request, Stage
from freehold.vocabulary.tenant import Quota
from freehold.vocabulary.units import unix_ms
from freehold.workers.host.begun import MAKING

if TYPE_CHECKING:
    from freehold.sim.site import HostSite, Site
    from freehold.sim.world import World

SECRET: Final = b"never-to-be-seen"
"""What clients put into user data: it may be on no bus subject of events, in no view, in no transcript."""


RECOUNT_S: Final = 90.0
"""After a store was put back: until it is whole again, it counts guests that are gone beside those that are back."""

SEEN_S: Final = 2.0
"""Within which the process that has written a request begins to count its deadline."""

LAUNCHED_UNDER: Final = frozenset(
    {GuestState.LAUNCHING, GuestState.DELETING, GuestState.REFUSING, GuestState.QUARANTINED}
)
"""What a guest's record on disk may say when it begins to run: a launch isn't broken off by what comes meanwhile."""


class Checkers:
    """Looks at everything that happens in a world. The first violation is kept in `found`, and ends the run."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.found = ""
        self.witness = Witness()
        self.checks = 0
        self._read: dict[str, int] = {}
        self.ended: dict[str, None] = {}
        """Guests whose admission has gone: they may never run again."""
        self._admissions: dict[str, Admission] = {}
        self._quotas: dict[str, int] = {}
        self._counts_again_s: dict[str, float] = {}
        self.put_back: Counter[str] = Counter()
        """How often a site's store was put back to an old copy, or deleted."""
        self._given: dict[str, tuple[float, float]] = {}
        """When a request was on the registrar's disk first, and how many seconds it was given."""
        self._delete_asked_s: dict[str, float] = {}
        """When the registrar had it on disk that a guest is to be deleted."""
        self._ran: dict[str, tuple[str, int]] = {}
        """Guests that a client may have been shown as running: the host that had it on disk, and under which deed."""
        self._moved_s: dict[str, tuple[float, str]] = {}
        """Guests that have got a deed since the first: when, and for which host."""
        self._refused: dict[tuple[str, str], int] = {}
        """The highest deed that a host has ever had a refusal of on its disk, by its store and the guest."""
        self.quarantined: set[tuple[str, str]] = set()
        """Sites and guests: copies that were ever kept aside. A store that is deleted then takes its record along."""
        self._rooms: dict[str, dict[str, Capacity]] = {}
        """What each guest of a host takes, by the host."""
        self._wired: dict[tuple[str, str], frozenset[str]] = {}
        """The ports of each guest of a host."""
        self.leases = Leases(world, self.violated)
        self.volumes = Volumes(world)

    def violated(self, what: str) -> None:
        """Something that must always hold doesn't."""
        if not self.found:
            self.found = what
            self._world.tell("VIOLATION", what)

    def excused(self, error: BaseException) -> bool:
        """Whether code may raise this: its disk has failed, and its role ends for it."""
        return isinstance(error, StoreFailed)

    def role_may_end(self, site: "Site") -> bool:
        """Whether a role had a reason to end by itself: its disk failed."""
        return site.ends.startswith(StoreFailed.__name__)

    # --- machines --------------------------------------------------------------------------------------------------

    def guest_kept(
        self, site: "HostSite", guest: str, before: SimulatedGuest | None, after: SimulatedGuest | None
    ) -> None:
        """No guest is run by two hosts. A delete never resurrects."""
        if after is not None and after.disks:
            attachments.given(self._world, site, guest, after)
        if after is None or after.power is not Power.RUNNING or (before and before.power is Power.RUNNING):
            return
        if guest in site.strangers:
            return
        self.checks += 1
        self._world.tell(site.name, f"guest {guest[:8]} runs")
        assert site.store is not None
        if before is None or before.power is not Power.PAUSED:  # one that stood still had been started
            self.witness.ran(site.store.id, guest)
        for other in self._world.hosts:
            held = other.guests.get(guest)
            if other is not site and held is not None and held.power in (Power.RUNNING, Power.PAUSED):
                self.violated(f"guest {guest} runs on {site.name} and on {other.name}")
        if guest in self.ended:
            self.violated(f"guest {guest} was deleted, and runs again on {site.name}")
        moved_s, to = self._moved_s.get(guest, (site.started_s, site.store.id))
        if moved_s < site.started_s and to != site.store.id:
            self.violated(f"guest {guest} was given to another host before {site.name} started, and {site.name} ran it")
        asked_before = self._delete_asked_s.get(guest, site.started_s) < site.started_s
        if asked_before and guest in site.held_at_start:
            self.violated(f"guest {guest} was to be deleted when {site.name} started, and {site.name} ran it")
        durable = site.store.row("guest", guest)
        record = None if durable is None else decode(durable, Guest)
        state = None if record is None else record.state
        goes_on = before is not None and before.power is Power.PAUSED  # it is there, and nothing of it is made
        if record and not record.launched and not goes_on and self._is_active(guest, site, record.deed):
            self.violated(f"guest {guest} was known to have run on {site.name}, which has built it anew")
        if state not in LAUNCHED_UNDER:
            self.violated(f"{site.name} ran guest {guest} when its record on disk was {state}")

    # --- stores ----------------------------------------------------------------------------------------------------

    def watch_store(self, site: "Site") -> None:
        """Looks at every commit of a site's store."""
        assert site.store is not None
        site.store.committed = lambda: self._committed(site)

    def store_changed(self, site: "Site") -> None:
        """A store was put back to an old copy, or deleted: what is written next follows on that."""
        assert site.store is not None
        self.put_back[site.name] += 1
        self.leases.put_back(site)
        self._read[site.name] = site.store.position().seq if site.store.rows() else 0
        self._counts_again_s[site.name] = self._world.loop.time() + RECOUNT_S
        guests = [decode(value, Guest) for kind, _, value in site.store.rows() if kind == "guest"]
        self._rooms[site.name] = {guest.id: self._takes(cast("HostSite", site), guest) for guest in guests}
        self._ran = {guest: ran for guest, ran in self._ran.items() if ran[0] != site.name}
        self._world.receivers.put_back(site)
        self.witness.put_back(site.store.id, {guest.id for guest in guests})

    def _committed(self, site: "Site") -> None:
        assert site.store is not None
        since = self._read.get(site.name, 0)
        rows = site.store.connection.execute(
            "SELECT seq, time, kind, key, value, cause, digest FROM log WHERE seq > ? ORDER BY seq", (since,)
        ).fetchall()
        for row in rows:
            entry = Entry(*row)
            self._read[site.name] = entry.seq
            self._written(site, entry)

    def _written(self, site: "Site", entry: Entry) -> None:
        self.checks += 1
        if entry.value is not None and SECRET in entry.value:
            self.violated(f"a secret is in the log of {site.name}: {entry.kind} {entry.key}")
        assert site.store is not None
        self.witness.wrote(site.store.id, entry)
        self._world.receivers.written(site, entry)
        if entry.kind == "host" and entry.value is not None:
            self._check_room(site, decode(entry.value, Host))
        elif entry.kind == "admission":
            self._admission(site, entry)
        elif entry.kind == "request" and entry.value is not None:
            request = decode(entry.value, Request)
            given_s = (unix_ms(request.expires) - unix_ms(request.created)) / 1000
            self._given.setdefault(request.urn, (_staged_s(site, self._world.loop.time()), given_s))
        elif entry.kind == "quota" and entry.value is not None:
            quota = decode(entry.value, Quota)
            self._quotas[quota.project] = quota.instances
        elif entry.kind.startswith(("volume", "snapshot")):
            self.volumes.written(site, entry)
        elif entry.kind == "port":
            self.leases.written(entry)
        elif entry.kind == "guest":
            self._guest(cast("HostSite", site), entry)
        elif entry.kind == "refusal" and entry.value is not None:
            refused, place = decode(entry.value, Refusal), (site.store.id, entry.key)
            self._refused[place] = max(self._refused.get(place, 0), refused.deed)
            self._world.tell(site.name, f"guest {entry.key[:8]} is refused for good")

    def _check_room(self, site: "Site", host: Host) -> None:
        """No host above its capacity as it counts itself."""
        given = sum(wanted.ram_mib for wanted in self._rooms.get(site.name, {}).values())
        if self._world.loop.time() < self._counts_again_s.get(site.name, 0.0):
            return  # what was deleted since the copy was taken is still being removed
        fits = host.total.fits(host.used) or self.put_back[site.name] > 0
        if not fits or given > host.total.ram_mib:
            self.violated(f"{site.name} has given {host.used}, and {given} MiB by its guests, of {host.total}")

    def _takes(self, site: "HostSite", guest: Guest) -> Capacity:
        """What a guest takes of its host's room. With an old copy of its disk a host has guests again that have left it
        since, beside those that came since: they are kept aside until somebody lets go of them, and go then. So do
        those that were deleted since; and those that were refused since, and are being made once more, until it is
        known what else is there. If the disk goes back once more meanwhile, what was made of those is taken for a guest
        that has run, and kept.
        """
        going = guest.id in self._delete_asked_s or guest.state in (GuestState.DELETING, GuestState.REFUSING)
        aside = going or guest.state is GuestState.QUARANTINED or (guest.state in MAKING and guest.launched is None)
        there = site.guests.get(guest.id)
        aside |= guest.state is GuestState.STOPPED and there is not None and not there.boots
        came_back = aside and self.put_back[site.name] > 0
        return NOTHING if came_back else needed_by(guest.spec.flavor)

    def _admission(self, site: "Site", entry: Entry) -> None:
        """Quota never exceeded. Deeds are first-wins."""
        if entry.value is None:
            self._world.tell(site.name, f"admission {entry.key[:8]} is gone")
            self._admissions.pop(entry.key, None)
            self.ended[entry.key] = None
            for host in self._world.hosts:
                held = host.guests.get(entry.key)
                if held is not None and held.power is Power.RUNNING:
                    self.violated(f"guest {entry.key} is gone for the registrar, and runs on {host.name}")
            return
        after = decode(entry.value, Admission)
        self._world.tell(site.name, f"admission {entry.key[:8]} is {_stage(after)}")
        before = self._admissions.get(entry.key)
        if entry.key in self.ended:
            self.violated(f"the admission of {entry.key} was gone and is back")
        self._check_deed(before, after)
        if after.deed is not None and (before is None or before.deed != after.deed):
            self._moved_s[after.guest] = (self._world.loop.time(), after.deed.host)
        if after.stage is Stage.FAILED and (before is None or before.stage is not Stage.FAILED):
            self._check_deadline(site, after)
        self._admissions[entry.key] = after
        if after.delete_urn:
            self._delete_asked_s.setdefault(entry.key, self._world.loop.time())
        limit = self._quotas.get(after.project)
        count = sum(admission.project == after.project for admission in self._admissions.values())
        if before is None and limit is not None and count > limit:
            self.violated(f"project {after.project} has {count} guests, its quota is {limit}")

    def _check_deed(self, before: Admission | None, after: Admission) -> None:
        """Deeds are first-wins, each follows on the one before, and ends by the refusal on its host's disk alone."""
        guest, deed = after.guest, after.deed
        if deed is None:
            return
        highest = None if before is None else before.deed
        number = 0 if highest is None else highest.number
        if highest is not None and deed.number == number and deed.host != highest.host:
            self.violated(f"deed {deed.number} of {guest} changed its host")
        if deed != highest and deed.number != number + 1:
            self.violated(f"deed {deed.number} of {guest} was recorded after deed {number}")
        if after.refused_deed != deed.number:
            return
        if self._refused.get((deed.host, guest), 0) < deed.number:
            self.violated(f"deed {deed.number} of {guest} ended, and its host hasn't refused it")
        if not after.delete_urn and after.stage in (Stage.SCHEDULED, Stage.BUILDING):
            self.violated(f"admission {guest} is {after.stage} under a deed that its host has refused")

    def _check_deadline(self, site: "Site", failed: Admission) -> None:
        """Deadlines are counted on a clock that doesn't jump, from when the process saw the request first."""
        began_s, given_s = self._given[failed.urn]
        waited_s = self._world.loop.time() - began_s
        expired = failed.fault is not None and failed.fault.code == NoAnswer.__name__
        if expired and site.started_s < began_s and SEEN_S < waited_s < given_s - SEEN_S:
            self.violated(f"the request of {failed.guest} was given {given_s:g} s, and expired in {waited_s:g} s")

    def _guest(self, site: "HostSite", entry: Entry) -> None:
        """Only the host in the highest deed may run the guest; a host speaks for itself alone."""
        room = self._rooms.setdefault(site.name, {})
        is_new = room.pop(entry.key, None) is None
        self._check_kept(site, entry)
        if entry.value is None:
            self._world.tell(site.name, f"guest {entry.key[:8]} is gone")
            self._check_nothing_left(site, entry.key)
            return
        guest = decode(entry.value, Guest)
        self._wired[site.name, guest.id] = frozenset(wiring.port for wiring in guest.ports)
        self._world.tell(site.name, f"guest {entry.key[:8]} is {guest.state.value}")
        room[guest.id] = self._takes(site, guest)
        if guest.state is GuestState.QUARANTINED:
            self.quarantined.add((site.name, guest.id))
        left = site.guests.get(guest.id)
        if is_new and guest.state is GuestState.FETCHING_IMAGE and left is not None and left.boots:
            self.violated(f"guest {guest.id} has run on {site.name}, and is built over")
        admission = self._admissions.get(guest.id)
        if admission is not None and admission.deed is not None and guest.deed > admission.deed.number:
            self.violated(
                f"{site.name} holds deed {guest.deed} of {guest.id}; the registrar gave {admission.deed.number}"
            )

    def _check_nothing_left(self, site: "HostSite", guest: str) -> None:
        """A host forgets a guest when nothing of it is on the machine any more."""
        ports = self._wired.pop((site.name, guest), frozenset()) & site.ports.ports.keys()
        if guest in site.guests or ports:
            self.violated(f"{site.name} has forgotten guest {guest}, and has its {'ports' if ports else 'files'} still")

    def _check_kept(self, site: "HostSite", entry: Entry) -> None:
        """No guest admitted is lost: one that was shown to run is taken apart for nobody but who deletes it. A host
        that was put back to the middle of its build may give that up before the registrar is heard, and takes nothing
        apart.
        """
        guest = None if entry.value is None else decode(entry.value, Guest)
        gives_up = guest is not None and guest.state is GuestState.REFUSING
        goes = guest is None or guest.state is GuestState.DELETING or (gives_up and site.worker and site.worker.cleared)
        if not goes and guest is not None and guest.launched is not None:
            self._ran[guest.id] = (site.name, guest.deed)
        admission = self._admissions.get(entry.key)
        if not goes or admission is None or admission.deed is None or entry.key in self._delete_asked_s:
            return
        number = admission.deed.number
        if self._ran.get(entry.key) == (site.name, number) or self._is_active(entry.key, site, number):
            self.violated(f"guest {entry.key} ran on {site.name}, nobody deleted it, and it is taken apart")

    def _is_active(self, guest: str, site: "HostSite", number: int) -> bool:
        """Whether the registrar knows that the guest has run on this host under this deed: though the host's disk may
        be older.
        """
        admission = self._admissions.get(guest)
        if admission is None or admission.stage is not Stage.ACTIVE or admission.deed is None or site.store is None:
            return False
        return (admission.deed.host, admission.deed.number) == (site.store.id, number)

    # --- views -----------------------------------------------------------------------------------------------------

    def watch_view(self, name: str, view: CloudView) -> None:
        """A view never goes back."""
        apply, replace = view.apply, view.replaced

        def applied(owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
            before = view.positions().get(owner.store)
            if before is not None and before.epoch == position.epoch and position.seq <= before.seq:
                self.violated(f"the view of {name} went from {before.seq} to {position.seq} of {owner.role}")
            if before is not None and entries and entries[0].seq != before.seq + 1 and len(entries) == position.seq:
                self.violated(f"the view of {name} skipped entries of {owner.role} after {before.seq}")
            self.checks += 1
            apply(owner, position, entries)

        def replaced(owner: Owner, position: Position) -> None:
            before = view.positions().get(owner.store)
            if before is not None and before.epoch == position.epoch and position.seq < before.seq:
                self.violated(f"the view of {name} was put back from {before.seq} to {position.seq} of {owner.role}")
            self.checks += 1
            replace(owner, position)

        view.apply, view.replaced = applied, replaced  # type: ignore[method-assign]
        self._watch_reads(name, view)

    def _watch_reads(self, name: str, view: CloudView) -> None:
        """What had been written when a read began is in it. Hosts may be left as old as they are."""
        caught_up = view._caught_up

        async def has_caught_up(store: str) -> None:
            [site] = [one for one in self._world.sites.values() if one.store is not None and one.store.id == store]
            if site.role in ("host", "volume"):
                await caught_up(store)
                return
            assert site.store is not None
            written, put_back = site.store.position(), self.put_back[site.name]
            await caught_up(store)
            read = view.positions()[store]
            self.checks += 1
            if put_back != self.put_back[site.name]:
                return
            if read.epoch == written.epoch and read.seq < written.seq:
                self.violated(f"{name} read {site.name} up to {read.seq}, when {written.seq} had been written before")

        view._caught_up = has_caught_up  # type: ignore[method-assign]


def _stage(admission: Admission) -> str:
    deed = f", deed {admission.deed.number}" if admission.deed else ""
    return f"{admission.stage.value}{deed}{', to be deleted' if admission.delete_urn else ''}"


def _staged_s(site: "Site", landed_s: float) -> float:
    """When at the latest what has landed was staged: before its process stood still, if it has just gone on."""
    process = site.process
    stood = process is not None and process.went_on_s > 0 and landed_s - process.went_on_s < SEEN_S
    return process.still_since_s if process is not None and stood else landed_s

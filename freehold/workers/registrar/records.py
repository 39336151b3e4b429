"""The registrar's rows: typed, with the sums that quotas need.

Usage is the sum of the admissions, kept in step with each staged change; there is no second ledger of it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from freehold.store.database import Store, drop, keep_private, put
from freehold.store.writing import Change
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.fence import Fence, fence_key
from freehold.vocabulary.request import Admission, Build, DeedPage, Idempotency, Request
from freehold.vocabulary.tenant import Quota, Resource, ServerGroup
from freehold.vocabulary.word import Word
from freehold.workers.registrar import lifecycle
from freehold.workers.registrar.tally import Tally

R = TypeVar("R", bound=Word)

ENDED: Final = "ended"
"""Private kind: when a guest that was here ended. Key: the guest."""

ENDED_THERE: Final = "ended_there"
"""Private kind, host/guest: a guest that has ended, and of which a host that is fenced may have a copy."""

DELETED_FIRST: Final = Fault(code="Conflict", message="The guest was deleted before its request had ended.")


class Records:
    """See the module. Changes are collected by `put…`/`drop…` functions and staged together by `stage`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._fences = {fence.host: fence for fence in store.scan(Fence)}
        """The newest of each host: it is looked at for every word of a host's."""
        self._tally = Tally(store.scan(Admission))

    # --- admissions ------------------------------------------------------------------------------------------------

    def admission(self, guest: str) -> Admission | None:
        """The admission of a guest; None if there is none."""
        return self.store.read_as(Admission, guest)

    def admissions(self) -> list[Admission]:
        """All of them."""
        return self.store.scan(Admission)

    def request(self, urn: str) -> Request | None:
        """A line of the ledger."""
        return self.store.read_as(Request, urn)

    def build(self, guest: str) -> Build | None:
        """The message of a build that hasn't ended."""
        value = self.store.read_private("build", guest)
        return None if value is None else decode(value, Build)

    def used(self, project: str) -> Counter[Resource]:
        """What a project's guests take."""
        return self._tally.used(project)

    def waiting(self, since_ms: int) -> int:
        """How many builds wait for a host that were admitted after `since_ms` (unix)."""
        return self._tally.waiting(since_ms)

    def quota(self, project: str) -> Quota:
        """A project's limits."""
        return self.store.read_as(Quota, project) or Quota(project=project)

    def server_group(self, group: str) -> ServerGroup | None:
        """A server group."""
        return self.store.read_as(ServerGroup, group)

    def members(self, group: str) -> list[Admission]:
        """The admissions of a server group."""
        return self._of(self._tally.members(group))

    def idempotency(self, project: str, key: str) -> Idempotency | None:
        """What a client's key was used for."""
        value = self.store.read_private("idempotency", f"{project}/{key}")
        return None if value is None else decode(value, Idempotency)

    def fence(self, host: str) -> Fence | None:
        """The fence of a host, if it stands."""
        fence = self.last_fence(host)
        return None if fence is None or fence.lifted else fence

    def last_fence(self, host: str) -> Fence | None:
        """The newest fence of a host, which may have been lifted."""
        return self._fences.get(host)

    def put_fence(self, fence: Fence) -> Change:
        """A host's fence is so from now on. Whoever calls this stages it at once: it counts already."""
        self._fences[fence.host] = fence
        return put(fence_key(fence.host, self.store.owner.shard), fence)

    def deeded(self, host: str) -> list[Admission]:
        """The admissions of guests that a host may have, or may yet build."""
        deeds = ((admission, admission.live_deed()) for admission in self._of(self._tally.at(host)))
        return [admission for admission, deed in deeds if deed is not None and deed.host == host]

    def _of(self, guests: Iterable[str]) -> list[Admission]:
        found = (self.admission(guest) for guest in guests)
        return [admission for admission in found if admission is not None]

    def keep_build(self, build: Build) -> Change:
        """The message of a guest that is built anew."""
        return keep_private("build", build.guest, encode(build))

    def admit(self, builds: Sequence[Build], requests: Sequence[Request], key: str, used_for: Idempotency) -> Position:
        """Guests, their requests and the client's key, in one transaction."""
        changes: list[Change] = []
        for build, request in zip(builds, requests, strict=True):
            admission = lifecycle.admitted(build)
            self._tally.change(None, admission)
            changes += [put(build.guest, admission), put(request.urn, request)]
            changes.append(keep_private("build", build.guest, encode(build)))
        if key:
            changes.append(keep_private("idempotency", f"{builds[0].project}/{key}", encode(used_for)))
        return self.store.stage(changes, builds[0].urn)

    def moved(
        self, before: Admission, after: Admission | None, cause: str, now: int, more: Iterable[Change] = ()
    ) -> Position:
        """An admission's next state (None: it is gone) with what follows from it: its request's stage, and its message
        when that has ended.
        """
        changes = list(more)
        self._tally.change(before, after)
        if after is None:
            changes += [drop("admission", before.guest), keep_private("build", before.guest, None)]
            changes.append(keep_private(ENDED, before.guest, encode(now)))
            changes += self._ended_there(before)
            changes += self._requests_ended(before, now)
        else:
            changes.append(put(after.guest, after))
            changes += self._request_moved(before, after, now)
            if (after.stage in lifecycle.ENDED and not after.moving) or after.delete_urn:
                changes.append(keep_private("build", after.guest, None))
        return self.store.stage(changes, cause)

    def stays(self, before: Admission, fault: Fault, now: int, more: Iterable[Change] = ()) -> Position:
        """A guest doesn't leave its host after all; its request to evacuate, if it has one of its own, has failed."""
        changes = list(more)
        request = None if before.moving == before.urn else self.request(before.moving)
        if request is not None:
            changes.append(put(request.urn, lifecycle.ended(request, now, fault)))
        return self.moved(before, lifecycle.stayed(before, now), before.moving, now, changes)

    def adopt(self, admission: Admission, cause: str) -> None:
        """Takes in an admission that this store has lost."""
        self._tally.change(None, admission)
        self.store.stage([put(admission.guest, admission)], cause)

    def has_ended(self, guest: str) -> bool:
        """Whether a guest was here and is gone, as far back as is kept."""
        return self.store.read_private(ENDED, guest) is not None

    def forget_ended(self, before: int) -> None:
        """Lets go of what ended before a clock time."""
        kept = {key.partition("/")[2] for key, _ in self.store.scan_private(ENDED_THERE)}
        ended = self.store.scan_private(ENDED)
        old = [guest for guest, time in ended if decode(time, int) < before and guest not in kept]
        if old:
            self.store.stage([keep_private(ENDED, guest, None) for guest in old], "horizon")

    def _ended_there(self, before: Admission) -> list[Change]:
        """A host that is fenced learns of it when it comes back, be that after years."""
        hosts = {*before.left, *(() if before.deed is None else (before.deed.host,))}
        fenced = sorted(host for host in hosts if self.fence(host) is not None)
        return [keep_private(ENDED_THERE, f"{host}/{before.guest}", b"") for host in fenced]

    def told_of_ends(self, host: str, now: int) -> list[Change]:
        """A host is let in again and asks now: what has ended there is remembered as long as all else that ends."""
        keys = [key for key, _ in self.store.scan_private(ENDED_THERE) if key.startswith(f"{host}/")]
        changes = [keep_private(ENDED_THERE, key, None) for key in keys]
        return changes + [keep_private(ENDED, key.partition("/")[2], encode(now)) for key in keys]

    def deeds_of(self, host: str, after: str, limit: int) -> DeedPage:
        """The deeds of guests that a host may hold, by guest; at most `limit`."""
        of_host = self._of(guest for guest in self._tally.at(host) if guest > after)
        held = [a for a in of_host if lifecycle.is_shown(a) or lifecycle.is_sent(a)]
        page = held[:limit]
        return DeedPage(
            deeds=tuple(a.deed for a in page if a.deed is not None),
            unseen=frozenset(a.guest for a in page if not lifecycle.is_shown(a)),
            more=len(held) > limit,
        )

    def _request_moved(self, before: Admission, after: Admission, now: int) -> list[Change]:
        request = self.request(after.urn)
        if request is None or before.stage is after.stage:
            return []
        return [put(request.urn, lifecycle.staged(request, after.stage, now, after.fault))]

    def _requests_ended(self, before: Admission, now: int) -> list[Change]:
        changes = []
        asked = ((before.urn, DELETED_FIRST), (before.moving, DELETED_FIRST), (before.delete_urn, None))
        for urn, fault in dict.fromkeys(asked):
            request = self.request(urn) if urn else None
            if request is not None and request.finished is None:
                changes.append(put(urn, lifecycle.ended(request, now, fault)))
        return changes

    # --- what is followed --------------------------------------------------------------------------------------------

    def positions(self) -> dict[str, Position]:
        """Where each host was last read to."""
        return {store: decode(value, Position) for store, value in self.store.scan_private("position")}

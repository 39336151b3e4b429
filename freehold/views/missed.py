"""What a reader of a project's events has missed, read from the owners' own logs between its place and the view's.

The ledger's entries come first where others hang on them: what a host tells of a guest is given after the entry that
gave it the guest, so that at every moment the reader's place says exactly what it has been given. Otherwise the order
is that of time, and within one log always that of the log.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from freehold.views import feed
from freehold.views.cursor import Cursor, Place, Unknown
from freehold.views.interface import SILENT_S, OwnerSeen
from freehold.views.news import News, Newsroom
from freehold.views.questions import Questions
from freehold.vocabulary.codec import OWNED_BY, decode
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Happened, Happening, Happenings, Owner
from freehold.vocabulary.errors import FreeholdError, NoAnswer, Unavailable
from freehold.vocabulary.request import Admission

MISSED_MAX: Final = 20_000
"""Events that are read for one reader; who has missed more is given the complete state."""
ASKED_AT_ONCE: Final = 16


class Known(Protocol):
    """What is asked of the view."""

    def place(self, store: str) -> Place | None:
        """Where it stands for an owner."""

    def owner_seen(self, store: str) -> OwnerSeen | None:
        """An owner; None for one that it doesn't know."""

    def owners_of(self, role: str, cluster: str = "") -> Sequence[str]:
        """The stores of the owners of a role."""

    news: Newsroom
    """It remembers admissions beyond their end."""


@dataclass(slots=True)
class _Ledger:
    """What the ledger's missed entries say: its events, who was given which guest, and each guest's last admission."""

    steps: list[tuple[int, News]] = field(default_factory=list)
    deeds: dict[str, list[tuple[Deed, int]]] = field(default_factory=dict)
    admissions: dict[str, Admission] = field(default_factory=dict)

    def since(self, guest: str, number: int) -> int:
        """The clock time of the entry that gave a guest under a deed; 0 if it was given before."""
        return next((time for deed, time in self.deeds.get(guest, ()) if deed.number >= number), 0)


class Missed:
    """Reads for one reader, which stands at `cursor`. `ledger`: its project's registrar shard, as up to date as the
    question; `guest`: the only one it wants to know of, if it is named.
    """

    def __init__(self, questions: Questions, known: Known, cursor: Cursor, ledger: str, guest: str = "") -> None:
        self._questions, self._known, self._cursor = questions, known, cursor
        self._ledger, self._guest = ledger, guest
        self._gate = asyncio.Semaphore(ASKED_AT_ONCE)
        self._count = 0

    async def read(self) -> list[News]:
        """The steps from the reader's place to the view's. Raises Unknown where that can't be known any more, and
        Unavailable where it can't be known now.
        """
        if self._ledger not in self._cursor.seen:
            raise Unknown("this is no id of an event of ours")
        ends = {store: self._end(store) for store in self._cursor.seen}
        told = _Ledger()
        for happening in await self._between(self._cursor.seen[self._ledger], ends[self._ledger]):
            self._ledger_told(told, happening)
        newly = {deed.host for deeds in told.deeds.values() for deed, _ in deeds} - set(ends)
        ends |= {store: self._end(store) for store in newly}
        found = await asyncio.gather(
            *(self._between(place, ends[store]) for store, place in self._cursor.seen.items() if store != self._ledger),
            *(self._of_new_host(told, store, ends[store]) for store in newly),
            *(self._between(one._replace(seq=one.seq - 1), one) for one in self._cursor.owed),
        )
        stores = [store for store in self._cursor.seen if store != self._ledger]
        stores += [*newly, *(one.store for one in self._cursor.owed)]
        parts = list(zip(stores, found, strict=True))
        steps = sorted(
            [*told.steps, *self._steps(told, parts)], key=lambda step: (step[0], step[1].place.store != self._ledger)
        )
        return [*(step for _, step in steps), *(News(None, end) for end in ends.values())]

    def _end(self, store: str) -> Place:
        place, began = self._known.place(store), self._cursor.seen.get(store)
        if place is None or (began is not None and began.epoch != place.epoch):
            raise Unknown("an owner of what was told has begun anew, or isn't known here")
        return place if began is None or began.seq <= place.seq else began

    def _ledger_told(self, told: _Ledger, happening: Happening) -> None:
        entry, owner = happening.entry, self._owner(self._ledger)
        at = Place(self._ledger, self._cursor.seen[self._ledger].epoch, entry.seq)
        told.steps.append((entry.time, News(feed.event_of(owner, at.epoch, entry, happening.before), at)))
        if entry.kind != "admission" or self._guest not in ("", entry.key):
            return
        was = None if happening.before is None else decode(happening.before, Admission)
        now = None if entry.value is None else decode(entry.value, Admission)
        last = now or was
        assert last is not None
        told.admissions[last.guest] = last
        if now is not None and now.deed is not None and (was is None or was.deed != now.deed):
            told.deeds.setdefault(now.guest, []).append((now.deed, entry.time))
            unknown = [
                one for one in self._known.owners_of("network", now.deed.cluster) if one not in self._cursor.seen
            ]
            if unknown:
                raise Unknown("a guest was built in a cluster of which nothing had been told")

    async def _of_new_host(self, told: _Ledger, store: str, end: Place) -> list[Happening]:
        """What a host has told that wasn't named in the reader's place: of the guests it was given since."""
        given = {guest for guest, deeds in told.deeds.items() for deed, _ in deeds if deed.host == store}
        parts = await asyncio.gather(*(self._between(end._replace(seq=0), end, guest) for guest in sorted(given)))
        return sorted((one for part in parts for one in part), key=lambda one: one.entry.seq)

    def _steps(self, told: _Ledger, parts: Iterable[tuple[str, list[Happening]]]) -> list[tuple[int, News]]:
        steps: list[tuple[int, News]] = []
        for store, happenings in parts:
            owner, end, time = self._owner(store), self._end(store), 0
            for one in happenings:
                event = feed.event_of(owner, end.epoch, one.entry, one.before)
                if event is None:
                    continue
                admission = told.admissions.get(event.guest) or self._known.news.admission(event.guest)
                if feed.is_given(owner, event, admission):
                    time = max(time, one.entry.time, told.since(event.guest, event.deed) if event.deed else 0)
                    at = Place(store, end.epoch, one.entry.seq)
                    steps.append((time, News(event, at)))
            if store not in self._cursor.seen:  # named from the first entry on that gives it a guest of the project's
                first = min((step.place.seq - 1 for _, step in steps if step.place.store == store), default=end.seq)
                given = min(at for deeds in told.deeds.values() for deed, at in deeds if deed.host == store)
                _named(told.steps, given, end._replace(seq=first))
        return steps

    def _owner(self, store: str) -> Owner:
        seen = self._known.owner_seen(store)
        if seen is None:
            raise Unknown("an owner of what was told isn't known here")
        return seen.owner

    async def _between(self, after: Place, until: Place, about: str = "") -> list[Happening]:
        """The entries in one log after one place and up to another."""
        found: list[Happening] = []
        owner, at, more = self._owner(after.store), after.seq, after.seq < until.seq
        about = about or (self._guest if owner.role == "host" else "")
        kinds = tuple(kind for kind in feed.KINDS_TOLD if OWNED_BY[kind] == owner.role)
        async with self._gate:
            while more:
                question = Happened(
                    epoch=until.epoch, after=at, until=until.seq, kinds=kinds, project=self._cursor.project, about=about
                )
                answer = await self._ask(owner, question)
                if answer.lost:
                    raise Unknown("what was told meanwhile is older than is still known")
                found += answer.found
                self._count += len(answer.found)
                if self._count > MISSED_MAX:
                    raise Unknown("too much was told meanwhile")
                at, more = answer.after, answer.more
        return found

    async def _ask(self, owner: Owner, question: Happened) -> Happenings:
        try:
            return await self._questions.ask(owner, question)
        except NoAnswer as error:
            seen = self._known.owner_seen(owner.store)
            if seen is not None and seen.silent_s < SILENT_S:
                raise Unavailable("An owner of what was told is there, and can't be asked now. Come back.") from error
            raise Unknown("an owner of what was told can't be reached") from error
        except FreeholdError as error:
            raise Unknown("an owner of what was told couldn't say what that was") from error


def _named(steps: list[tuple[int, News]], given: int, place: Place) -> None:
    """Has the ledger's first entry at a time name a host's log from a place on."""
    for index, (time, step) in enumerate(steps):
        if time == given:
            steps[index] = time, step._replace(places=(*step.places, place))
            return

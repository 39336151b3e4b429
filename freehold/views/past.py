"""The cloud as it stood at a moment that is over, read from the owners' own logs: whole, or not at all."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from freehold.bus import subjects, talk
from freehold.bus.interface import Bus
from freehold.views import believed
from freehold.views.cursor import Place
from freehold.views.fragments import Fragments
from freehold.views.interface import OwnerSeen
from freehold.views.news import Newsroom
from freehold.vocabulary.codec import KIND_OF, KINDS, UNDER_DEED, decode_kind
from freehold.vocabulary.envelope import AsOf, Done, Owner, Past, Position, Row
from freehold.vocabulary.errors import BadRequest, FreeholdError, NoAnswer, NotFound, TooOld, Unavailable
from freehold.vocabulary.guest import Action, Guest
from freehold.vocabulary.request import Admission, Admitted
from freehold.vocabulary.shards import IDENTITY_SHARD
from freehold.vocabulary.units import iso_millis
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)

OWNERS_AT_ONCE: Final = 64
TRIES: Final = 3
ASK_DEADLINE_S: Final = 2.0
"""For each try: a question or its answer may have been lost."""
ROWS_MAX: Final = 500_000
"""Records that are put together for one answer."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A clock time; and for one owner, if `store` is given, exactly the position `seq` of its log."""

    time: int
    store: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Records of one owner: of some kinds, with keys that begin with `prefix`, of one project unless that is empty.

    `name`: the owner's, for people.
    """

    owner: Owner
    name: str
    kinds: tuple[str, ...]
    prefix: str = ""
    project: str = ""


class PastView:
    """A View of some owners' records at one moment. It is filled part by part, and then stands still."""

    def __init__(self) -> None:
        self._records: dict[type[Word], dict[str, Word]] = {}
        self.news = Newsroom(self)
        self.fragments = Fragments(bytes_max=0)
        """Nobody reads the same past twice."""

    def add(self, rows: Iterable[Row]) -> None:
        """Takes records in; of a guest on two hosts, those under the higher deed."""
        for row in rows:
            if row.kind in KINDS:
                record = decode_kind(row.kind, row.value)
                known = self._records.setdefault(KINDS[row.kind], {})
                if row.key not in known or self._rank(row.key, record) > self._rank(row.key, known[row.key]):
                    known[row.key] = record

    def _rank(self, key: str, record: Word) -> tuple[bool, int]:
        """The guest that the ledger's deed is for comes before all that hosts claim, if the admissions came first."""
        admission = self.get(Admission, key) if isinstance(record, Guest) else None
        deed = None if admission is None else admission.deed
        return deed is not None and isinstance(record, Guest) and believed.is_under(deed, record), _deed(record)

    def get(self, shape: type[R], key: str) -> R | None:
        """See View."""
        return self._of(shape).get(key)

    def list(
        self, shape: type[R], project: str | None = None, *, after: str = "", newest_first: bool = True
    ) -> Iterator[R]:
        """See View."""
        found = self._of(shape)
        return (found[key] for key in self._keys(shape, project, after, newest_first))

    def keys(self, shape: type[Word], project: str, *, after: str, limit: int, newest_first: bool) -> Sequence[str]:
        """See View."""
        return self._keys(shape, project, after, newest_first)[:limit]

    def _keys(self, shape: type[Word], project: str | None, after: str, newest_first: bool) -> Sequence[str]:
        places = sorted((_place(record), key) for key, record in self._of(shape).items())
        keys = [key for place, key in places if project is None or place[0] == project]
        if newest_first:
            keys.reverse()
        if after and after not in keys:
            raise NotFound(f"no {KIND_OF[shape]} {after} to go on after")
        return keys[keys.index(after) + 1 if after else 0 :]

    def keyed(self, shape: type[R], prefix: str) -> Iterator[R]:
        """See View."""
        found = self._of(shape)
        return (found[key] for key in sorted(found) if key.startswith(prefix))

    def _of(self, shape: type[R]) -> dict[str, R]:
        return self._records.get(shape, {})  # type: ignore[return-value]  # each class holds its own records

    def owner(self, shape: type[Word], key: str) -> str:
        """See View. Nobody is asked for a change of the past."""
        del shape, key
        return ""

    def learned(self, shape: type[R], key: str) -> int:
        """See View. Everything was known then."""
        del shape, key
        return 0

    def owners(self) -> Sequence[OwnerSeen]:
        """See View. Who was heard then isn't known."""
        return ()

    def owner_seen(self, store: str) -> OwnerSeen | None:
        """See View."""
        del store
        return None

    def known_until(self, roles: Sequence[str]) -> int:
        """See View."""
        del roles
        return 0

    def action_of(self, urn: str) -> str:
        """See View."""
        return next((key for key in self._of(Action) if key.partition("/")[2] == urn), "")

    def place(self, store: str) -> Place | None:
        """See View."""
        del store
        return None

    def owners_of(self, role: str, cluster: str = "") -> Sequence[str]:
        """See View."""
        del role, cluster
        return ()

    async def seen(self, done: Done | Admitted) -> None:
        """See View. What is written now isn't part of the past."""

    async def fresh(
        self, roles: Sequence[str], shards: Iterable[int] = (IDENTITY_SHARD,), hosts: Iterable[str] | None = None
    ) -> None:
        """See View. The past doesn't change."""


def _deed(record: Word) -> int:
    return int(getattr(record, "deed", 0) or 0) if KIND_OF[type(record)] in UNDER_DEED else 0


def _place(record: Word) -> tuple[str, int]:
    return str(getattr(record, "project", "")), max(0, int(getattr(record, "created", 0)))


class PastReader:
    """Asks owners what they had at one moment; at most `OWNERS_AT_ONCE` at once."""

    def __init__(self, bus: Bus, moment: Moment) -> None:
        self._bus, self._moment = bus, moment
        self._gate = asyncio.Semaphore(OWNERS_AT_ONCE)
        self._rows = 0

    async def read(self, wanted: Sequence[Wanted]) -> list[Row]:
        """All that is wanted, in its order.

        Raises TooOld saying how far back one can go, Unavailable naming an owner that can't be asked, BadRequest
        where it would be too much.
        """
        tasks = [asyncio.create_task(self._pages(one)) for one in wanted]
        try:
            return [row for rows in await asyncio.gather(*tasks) for row in rows]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def time_at(self, owner: Owner, name: str, seq: int) -> int:
        """The clock time of an entry of an owner's log. Raises as `read` does, and BadRequest if there is none."""
        nothing = Wanted(owner, name, ("-",))
        return (await self._ask(nothing, AsOf(at=Position(epoch="", seq=seq), kinds=nothing.kinds))).time

    async def _pages(self, wanted: Wanted) -> list[Row]:
        rows: list[Row] = []
        at = Position(epoch="", seq=self._moment.seq) if wanted.owner.store == self._moment.store else None
        after, more = ("", ""), True
        async with self._gate:
            while more:
                question = AsOf(
                    time=self._moment.time,
                    at=at,
                    kinds=wanted.kinds,
                    prefix=wanted.prefix,
                    project=wanted.project,
                    after=after,
                )
                answer = await self._ask(wanted, question)
                rows += (row for row in answer.rows if _is_its_own(wanted.owner, row))
                self._rows += len(answer.rows)
                if self._rows > ROWS_MAX:
                    raise BadRequest(f"the past of more than {ROWS_MAX} records can't be shown at once; ask for less")
                at, after, more = answer.position, answer.after, answer.more
        return rows

    async def _ask(self, wanted: Wanted, question: AsOf) -> Past:
        try:
            answer = await self._insist(wanted.owner, question)
        except BadRequest:
            raise
        except FreeholdError as error:
            raise Unavailable(
                f"The {wanted.name} can't be asked what was so then ({error.message}), and without it the answer would "
                "not be whole. Try again."
            ) from error
        if answer.too_old:
            raise too_old(wanted.name, answer.horizon)
        return answer

    async def _insist(self, owner: Owner, question: AsOf) -> Past:
        for left in range(TRIES - 1, -1, -1):
            try:
                return await talk.ask(self._bus, subjects.owner(owner), question, Past, ASK_DEADLINE_S)
            except NoAnswer:
                if not left:
                    raise
        raise AssertionError("the last try answers or raises")


def _is_its_own(owner: Owner, row: Row) -> bool:
    """Whether the owner may tell of it: what holds for now holds for then."""
    if row.kind not in KINDS or believed.refused_kind(owner, row.kind):
        return False
    try:
        return not believed.refused(owner, row.key, decode_kind(row.kind, row.value))
    except ValueError:  # said by the follower, of the record as it is now
        return False


def too_old(name: str, horizon: int) -> TooOld:
    """The refusal to go further back than an owner's horizon."""
    return TooOld(
        f"The {name} doesn't know any more what was so then: ask for {iso_millis(horizon + (1 << 16))} or later"
    )

"""Taking an owner's complete state, where what came since isn't enough.

It is read page by page. Each page shows its part of the state as it was when the page was read, which is at or after
the position that the first one gives. What was written meanwhile is read at the end: of a key, that after its page.

A sink takes it as one state, or in parts. In parts it needs no memory, and keeps nobody waiting: a million records are
taken a few at a time. What is shown of them meanwhile is of different moments, as it is of different owners; none of
it goes back. As it stands at no position until all is there, who must be sure of it waits, and a process that ends
before begins anew.
"""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from typing import Final, Protocol, runtime_checkable

from freehold.bus import subjects, talk
from freehold.bus.interface import Bus
from freehold.views.chain import continues, reached
from freehold.vocabulary.envelope import Complete, Entries, Entry, Heartbeat, Owner, Page, Position, Row, Since
from freehold.vocabulary.errors import FreeholdError

ASK_DEADLINE_S: Final = 5.0
PART_ROWS: Final = 25
"""Taken in one turn of the loop."""

RecordKey = tuple[str, str]
"""Kind and key."""
START: Final[RecordKey] = ("", "")
END: Final[RecordKey] = ("\U0010ffff", "")
"""After every record."""


class Sink(Protocol):
    """What a reader does with what it learns. Calls are synchronous; positions are kept with what they stand for."""

    def positions(self) -> dict[str, Position]:
        """Where it stands for each owner's store."""

    def apply(self, owner: Owner, position: Position, entries: Sequence[Entry]) -> None:
        """The next entries, in order, each once; it then stands at `position`."""

    def heard(self, heartbeat: Heartbeat) -> None:
        """A sign of life."""


@runtime_checkable
class WholeSink(Sink, Protocol):
    """One that takes a complete state as one."""

    def replace(self, owner: Owner, position: Position, rows: Sequence[Row]) -> None:
        """The owner's complete state: what isn't in it is gone."""


@runtime_checkable
class PartSink(Sink, Protocol):
    """One that takes a complete state in parts."""

    def unread(self) -> Collection[str]:
        """The stores of which it was begun to hand over a complete state, and not to the end."""

    def begin(self, owner: Owner) -> None:
        """A complete state follows: until `replaced` it is nowhere between what it stood at and that."""

    def take_part(self, owner: Owner, above: RecordKey, upto: RecordKey, rows: Sequence[Row]) -> None:
        """The owner's records above one place and up to another, in order: what isn't in `rows` of that is gone."""

    def amend(self, owner: Owner, entries: Sequence[Entry]) -> None:
        """What was written after the parts were read."""

    def replaced(self, owner: Owner, position: Position) -> None:
        """That was all: it stands at `position`."""


class Reading:
    """The complete state of one owner, of which `stands` was known. `takes`: whether a record is to be taken at all;
    `check` raises FreeholdError when the owner isn't heeded any more; who takes a part holds `turn`.
    """

    def __init__(
        self,
        bus: Bus,
        owner: Owner,
        stands: Position,
        takes: Callable[[Owner, Entry | Row], bool],
        check: Callable[[Owner], None],
        turn: asyncio.Lock,
    ) -> None:
        self._bus, self._owner, self._stands = bus, owner, stands
        self._takes, self._check, self._turn = takes, check, turn
        self._subject = subjects.owner(owner)

    async def as_one(self, sink: WholeSink) -> Position:
        """Hands it over as one state, and gives its position. Raises FreeholdError."""
        owner, rows, first = self._owner, dict[RecordKey, Row](), None
        async with aclosing(self._pages()) as pages:
            async for _, page in pages:
                first = first or page.position
                rows.update({(row.kind, row.key): row for row in page.rows})
        assert first is not None
        async with aclosing(self._since(first)) as since:
            async for position, entries in since:
                for entry in entries:
                    if entry.value is None:
                        rows.pop((entry.kind, entry.key), None)
                    else:
                        rows[(entry.kind, entry.key)] = Row(entry.kind, entry.key, entry.seq, entry.value)
                first = position
        self._check(owner)
        sink.replace(owner, first, [row for row in rows.values() if self._takes(owner, row)])
        return first

    async def in_parts(self, sink: PartSink, begin: Callable[[], None]) -> Position:
        """Hands it over part by part, and gives its position. `begin` is called before the first. Raises FreeholdError,
        and it is to be read again.
        """
        owner, first, ends, read_at = self._owner, None, list[RecordKey](), list[int]()
        async with aclosing(self._pages()) as pages:
            async for above, page in pages:
                if first is None:
                    first = page.position
                    begin()
                    sink.begin(owner)
                if page.position.epoch != first.epoch:
                    raise FreeholdError(
                        f"{owner.role} {owner.store} has another history than when it was begun to be read"
                    )
                for part_above, upto, rows in _parts(above, page):
                    async with self._turn:
                        self._check(owner)
                        sink.take_part(owner, part_above, upto, [row for row in rows if self._takes(owner, row)])
                        ends.append(upto)
                        read_at.append(page.position.seq)
                        await asyncio.sleep(0)
        assert first is not None

        def is_new(entry: Entry) -> bool:
            return entry.seq > read_at[bisect_left(ends, (entry.kind, entry.key))]

        async with aclosing(self._since(first)) as since:
            async for position, entries in since:
                self._check(owner)
                sink.amend(owner, [entry for entry in entries if is_new(entry) and self._takes(owner, entry)])
                first = position
        self._check(owner)
        sink.replaced(owner, first)
        return first

    async def _pages(self) -> AsyncGenerator[tuple[RecordKey, Page], None]:
        """Each page, with the place above which it is."""
        above, more, first = START, True, None
        while more:
            page = await talk.ask(self._bus, self._subject, Complete(after=above), Page, ASK_DEADLINE_S)
            if first is None:
                first = page.position
                self._check_not_put_back(first)
            more = page.more and bool(page.rows)
            yield above, page
            if page.rows:
                above = (page.rows[-1].kind, page.rows[-1].key)

    def _check_not_put_back(self, first: Position) -> None:
        """It may not know yet that readers know more than its disk: the next question tells it."""
        if first.epoch == self._stands.epoch and first.seq < self._stands.seq:
            owner = self._owner
            raise FreeholdError(f"the disk of {owner.role} {owner.store} was put back while it was read")

    async def _since(self, stands: Position) -> AsyncGenerator[tuple[Position, Sequence[Entry]], None]:
        """What was written after `stands`, some at a time, each with the position after it; at least once."""
        while True:
            answer = await talk.ask(self._bus, self._subject, Since(position=stands), Entries, ASK_DEADLINE_S)
            if answer.complete_needed or not continues(stands, answer):
                owner = self._owner
                raise FreeholdError(
                    f"{owner.role} {owner.store} changed too much while it was read; it is read again when next heard"
                )
            stands = reached(stands, answer.entries)
            yield stands, answer.entries
            if stands.seq >= answer.position.seq:
                return


def within(kind: str, above: RecordKey, upto: RecordKey) -> tuple[str, str] | None:
    """The keys of a kind that are above one place and up to another: those after the first, up to the last. None if
    there can be none.
    """
    if not above[0] <= kind <= upto[0]:
        return None
    return above[1] if above[0] == kind else "", upto[1] if upto[0] == kind else END[0]


def _parts(above: RecordKey, page: Page) -> Iterator[tuple[RecordKey, RecordKey, Sequence[Row]]]:
    """A page in parts: above which place each is, up to which, and what is there."""
    rows = page.rows
    for first in range(0, max(1, len(rows)), PART_ROWS):
        part = rows[first : first + PART_ROWS]
        is_last = not page.more and first + PART_ROWS >= len(rows)
        upto = END if is_last else (part[-1].kind, part[-1].key)
        yield above, upto, part
        above = upto

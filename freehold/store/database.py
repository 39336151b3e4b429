"""A store: rows, their log, and group commit.

Decisions are made on the event loop: read, decide, `stage`, without awaiting in between. Staged changes are seen by
later reads at once and become durable together with whatever else was staged while the disk was busy. Whoever speaks
about a change waits for `durable` first. A commit that fails breaks the store for good: later decisions stood on what
was lost, so its worker ends and is started anew from what the disk has.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from msgspec.structs import replace

from freehold.runtime.chance import Chance, new_id
from freehold.runtime.clock import HybridClock
from freehold.runtime.tasks import Offload
from freehold.store import writing
from freehold.store.coverage import Coverage
from freehold.store.files import OpenFiles, open_files
from freehold.store.history import History
from freehold.store.tail import Tail
from freehold.store.values import Place, Room, Values
from freehold.store.writing import Change, Staged
from freehold.vocabulary import unknown
from freehold.vocabulary.codec import KIND_OF, KINDS, decode, decode_kind, encode, kind_of
from freehold.vocabulary.digest import chained_once
from freehold.vocabulary.envelope import NO_DIGEST, PAGE_ENTRIES_MAX, Entries, Entry, Owner, Page, Position, Row
from freehold.vocabulary.errors import Broken, StoreFailed, TooLarge
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)

LOG_TAIL_ENTRIES: Final = 100_000
"""Entries that are kept for readers to catch up from; older ones only while they are the newest of their key."""

COMPACT_ENTRIES: Final = 10_000
"""Log entries looked at by one step of compaction, so that a commit waits behind one step at most."""

KNOWN_MAX: Final = 10_000
"""Records of which it is remembered that all in them is known here; when they are more, it starts anew."""

RECORD_BYTES_MAX: Final = 512 * 1024
"""The largest record: one that doesn't fit into a message could be told to nobody."""


def put(key: str, record: Word) -> Change:
    """Puts a record under `key`."""
    return Change(kind_of(record), key, encode(record))


def drop(kind: str, key: str) -> Change:
    """Deletes a key; in the log it stays as a tombstone."""
    return Change(kind, key, None)


def keep_private(kind: str, key: str, value: bytes | None) -> Change:
    """Puts or deletes a private value in the same transaction."""
    return Change(kind, key, value, private=True)


class Store:
    """One owner's store. Open it with `Store.open`; one process at a time may have it open."""

    def __init__(
        self, owner: Owner, files: OpenFiles, clock: HybridClock, offload: Offload, room: Room | None = None
    ) -> None:
        self.owner = owner
        self.id = owner.store
        self._files = files
        self._writer, self._reader = files.writer, files.reader
        self._clock, self._offload = clock, offload
        self.history = History(files.reader)
        clock.go_on_from(self.history.last_time())
        self._durable = self._staged_head = files.head
        self.epoch = files.head.epoch
        self._values, self._tail = Values(files.reader, room), Tail()
        self._known: set[tuple[str, str]] = set()
        """Kind and key of records that have nothing in them that isn't known here."""
        self._queue: deque[Staged] = deque()
        self._tickets = 0
        self._done_ticket = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._broken: str = ""
        self._writing = asyncio.Lock()
        self._news = asyncio.Event()
        self.coverage: Coverage | None = None
        """What its backup has; None where there is no backup."""

    @staticmethod
    async def open(
        path: Path, *, role: str, cluster: str, clock: HybridClock, chance: Chance, offload: Offload, shard: int = 0
    ) -> "Store":
        """Opens the store at `path`, making it if there is none. Raises Broken if it is damaged, Conflict if somebody
        has it open.
        """
        try:
            files = await offload(lambda: open_files(path, new_id(chance), new_id(chance)))
        except sqlite3.DatabaseError as error:
            raise Broken(f"the store {path} can't be opened: {error}. Restore it from its backup.") from error
        return Store(Owner(store=files.store, role=role, cluster=cluster, shard=shard), files, clock, offload)

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, kind: str, key: str) -> Word | None:
        """The record under `key`, with staged changes; None if there is none."""
        value = self._values.get(Place(False, kind, key))
        return None if value is None else decode_kind(kind, value)

    def read_as(self, shape: type[R], key: str) -> R | None:
        """The record of `shape` under `key`; None if there is none."""
        value = self._values.get(Place(False, KIND_OF[shape], key))
        return None if value is None else decode(value, shape)

    def scan(self, shape: type[R], prefix: str = "") -> list[R]:
        """All records of `shape` whose key begins with `prefix`, in key order."""
        return [decode(value, shape) for _, value in self._values.scan(False, KIND_OF[shape], prefix)]

    def read_private(self, kind: str, key: str) -> bytes | None:
        """The private value under `key`; None if there is none."""
        return self._values.get(Place(True, kind, key))

    def scan_private(self, kind: str, prefix: str = "") -> list[tuple[str, bytes]]:
        """All (key, private value) of `kind` whose key begins with `prefix`, in key order."""
        return self._values.scan(True, kind, prefix)

    # --- writing ------------------------------------------------------------------------------------------------------

    def stage(self, changes: Iterable[Change], cause: str) -> Position:
        """Takes changes as one transaction, and gives the position at which they will be durable.

        Raises StoreFailed once a commit has failed, TooLarge (and takes nothing) for a record over `RECORD_BYTES_MAX`.
        """
        if self._broken:
            raise StoreFailed(self._broken)
        changes = [self._kept(change) for change in changes]
        private = [change for change in changes if change.private]
        entries = self._entries([change for change in changes if not change.private], cause)
        # From here on nothing can fail: a transaction is staged whole or not at all.
        self._tickets += 1
        for change in changes:
            self._values.stage(Place(change.private, change.kind, change.key), change.value, self._tickets)
        if entries:
            self._staged_head = Position(epoch=self.epoch, seq=entries[-1].seq, digest=entries[-1].digest)
        self._queue.append(Staged(entries, private, self._tickets))
        if self._committing is None:
            self._committing = asyncio.get_running_loop().create_task(
                self._commit_groups(), name=f"{self.owner.role}.commit"
            )
        return self._staged_head

    def _kept(self, change: Change) -> Change:
        """A change that leaves in a record what a newer version has written there and this one doesn't know."""
        shape = None if change.private or change.value is None else KINDS.get(change.kind)
        place = change.kind, change.key
        if shape is None or change.value is None or place in self._known:
            return change
        stands = self._values.get(Place(False, *place))
        if stands is None:
            return change
        kept = unknown.kept(change.value, stands, shape)
        if kept is change.value:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known.add(place)
        return change._replace(value=kept)

    def _entries(self, changes: list[Change], cause: str) -> list[Entry]:
        """The log entries of `changes`, chained to what was staged before."""
        seq, digest = self._staged_head.seq, self._staged_head.digest
        entries = []
        for kind, key, value, _ in changes:
            if value is not None and len(value) > RECORD_BYTES_MAX:
                raise TooLarge(
                    f"the {kind} {key} would have {len(value)} bytes; at most {RECORD_BYTES_MAX} can be kept"
                )
            time, seq = self._clock.now(), seq + 1
            digest = chained_once(digest, seq, time, kind, key, value, cause)
            entries.append(Entry(seq, time, kind, key, value, cause, digest))
        return entries

    async def durable(self, position: Position | None = None) -> None:
        """Waits until everything staged so far (which covers `position`) is on disk.

        Raises StoreFailed if the disk refused it.
        """
        del position  # positions are given out in staging order, so waiting for the newest ticket covers them
        if self._broken:
            raise StoreFailed(self._broken)
        if self._done_ticket >= self._tickets:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((self._tickets, future))
        await future

    async def commit(self, changes: Iterable[Change], cause: str) -> Position:
        """Stages changes and waits until they are durable."""
        position = self.stage(changes, cause)
        await self.durable(position)
        return position

    async def _commit_groups(self) -> None:
        try:
            while self._queue:
                group = list(self._queue)
                self._queue.clear()
                async with self._writing:
                    await self._offload(partial(writing.write, self._writer, group))
                self._landed(group)
        except Exception as error:  # noqa: BLE001 - whatever it was, who waits for the disk must hear that it failed
            self._break(f"the store of the {self.owner.role} can't be written: {error}. Mend the disk and start again.")
        finally:
            self._committing = None

    def _landed(self, group: list[Staged]) -> None:
        ticket = group[-1].ticket
        landed: dict[Place, bytes | None] = {}
        for staged in group:
            for entry in staged.entries:
                landed[Place(False, entry.kind, entry.key)] = entry.value
            for change in staged.private:
                landed[Place(True, change.kind, change.key)] = change.value
            if staged.entries:
                last = staged.entries[-1]
                self._tail.add(staged.entries)
                self._durable = Position(epoch=self.epoch, seq=last.seq, digest=last.digest)
        self._values.landed(landed, ticket)
        self._done_ticket = ticket
        while self._waiting and self._waiting[0][0] <= ticket:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
        self._wake()

    def _break(self, why: str) -> None:
        self._broken = why
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(StoreFailed(why))
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    # --- telling ------------------------------------------------------------------------------------------------------

    def position(self) -> Position:
        """Where the durable log stands."""
        return self._durable

    @property
    def commits(self) -> int:
        """How many transactions have become durable since the opening."""
        return self._done_ticket

    async def news(self, seen: int = 0) -> int:
        """Waits until more than the first `seen` transactions since the opening are durable, and gives how many are.

        Raises StoreFailed once a commit has failed.
        """
        while self._done_ticket <= seen and not self._broken:
            await self._news.wait()
        if self._broken:
            raise StoreFailed(self._broken)
        return self._done_ticket

    def moment(self) -> sqlite3.Connection:
        """A connection of the caller's own that sees the durable store as it is now, for copying. Blocks."""
        return self._files.moment()

    def since(self, position: Position, limit: int = PAGE_ENTRIES_MAX) -> Entries:
        """The durable entries after `position`, or that the complete state is needed: other epoch, another history, or
        past the horizon.
        """
        if position.epoch != self.epoch or position.seq > self._durable.seq:
            return Entries(position=self._durable, complete_needed=True)
        newest = self._tail.since(position, limit)
        if newest is not None:
            return Entries(position=self._durable, entries=newest)
        if not self._continues(position):
            return Entries(position=self._durable, complete_needed=True)
        found = self._reader.execute(
            "SELECT seq, time, kind, key, value, cause, digest FROM log "
            "WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (position.seq, self._durable.seq, limit),
        ).fetchall()
        entries = tuple(Entry(*row) for row in found)
        behind = position.seq < self._durable.seq
        gap = behind and (not entries or entries[-1].seq != position.seq + len(entries))
        return (
            Entries(position=self._durable, complete_needed=True)
            if gap
            else Entries(position=self._durable, entries=entries)
        )

    def is_behind(self, position: Position) -> bool:
        """Whether somebody has read more of this epoch, or something else, than is on this disk: then it shows an old
        copy, for nothing is told before it is durable.
        """
        if position.epoch != self.epoch:
            return False
        return position.seq > self._durable.seq or not self._continues(position)

    async def begin_epoch(self, epoch: str) -> None:
        """Goes on under another name: who has read what this disk no longer has must take the complete state.

        Raises StoreFailed if the disk refused it; the store is then under its old name.
        """
        while self._committing is not None:
            await asyncio.wait([self._committing])
        async with self._writing:
            await self._written(partial(writing.write_epoch, self._writer, epoch), "the new epoch couldn't be written")
            self.epoch = epoch
            self._tail.clear()
            self._durable = replace(self._durable, epoch=epoch)
            self._staged_head = replace(self._staged_head, epoch=epoch)

    async def _written(self, work: Callable[[], None], failed: str) -> None:
        try:
            await self._offload(work)
        except sqlite3.Error as error:
            raise StoreFailed(f"{failed}: {error}.") from error

    def _continues(self, position: Position) -> bool:
        if position.seq == 0:
            return position.digest == NO_DIGEST
        if position.seq == self._durable.seq:
            return position.digest == self._durable.digest
        row = self._reader.execute("SELECT digest FROM log WHERE seq = ?", (position.seq,)).fetchone()
        return row is None or row[0] == position.digest

    def complete(self, after: tuple[str, str], limit: int = PAGE_ENTRIES_MAX) -> Page:
        """A page of the durable rows in order of (kind, key), after the given one. `position` is where the log stood
        at that moment.
        """
        found = self._reader.execute(
            "SELECT kind, key, seq, value FROM rows WHERE (kind, key) > (?, ?) ORDER BY kind, key LIMIT ?",
            (*after, limit + 1),
        ).fetchall()
        rows = tuple(Row(*row) for row in found[:limit])
        return Page(position=self._durable, rows=rows, more=len(found) > limit)

    def told_about(self, about: str, limit: int = PAGE_ENTRIES_MAX) -> Entries:
        """The durable entries whose key or cause names `about`, oldest first (for stories)."""
        found = self._reader.execute(
            "SELECT seq, time, kind, key, value, cause, digest FROM log "
            "WHERE instr(key, ?) OR cause = ? ORDER BY seq LIMIT ?",
            (about, about, limit),
        ).fetchall()
        return Entries(position=self._durable, entries=tuple(Entry(*row) for row in found))

    async def compact(self, tail: int | None = None) -> None:
        """Moves the horizon up to the tail (`LOG_TAIL_ENTRIES`), and drops what no state at or after it needs (see
        `history`). The last entry always stays: the sequence goes on from it. Commits go on between its steps.

        Raises StoreFailed if the disk refuses; the store goes on, and it may be tried again.
        """
        tail = max(LOG_TAIL_ENTRIES if tail is None else tail, 1)
        self._tail.clear()
        horizon = self._durable.seq - tail
        steps = [
            partial(writing.compact, self._writer, first, min(first + COMPACT_ENTRIES - 1, horizon))
            for first in range(self.history.compacted() + 1, horizon + 1, COMPACT_ENTRIES)
        ]
        before = partial(writing.move_horizon, self._writer, horizon)
        for step in [before, *steps, partial(writing.forget_private, self._writer, tail)]:
            async with self._writing:
                await self._written(step, f"the log of the {self.owner.role} can't be shortened")
            self.history.horizon_moved()

    async def close(self) -> None:
        """Makes what is staged durable and closes the file."""
        if self._committing is not None:
            await asyncio.wait([self._committing])
        async with self._writing:
            await self._offload(self._files.close)

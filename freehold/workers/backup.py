"""Writing the backup of an owner's store, beside the owner: news of commits only wakes, the store and what is written
already decide.

The copy is read by a connection of its own, so that no commit waits for it. A place for backups that refuses is tried
again with growing pauses, from what is found there then.
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from freehold.drivers.backup.interface import Backups, Plain
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.store.backup import Copy, Portion
from freehold.store.coverage import Coverage, Standing
from freehold.store.database import Store
from freehold.store.segments import Segment, checksum, decode, encode
from freehold.vocabulary.envelope import BackupLag
from freehold.vocabulary.errors import Broken, FreeholdError, NotFound, Unavailable
from freehold.vocabulary.units import unix_ms
from freehold.workers.base import Means

SEGMENT_PERIOD_S: Final = 1.0
"""At most one run of segments in this time."""
PAUSE_S_MAX: Final = 60.0
LOOK_PERIOD_S: Final = 60.0
"""How often a quiet store looks after its backup."""
CLOSE_S_MAX: Final = 10.0
"""How long the last changes may take when the owner ends."""
WAL_BYTES_MAX: Final = 1 << 30
"""What the owner may write while one copy is read: its WAL isn't used anew until then. More, and the copy is given up.
"""
SINCE_BYTES_MIN: Final = 4 << 20
SINCE_SEGMENTS_MAX: Final = 4096
"""A snapshot is taken when what came since the last is larger than it (and than the first of these), or is more files
than the second: a restore then reads little, and the bytes written at most double.
"""

_log = logger("backup")


class _Tail(NamedTuple):
    """The last segment there is, without its content (`segment` is None where it can't be read), and the sizes of the
    snapshot and of what came since, with it.
    """

    number: int
    segment: Segment | None = None
    checksum: bytes = b""
    snapshot_bytes: int = 0
    since_bytes: int = 0


class Backup:
    """Keeps the backup of one store up to date. `place` is where the store's file lies in the folder of the state."""

    def __init__(self, means: Means, store: Store, backups: Backups, place: str, keep_s: float = 0.0) -> None:
        self._means, self._store, self._backups, self._place = means, store, backups, place
        self._keep_s = keep_s
        self.tasks = Tasks(f"{store.owner.role}.backup")
        self._tail: _Tail | None = None
        self._last = 0
        """The last segment that was there, as far as is known."""
        self._plain = False
        """Whether there are segments that should be encrypted and aren't."""
        self._coverage = store.coverage = Coverage(means.clock.clock.monotonic_s())
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Starts to write, in the background."""
        self._task = self.tasks.start("write", self._write_on())

    async def close(self) -> None:
        """Writes what is missing, if that goes quickly, and ends."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_S_MAX)
        await self.tasks.close()
        if self._coverage.commits < self._store.commits:
            _log.warning("ended before the backup was complete", store=self._store.id, **_words(self.behind()))

    def behind(self) -> BackupLag:
        """How far the backup is behind the store."""
        standing = Standing(self._store.position(), self._store.commits)
        return self._coverage.behind(standing, self._means.clock.clock.monotonic_s())

    # --- the loop ---

    async def _write_on(self) -> None:
        pause_s = SEGMENT_PERIOD_S
        while True:
            closing = self._closing.is_set()
            caught_up = await self._caught_up()
            if closing:
                return
            pause_s = SEGMENT_PERIOD_S if caught_up else min(2 * pause_s, PAUSE_S_MAX)
            least = 0.9 if caught_up else 0.5  # after a failure, so that all who failed at once don't return at once
            await self._unless_closing(self._means.clock.clock.sleep(pause_s * self._means.chance.uniform(least, 1.1)))
            if caught_up and self._store.commits <= self._coverage.commits:
                look = self._means.clock.clock.sleep(LOOK_PERIOD_S * self._means.chance.uniform(0.9, 1.1))
                await self._unless_closing(self._store.news(self._coverage.commits), look)
                self._coverage.waiting_since_s = self._means.clock.clock.monotonic_s()
                if self._store.commits <= self._coverage.commits:
                    await self._look()

    async def _look(self) -> None:
        """Whether what was written is still there, and still this process's: a store that is quiet for long would lose
        its backup unseen.
        """
        store = self._store.id
        try:
            await self._backups.hold(store)
            if not self._last or self._last in await self._backups.numbers(store):
                return
        except FreeholdError as error:
            _log.warning("can't look after the backup", store=store, error=error.message)
        self._tail, self._coverage.commits, self._coverage.position = None, -1, None

    async def _unless_closing(self, *works: Coroutine[Any, Any, object]) -> None:
        """Waits for the first of `works`, but no longer than until the closing. Raises what it raises."""
        tasks = [asyncio.create_task(work) for work in (*works, self._closing.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _caught_up(self) -> bool:
        """Writes what is missing; False, and the reason in the log, where that can't be done now."""
        failed_before = self._tail is None and self._coverage.commits >= 0
        try:
            await self._catch_up()
        except FreeholdError as error:
            self._tail = None  # whether the last segment was written isn't known
            behind = self.behind()
            _log.warning("the backup falls behind", store=self._store.id, error=error.message, **_words(behind))
            return False
        if failed_before:
            _log.info("the backup has caught up", store=self._store.id)
        return True

    # --- one run ---

    async def _catch_up(self) -> None:
        if self._tail is None:
            await self._backups.hold(self._store.id)
            self._tail = await self._found()
        commits, looked_s = self._store.commits, self._means.clock.clock.monotonic_s()
        segment = self._tail.segment
        since = None if segment is None else segment.mark
        copy = await self._means.offload(partial(Copy, self._store, since, _snapshot_due(self._tail)))
        try:
            if copy.complete or copy.mark != since:
                await self._write_run(copy)
        finally:
            await self._means.offload(copy.close)
        coverage = self._coverage
        coverage.commits, coverage.waiting_since_s, coverage.position = commits, looked_s, copy.mark.position

    async def _found(self) -> _Tail:
        """The last segment that is there."""
        store = self._store.id
        numbers = await self._backups.numbers(store)
        if self._last and self._last not in numbers:
            _log.error("the place for backups has lost what was there", store=store, segment=self._last)
        self._last = numbers[-1] if numbers else 0
        if not numbers:
            return _Tail(0)
        self._plain = await self._is_plain(numbers[0])
        try:
            content = await self._backups.read(store, numbers[-1])
            return _tail(decode(content, store, numbers[-1]), content)
        except Broken as error:
            _log.error("beginning the backup anew", error=error.message)
            return _Tail(numbers[-1])

    async def _is_plain(self, number: int) -> bool:
        try:
            await self._backups.read(self._store.id, number)
        except Plain:
            return True
        except (Broken, NotFound):
            return False
        return False

    async def _write_run(self, copy: Copy) -> None:
        assert self._tail is not None
        tail, after = self._tail, copy.since.position.seq
        run = _run(self._store, self._place, tail, copy, self._means.clock.now())
        if copy.complete:
            tail = tail._replace(snapshot_bytes=0, since_bytes=0)
        while (portion := await self._means.offload(copy.portion)) is not None:
            if await self._means.offload(copy.grown_bytes) > WAL_BYTES_MAX:
                raise Unavailable("the place for backups is too slow: the owner's disk would fill meanwhile")
            segment = _next(run, tail, after, portion)
            content = await self._means.offload(partial(encode, segment))
            await self._backups.write(self._store.id, segment.number, content)
            self._last = segment.number
            tail, after = _tail(segment, content), segment.last()
        self._tail = tail
        if run.snapshot:
            await self._prune(run)

    async def _prune(self, newest: Segment) -> None:
        """Deletes what is older than the snapshot before the newest, and than what is to be kept; and what wasn't
        encrypted, now that all of it is there encrypted. What is left of other histories stays.
        """
        store, numbers = self._store.id, await self._backups.numbers(self._store.id)
        if self._plain:
            plain = [number for number in numbers if number < newest.number and await self._is_plain(number)]
            _log.warning("deleting what was backed up without encryption", store=store, segments=len(plain))
            for number in plain:
                await self._backups.delete(store, number)
            self._plain = False
        first = await self._oldest_kept(newest)
        for number in numbers:
            if newest.line <= number < first:
                await self._backups.delete(store, number)

    async def _oldest_kept(self, newest: Segment) -> int:
        """The base of the newest snapshot that reaches back to all that is to be kept."""
        first, store = newest.base_before, self._store.id
        kept_from_ms = self._means.clock.clock.unix_ms() - self._keep_s * 1000
        while self._keep_s and first > newest.line:
            try:
                base = decode(await self._backups.read(store, first), store, first)
            except (Broken, NotFound):
                break  # nothing before it can be reached
            if unix_ms(base.time) <= kept_from_ms:
                break
            first = base.base_before
        return first


def _words(behind: BackupLag) -> dict[str, float]:
    return {"entries": behind.entries, "seconds": behind.seconds}


def _snapshot_due(tail: _Tail) -> bool:
    segment = tail.segment
    return (
        segment is None
        or not segment.whole
        or tail.since_bytes > max(SINCE_BYTES_MIN, tail.snapshot_bytes)
        or segment.number - segment.base > SINCE_SEGMENTS_MAX
    )


def _run(store: Store, place: str, tail: _Tail, copy: Copy, time: int) -> Segment:
    """What the segments of the run after `tail` have in common."""
    last, number = tail.segment, tail.number + 1
    base, base_before, line = number, 0, number
    if last is not None and copy.continues:
        line = last.line
        base_before = last.base_before if last.snapshot and not last.whole else last.base
    if last is not None and not copy.complete:
        base, base_before = last.base, last.base_before
    return Segment(
        owner=store.owner,
        place=place,
        time=time,
        number=number,
        before=tail.checksum,
        base=base,
        base_before=base_before,
        line=line,
        snapshot=copy.complete,
        mark=copy.mark,
    )


def _next(run: Segment, tail: _Tail, after: int, portion: Portion) -> Segment:
    return replace(
        run,
        number=tail.number + 1,
        before=tail.checksum,
        whole=portion.last,
        after=after,
        snapshot_bytes=tail.snapshot_bytes,
        since_bytes=tail.since_bytes,
        entries=portion.entries,
        private=portion.private,
    )


def _tail(segment: Segment, content: bytes) -> _Tail:
    own_bytes = (len(content), 0) if segment.snapshot else (0, len(content))
    return _Tail(
        segment.number,
        replace(segment, entries=(), private=()),
        checksum(content),
        segment.snapshot_bytes + own_bytes[0],
        segment.since_bytes + own_bytes[1],
    )

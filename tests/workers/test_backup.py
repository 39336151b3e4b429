"""The backup of a store while its owner goes on: complete, in order, and never in the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from freehold.drivers.backup.interface import Backups
from freehold.drivers.backup.sealed import Keys, SealedBackups, new_key
from freehold.drivers.backup.simulated import Shelf, SimulatedBackups
from freehold.runtime.tasks import offload_inline
from freehold.store import backup as copying
from freehold.store.database import Store, drop, keep_private, put
from freehold.store.segments import Segment, decode
from freehold.vocabulary.errors import Broken, NotFound, Unavailable
from freehold.workers import backup as writing
from freehold.workers.backup import Backup
from freehold.workers.base import Means
from freehold.workers.restore import Moment, as_of, newest, restore
from tests.owners import HandClock, kept, means_of, project, store_at, turns, until

T = TypeVar("T")


class Bench:
    """A store with a backup, on a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.shelf = folder, HandClock(), Shelf()
        self.means: Means = means_of(clock=self.clock)
        self.restored = 0
        self.keep_s = 0.0
        self.keys: Keys | None = None

    async def open(self) -> None:
        self.store = await store_at(self.folder / "registrar.db", self.means)
        await self.back_up()

    async def back_up(self) -> None:
        self.backups = SimulatedBackups(self.shelf)
        backups: Backups = self.backups if self.keys is None else SealedBackups(self.backups, self.keys)
        self.backup = Backup(self.means, self.store, backups, "registrar.db", self.keep_s)
        await self.backup.open()
        await turns()

    async def kill_backup(self) -> None:
        """Its process dies: nothing is written any more."""
        await self.backup.tasks.close()
        self.backups.abandon()

    async def close(self) -> None:
        await self.backup.close()
        await self.backups.close()
        await self.store.close()

    async def pass_by(self, seconds: float = 1.2) -> None:
        await turns()
        self.clock.move(seconds)
        await turns()

    def is_covered(self) -> bool:
        lag = self.backup.behind()
        return (lag.entries, lag.seconds, lag.seq) == (0, 0.0, self.store.position().seq)

    def segments(self) -> list[Segment]:
        kept_here = self.shelf.segments.get(self.store.id, {})
        return [decode(content, self.store.id, number) for number, content in sorted(kept_here.items())]

    async def check_restores_whole(self) -> None:
        """What a restore makes is what the store has now: rows, private values, and its log but for the epoch."""
        self.restored += 1
        path = self.folder / f"restored-{self.restored}.db"
        found = await newest(self.backups, self.store.id)
        reader = SimulatedBackups(Shelf())
        reader._shelf.segments = self.shelf.segments
        await restore(reader, found, path, "new-epoch", offload_inline)
        again = await store_at(path, means_of(seed=9))
        assert (again.id, again.epoch) == (self.store.id, "new-epoch")
        assert kept(again) == kept(self.store)
        assert private(again) == private(self.store)
        assert again.told_about("").entries == self.store.told_about("").entries
        stands, stood = again.position(), self.store.position()
        assert (stands.seq, stands.digest) == (stood.seq, stood.digest)
        await again.commit([put("more", project("more")), keep_private("x", "more", b"more")], "t")
        assert again.position().seq == stood.seq + 1
        await again.close()


def private(store: Store) -> list[tuple[str, bytes]]:
    return store.scan_private("x")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    await made.open()
    yield made
    await made.close()


async def test_everything_comes_back(bench: Bench) -> None:
    store = bench.store
    await store.commit([put("a", project("a")), put("b", project("b")), keep_private("x", "1", b"one")], "t")
    await bench.pass_by()
    await store.commit([drop("project", "a"), keep_private("x", "2", b"two")], "t")
    await store.commit([keep_private("x", "1", None)], "t")
    await bench.pass_by()
    await bench.check_restores_whole()
    await store.commit([keep_private("x", "1", b"again")], "t")
    await bench.pass_by()
    await bench.check_restores_whole()
    assert private(store) == [("1", b"again"), ("2", b"two")]


async def test_what_comes_within_a_second_is_one_segment(bench: Bench) -> None:
    await bench.pass_by()
    before = len(bench.segments())
    for n in range(50):
        await bench.store.commit([put(f"{n}", project(f"{n}"))], "t")
        await turns(5)
    assert len(bench.segments()) - before == 1, "the first at once, the others not before a second has gone by"
    await bench.pass_by()
    assert len(bench.segments()) - before == 2
    assert sum(len(segment.entries) for segment in bench.segments()) == 50
    await bench.pass_by(3600)
    assert len(bench.segments()) - before == 2, "nothing new is nothing to write"


async def test_a_restart_goes_on_where_it_was(bench: Bench) -> None:
    await bench.store.commit([put("a", project("a"))], "t")
    await bench.pass_by()
    await bench.kill_backup()
    written = len(bench.segments())
    await bench.store.commit([put("b", project("b")), keep_private("x", "1", b"one")], "t")
    await bench.back_up()
    segments = bench.segments()
    assert len(segments) == written + 1 and not segments[-1].snapshot
    assert [entry.key for entry in segments[-1].entries] == ["b"]
    assert [row.key for row in segments[-1].private] == ["1"]
    await bench.check_restores_whole()
    await bench.close()
    await bench.open()
    assert len(bench.segments()) == written + 1, "nothing new is nothing to write"


async def test_a_place_that_refuses_is_tried_again_ever_more_rarely(bench: Bench) -> None:
    await bench.store.commit([put("a", project("a"))], "t")
    await bench.pass_by()
    assert bench.is_covered()
    bench.shelf.failing = Unavailable("the place for backups is away.")
    started_s = bench.clock.now_s
    await bench.store.commit([put(f"{n}", project(f"{n}")) for n in range(7)] + [keep_private("x", "1", b"1")], "t")
    for _ in range(100):
        await bench.pass_by(1.0)
    lag = bench.backup.behind()
    entries, seconds = lag.entries, lag.seconds
    assert entries == 7 and 99 <= seconds <= bench.clock.now_s - started_s + 2
    assert bench.store.position().seq == 8, "commits go on"
    bench.shelf.failing = None
    await bench.pass_by(1.0)
    assert bench.backup.behind().entries == 7, "it pauses for longer by now"
    await bench.pass_by(70.0)
    assert bench.is_covered()
    await bench.check_restores_whole()


async def test_a_private_change_alone_is_a_wait_too(bench: Bench) -> None:
    await bench.pass_by()
    bench.shelf.failing = Unavailable("the place for backups is away.")
    await bench.store.commit([keep_private("x", "1", b"1")], "t")
    await bench.pass_by(5.0)
    lag = bench.backup.behind()
    entries, seconds = lag.entries, lag.seconds
    assert entries == 0 and seconds >= 5.0


async def test_a_backup_that_another_writes_is_left_to_it(bench: Bench) -> None:
    other = SimulatedBackups(bench.shelf)
    await bench.kill_backup()
    await other.hold(bench.store.id)
    await bench.store.commit([put("a", project("a"))], "t")
    written = len(bench.segments())
    await bench.back_up()
    await bench.pass_by()
    assert len(bench.segments()) == written
    await other.close()
    await bench.pass_by(10.0)
    assert bench.is_covered()


async def test_a_long_copy_is_cut_into_segments_and_whole_only_with_the_last(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.pass_by()
    before = len(bench.segments())
    monkeypatch.setattr(copying, "PORTION_BYTES_MAX", 1000)
    await bench.store.commit(
        [put(f"{n:03}", project("p" * 60)) for n in range(100)]
        + [keep_private("x", f"{n}", b"v" * 50) for n in range(40)],
        "t",
    )
    await bench.pass_by()
    run = bench.segments()[before:]
    assert len(run) > 5 and [segment.whole for segment in run] == [False] * (len(run) - 1) + [True]
    await bench.check_restores_whole()
    # The writer was killed before the end of a run: the copy is the one before it.
    for segment in run[2:]:
        del bench.shelf.segments[bench.store.id][segment.number]
    found = await newest(bench.backups, bench.store.id)
    assert found.last == run[0].number - 1 and found.position.seq == 0
    await bench.kill_backup()
    await bench.back_up()
    assert bench.segments()[-1].snapshot and bench.segments()[-1].whole
    await bench.check_restores_whole()


async def test_snapshots_keep_a_restore_short_and_the_one_before_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SINCE_SEGMENTS_MAX", 5)
    most = 0
    for n in range(60):
        await bench.store.commit([put("same", project(f"{n}")), keep_private("x", f"{n % 3}", b"%d" % n)], "t")
        await bench.pass_by()
        numbers = await bench.backups.numbers(bench.store.id)
        most = max(most, len(numbers))
    assert most <= 2 * 7 and numbers[0] > 30
    snapshots = [segment for segment in bench.segments() if segment.snapshot]
    assert len(snapshots) == 2 and snapshots[0].number == numbers[0] == snapshots[1].base_before
    await bench.check_restores_whole()


async def test_a_snapshot_comes_when_more_was_written_since_than_it_has(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SINCE_BYTES_MIN", 2000)
    for n in range(100):
        await bench.store.commit([put("same", project("n" * 100 + f"{n}"))], "t")
        await bench.pass_by()
    assert sum(segment.snapshot for segment in bench.segments()) == 2
    await bench.check_restores_whole()


async def test_a_log_that_no_longer_reaches_back_is_copied_whole(bench: Bench) -> None:
    await bench.store.commit([put("a", project("a")), keep_private("x", "1", b"1")], "t")
    await bench.pass_by()
    await bench.kill_backup()
    for n in range(20):
        await bench.store.commit([put("b", project(f"{n}")), keep_private("x", f"{n}", None)], "t")
    await bench.store.compact(tail=1)
    await bench.back_up()
    newest_segment = bench.segments()[-1]
    assert newest_segment.snapshot and newest_segment.line == 1
    await bench.check_restores_whole()


async def test_tombstones_that_were_dropped_are_noticed(bench: Bench) -> None:
    await bench.store.commit([keep_private("x", "1", b"1"), keep_private("x", "2", b"2")], "t")
    await bench.pass_by()
    await bench.kill_backup()
    await bench.store.commit([keep_private("x", "1", None)], "t")
    await bench.store.commit([keep_private("x", "3", b"3")], "t")
    await bench.store.compact(tail=1)
    await bench.back_up()
    assert bench.segments()[-1].snapshot
    await bench.check_restores_whole()
    assert private(bench.store) == [("2", b"2"), ("3", b"3")]


@pytest.mark.parametrize("grown_again", [False, True])
async def test_a_store_put_back_begins_another_line_and_the_old_one_stays(bench: Bench, grown_again: bool) -> None:
    await bench.store.commit([put("a", project("a"))], "t")
    await bench.close()
    old = (bench.folder / "registrar.db").read_bytes()
    await bench.open()
    await bench.store.commit([put("b", project("b"))], "t")
    await bench.pass_by()
    await bench.close()
    written = len(bench.segments())
    (bench.folder / "registrar.db").write_bytes(old)
    for path in bench.folder.glob("registrar.db-*"):
        path.unlink()
    if grown_again:
        store = await store_at(bench.folder / "registrar.db", bench.means)
        await store.commit([put("c", project("c"))], "t")
        await store.close()
    await bench.open()
    segments = bench.segments()
    assert len(segments) == written + 1 and segments[-1].snapshot
    assert segments[-1].line == segments[-1].number and segments[-1].base_before == 0
    await bench.check_restores_whole()


async def test_a_segment_that_was_written_though_that_was_said_to_fail_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.pass_by()
    write = bench.backups.write

    async def write_and_fail(store: str, number: int, content: bytes) -> None:
        await write(store, number, content)
        raise Unavailable("the answer was lost.")

    with monkeypatch.context() as patch:
        patch.setattr(bench.backups, "write", write_and_fail)
        await bench.store.commit([put("a", project("a"))], "t")
        await bench.pass_by()
    written = len(bench.segments())
    await bench.pass_by(10.0)
    assert bench.is_covered() and len(bench.segments()) == written
    await bench.store.commit([put("b", project("b"))], "t")
    await bench.pass_by()
    await bench.check_restores_whole()


async def test_an_unfinished_snapshot_doesnt_count_as_the_one_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.store.commit([put(f"{n}", project("p" * 60)) for n in range(30)], "t")
    await bench.pass_by()
    bases = [segment.number for segment in bench.segments() if segment.snapshot]
    monkeypatch.setattr(copying, "PORTION_BYTES_MAX", 1000)
    monkeypatch.setattr(writing, "SINCE_SEGMENTS_MAX", -1)  # every run is a snapshot
    await bench.store.commit([put("a", project("a"))], "t")
    await bench.pass_by()
    await bench.kill_backup()
    segments = bench.shelf.segments[bench.store.id]
    del segments[max(segments)]
    await bench.back_up()
    last = bench.segments()[-1]
    assert last.snapshot and last.whole and last.base_before == bases[-1] in segments
    await bench.check_restores_whole()


async def test_a_damaged_last_segment_is_followed_by_a_snapshot(bench: Bench) -> None:
    await bench.store.commit([put("a", project("a"))], "t")
    await bench.pass_by()
    await bench.kill_backup()
    segments = bench.shelf.segments[bench.store.id]
    segments[max(segments)] = segments[max(segments)][:-1]
    damaged = max(segments)
    await bench.back_up()
    content = segments[max(segments)]
    assert max(segments) == damaged + 1 and decode(content, bench.store.id, damaged + 1).snapshot
    await bench.check_restores_whole()


async def test_closing_writes_the_last_changes(bench: Bench) -> None:
    await bench.pass_by()
    await bench.store.commit([put("a", project("a"))], "t")
    await turns()
    await bench.store.commit([put("b", project("b"))], "t")
    await turns()
    assert bench.backup.behind().entries == 1
    await bench.close()
    await bench.open()
    assert [entry.key for segment in bench.segments() for entry in segment.entries] == ["a", "b"]


async def test_commits_never_wait_for_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    go_on = asyncio.Event()

    async def offload(work: Callable[[], T]) -> T:
        await go_on.wait()
        return work()

    bench.store = await store_at(tmp_path / "registrar.db", bench.means)
    bench.means = means_of(clock=bench.clock, offload=offload)
    await bench.back_up()
    for n in range(10):
        await asyncio.wait_for(bench.store.commit([put(f"{n}", project(f"{n}"))], "t"), 5)
    assert bench.backup.behind().entries == 10
    go_on.set()
    await until(lambda: bench.backup.behind().entries == 0)
    await bench.close()


async def test_a_quiet_store_notices_that_its_backup_was_lost(bench: Bench) -> None:
    await bench.store.commit([put("a", project("a")), keep_private("x", "1", b"one")], "t")
    await bench.pass_by()
    bench.shelf.segments.clear()
    for _ in range(5):
        await bench.pass_by(30.0)
    assert bench.is_covered()
    await bench.check_restores_whole()
    bench.shelf.failing = Unavailable("the place for backups is away.")
    bench.shelf.segments.clear()
    for _ in range(5):
        await bench.pass_by(30.0)
    lag = bench.backup.behind()
    assert lag.entries == 1 and lag.seconds > 30, "and says that nothing could be restored now"


async def test_a_place_that_forgot_some_is_not_written_on(bench: Bench) -> None:
    """A server that acknowledges before it keeps: what follows would stand on nothing."""
    for name in "abc":
        await bench.store.commit([put(name, project(name))], "t")
        await bench.pass_by()
    segments = bench.shelf.segments[bench.store.id]
    del segments[max(segments)]
    await bench.store.commit([put("d", project("d"))], "t")
    for _ in range(3):
        await bench.pass_by(2.0)
    assert bench.is_covered()
    await bench.check_restores_whole()


async def test_as_much_is_kept_as_is_wanted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SINCE_SEGMENTS_MAX", 5)
    await bench.kill_backup()
    bench.keep_s = 60.0
    await bench.back_up()
    times = []
    for n in range(100):
        await bench.store.commit([put("same", project(f"{n}"))], "t")
        await bench.pass_by(2.0)
        times.append((bench.means.clock.now(), n))
    for time, n in times[-25:]:
        found = await as_of(bench.backups, bench.store.id, Moment(time=time))
        assert found.position.seq == n + 1
    with pytest.raises(NotFound, match="it begins at"):
        await as_of(bench.backups, bench.store.id, Moment(time=times[50][0]))
    assert len(bench.segments()) < 60


async def test_what_was_not_encrypted_goes_when_all_is_there_encrypted(bench: Bench) -> None:
    await bench.store.commit([put("a", project("a")), keep_private("x", "1", b"a password")], "t")
    await bench.pass_by()
    await bench.kill_backup()
    keys, store = Keys([new_key()]), bench.store.id
    plain = dict(bench.shelf.segments[store])
    bench.keys = keys
    await bench.back_up()
    await bench.pass_by()
    kept_here = bench.shelf.segments[store]
    assert kept_here and not set(kept_here) & set(plain)
    assert all(b"a password" not in content for content in kept_here.values())
    sealed = SealedBackups(SimulatedBackups(bench.shelf), keys)
    assert (await newest(sealed, store)).position.seq == 1
    bench.shelf.segments[store] = plain
    with pytest.raises(Broken, match=r"isn't encrypted.*--plain"):
        await newest(sealed, store)
    assert (await newest(SealedBackups(SimulatedBackups(bench.shelf), keys, plain=True), store)).position.seq == 1
    bench.shelf.segments[store] = kept_here


async def test_a_copy_that_takes_too_long_is_given_up_before_the_owners_disk_fills(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.pass_by()
    with monkeypatch.context() as patch:
        patch.setattr(writing, "WAL_BYTES_MAX", -1)
        await bench.store.commit([put("a", project("a"))], "t")
        await bench.pass_by()
        assert bench.backup.behind().entries == 1
    await bench.pass_by(70.0)
    assert bench.is_covered()

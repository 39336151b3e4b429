"""Restoring: from the newest whole copy, never from a damaged one, and never beside a live owner."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.drivers.backup.simulated import Shelf, SimulatedBackups
from freehold.runtime.tasks import offload_inline
from freehold.store.database import keep_private, put
from freehold.store.segments import decode, encode
from freehold.vocabulary.codec import encode as encode_word
from freehold.vocabulary.errors import Broken, Conflict, NotFound
from freehold.vocabulary.tenant import Project
from freehold.workers.backup import Backup
from freehold.workers.restore import Damaged, Found, Moment, as_of, every, newest, only_one_of, restore, verify
from tests.owners import HandClock, means_of, project, store_at, turns

ABSENT = "66666666-7777-4888-9999-000000000000"


class Lost:
    """A store of which five changes, a..e, were backed up one by one; then its machine was lost."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.shelf = folder, Shelf()
        self.backups = SimulatedBackups(self.shelf)
        self.target = folder / "state" / "registrar.db"

    async def begin(self, role: str = "registrar", seed: int = 1) -> str:
        clock = HandClock()
        means = means_of(clock=clock, seed=seed)
        store = await store_at(self.folder / f"{role}-{seed}.db", means, role=role)
        owner = SimulatedBackups(self.shelf)
        backup = Backup(means, store, owner, f"{role}.db")
        await backup.open()
        await turns()
        for name in "abcde":
            await store.commit([put(name, project(name)), keep_private("x", name, name.encode())], "t")
            await turns()
            clock.move(2)
            await turns()
        await backup.close()
        await owner.close()
        await store.close()
        return store.id

    @property
    def segments(self) -> dict[int, bytes]:
        (segments,) = self.shelf.segments.values()
        return segments

    async def restore(self, replacing: bool = False) -> Path | None:
        try:
            found = await only_one_of(self.backups, "registrar")
            return await restore(self.backups, found, self.target, "epoch-2", offload_inline, replacing)
        finally:
            await self.backups.close()

    async def keys(self) -> str:
        store = await store_at(self.target, means_of(seed=3))
        names = "".join(one.id for one in store.scan(Project))
        assert names == "".join(key for key, _ in store.scan_private("x"))
        await store.close()
        return names

    def left_behind(self) -> list[str]:
        folder = self.target.parent
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
async def lost(tmp_path: Path) -> AsyncIterator[Lost]:
    made = Lost(tmp_path)
    await made.begin()
    yield made


async def test_the_store_is_there_again_under_a_new_epoch(lost: Lost) -> None:
    before = await store_at(lost.folder / "registrar-1.db", means_of(seed=4))
    assert await lost.restore() is None
    again = await store_at(lost.target, means_of(seed=5))
    assert again.id == before.id and again.epoch == "epoch-2" != before.epoch
    assert again.since(before.position()).complete_needed, "a reader of the old epoch takes the complete state"
    assert (again.position().seq, again.position().digest) == (before.position().seq, before.position().digest)
    await again.close()
    await before.close()
    assert await lost.keys() == "abcde"
    assert lost.target.stat().st_mode & 0o777 == 0o600


async def test_a_torn_last_segment_costs_what_is_in_it_and_is_said(lost: Lost) -> None:
    lost.segments[max(lost.segments)] = lost.segments[max(lost.segments)][: len(lost.segments[1]) // 2]
    found = await only_one_of(lost.backups, "registrar")
    assert f"segment {max(lost.segments)}" in found.note and "are lost" in found.note
    await lost.restore()
    assert await lost.keys() == "abcd"


async def test_a_missing_last_segment_costs_what_is_in_it(lost: Lost) -> None:
    del lost.segments[max(lost.segments)]
    await lost.restore()
    assert await lost.keys() == "abcd"


def flip(lost: Lost, number: int) -> None:
    content = bytearray(lost.segments[number])
    content[-20] ^= 1
    lost.segments[number] = bytes(content)


def remove(lost: Lost, number: int) -> None:
    del lost.segments[number]


def take_anothers(lost: Lost, number: int) -> None:
    lost.segments[number] = lost.segments[number + 1]


def tear_the_end_too(lost: Lost, number: int) -> None:
    flip(lost, max(lost.segments) - 1)
    flip(lost, max(lost.segments))


@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize("damage", [flip, remove, take_anothers, tear_the_end_too])
async def test_a_damaged_middle_is_refused_and_nothing_is_made(
    lost: Lost, damage: Callable[[Lost, int], None], number: int
) -> None:
    damage(lost, number)
    with pytest.raises(Broken, match=r"(damaged|missing|is segment).*nothing is restored"):
        await lost.restore()
    assert lost.left_behind() == []


async def test_a_segment_of_another_history_is_refused(lost: Lost) -> None:
    (store,) = lost.shelf.segments
    third = decode(lost.segments[3], store, 3)
    lost.segments[3] = encode(replace(third, time=third.time + 1))  # whole in itself, and not what came next
    with pytest.raises(Broken, match=r"segment 4 .* doesn't continue.*nothing is restored"):
        await lost.restore()


async def test_beside_a_live_owner_it_is_refused(lost: Lost) -> None:
    found = await only_one_of(lost.backups, "registrar")
    owner = SimulatedBackups(lost.shelf)
    await owner.hold(found.owner.store)
    with pytest.raises(Conflict, match="Stop that process"):
        await lost.restore()
    await owner.close()
    live = await store_at(lost.target, means_of(seed=6))
    for replacing in (False, True):
        with pytest.raises(Conflict, match="open in another process"):
            await lost.restore(replacing)
    await live.close()


async def test_a_store_that_is_there_is_moved_aside_only_when_told_and_never_deleted(lost: Lost) -> None:
    new = await store_at(lost.target, means_of(seed=6))
    await new.commit([put("new", project("new"))], "t")
    new._files.reader.execute("BEGIN")
    new._files.reader.execute("SELECT * FROM rows").fetchall()  # keeps the WAL from being put away at the closing
    await new.commit([put("newer", project("newer"))], "t")
    wal = lost.target.with_name("registrar.db-wal").read_bytes()
    await new.close()
    lost.target.with_name("registrar.db-wal").write_bytes(wal)  # as after a kill
    with pytest.raises(Conflict, match="--replace"):
        await lost.restore()
    moved = await lost.restore(replacing=True)
    assert moved is not None
    assert await lost.keys() == "abcde"
    found = sqlite3.connect(moved).execute("SELECT key FROM rows ORDER BY key").fetchall()
    assert found == [("new",), ("newer",)], "and with it its WAL"
    again = await lost.restore(replacing=True)
    assert again is not None and again != moved and moved.exists()


async def test_a_restore_that_was_cut_off_is_done_again(lost: Lost) -> None:
    lost.target.parent.mkdir()
    lost.target.with_name("registrar.db.restoring").write_bytes(b"half of one")
    await lost.restore()
    assert await lost.keys() == "abcde"
    assert "registrar.db.restoring" not in lost.left_behind()


async def test_which_store_is_meant_must_be_clear(lost: Lost) -> None:
    with pytest.raises(NotFound, match="no backup of a store of the image"):
        await only_one_of(lost.backups, "image")
    with pytest.raises(NotFound):
        await newest(lost.backups, ABSENT)
    second = await lost.begin(seed=2)
    with pytest.raises(Conflict, match=f"--store.*{second}"):
        await only_one_of(lost.backups, "registrar")
    await lost.begin("image", seed=3)
    assert (await only_one_of(lost.backups, "image")).place == "image.db"


async def test_all_that_is_there_is_listed_with_what_is_wrong(lost: Lost) -> None:
    flip(lost, 2)
    await lost.begin("image", seed=2)
    damaged, found = sorted(await every(lost.backups), key=lambda one: isinstance(one, Found))
    assert isinstance(damaged, Damaged) and "segment 2" in damaged.reason
    assert isinstance(found, Found) and (found.owner.role, found.position.seq, found.note) == ("image", 5, "")
    with pytest.raises(Broken, match="segment 2"):
        await only_one_of(lost.backups, "registrar")


async def copies(lost: Lost) -> list[tuple[int, int, int]]:
    """The whole copies there are: number of the segment, clock time, and where the log stands."""
    (store,) = lost.shelf.segments
    found = [decode(content, store, number) for number, content in sorted(lost.segments.items())]
    return [(one.number, one.time, one.mark.position.seq) for one in found]


async def test_an_earlier_moment_is_what_was_so_then(lost: Lost) -> None:
    (store,) = lost.shelf.segments
    assert [seq for _, _, seq in await copies(lost)] == [0, 1, 2, 3, 4, 5]
    for _, time, seq in await copies(lost):
        for moment in (Moment(seq=seq), Moment(time=time), Moment(time=time + 1), Moment(seq=seq, time=time)):
            found = await as_of(lost.backups, store, moment)
            assert (found.position.seq, found.time) == (seq, time)
            await restore(lost.backups, found, lost.target, f"epoch of {seq}", offload_inline, replace=True)
            assert await lost.keys() == "abcde"[:seq]
    await lost.backups.close()
    first = await as_of(lost.backups, store, Moment(seq=0))
    assert await as_of(lost.backups, store, Moment(seq=99)) == await newest(lost.backups, store)
    assert await as_of(lost.backups, store, Moment(seq=3, epoch=first.position.epoch))
    for never in (Moment(time=first.time - 1), Moment(seq=3, epoch="another")):
        with pytest.raises(NotFound, match="it begins at 1970"):
            await as_of(lost.backups, store, never)


async def test_what_was_damaged_later_does_not_hinder_an_earlier_moment(lost: Lost) -> None:
    (store,) = lost.shelf.segments
    flip(lost, 5)
    found = await as_of(lost.backups, store, Moment(seq=3))
    await restore(lost.backups, found, lost.target, "epoch-2", offload_inline)
    assert await lost.keys() == "abc"
    with pytest.raises(Broken, match="segment 5"):
        await newest(lost.backups, store)
    flip(lost, 2)
    with pytest.raises(Broken, match=r"segment 2 .*nothing is restored"):
        await as_of(lost.backups, store, Moment(seq=3))
    await lost.backups.close()


async def test_force_passes_a_holder_over_but_never_an_open_store(lost: Lost) -> None:
    found = await only_one_of(lost.backups, "registrar")
    owner = SimulatedBackups(lost.shelf)
    await owner.hold(found.owner.store)
    live = await store_at(lost.target, means_of(seed=6))
    with pytest.raises(Conflict, match="open in another process"):
        await restore(lost.backups, found, lost.target, "e", offload_inline, replace=True, force=True)
    await live.close()
    await restore(lost.backups, found, lost.target, "e", offload_inline, replace=True, force=True)
    await owner.close()
    assert await lost.keys() == "abcde"


async def test_verifying_proves_that_it_restores_beside_its_owner(lost: Lost, tmp_path: Path) -> None:
    (store,) = lost.shelf.segments
    owner = SimulatedBackups(lost.shelf)
    await owner.hold(store)
    found, proof = await verify(lost.backups, store, tmp_path, offload_inline)
    assert (proof.rows, proof.private, proof.entries, proof.links) == (5, 5, 5, 5)
    assert (proof.position.seq, proof.position.digest) == (found.position.seq, found.position.digest)
    assert not list(tmp_path.glob(f"{store}*"))
    await owner.close()


async def test_verifying_finds_what_no_checksum_tells(lost: Lost, tmp_path: Path) -> None:
    """Somebody who has the key has written a history that never was: its own checksums fit."""
    (store,) = lost.shelf.segments
    last = max(lost.segments)
    segment = decode(lost.segments[last], store, last)
    forged = replace(segment.entries[0], value=encode_word(project("forged")))
    lost.segments[last] = encode(replace(segment, entries=(forged,)))
    with pytest.raises(Broken, match="digest of the log's entry 5 doesn't follow"):
        await verify(lost.backups, store, tmp_path, offload_inline)

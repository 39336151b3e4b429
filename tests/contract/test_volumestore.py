"""What every pool of volumes promises (`freehold/drivers/volumestore/interface.py`)."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from freehold.drivers.volumestore.interface import VolumePlan, VolumeStore
from freehold.drivers.volumestore.simulated import BLOCK_BYTES
from freehold.vocabulary.attachment import Export, Limits, Served
from freehold.vocabulary.errors import BadRequest, Conflict, NoRoom, NotFound, Unavailable
from freehold.vocabulary.units import GIB, MIB
from tests.contract.volume_bench import Bench, FilesBench, Refused, SimulatedBench
from tests.drivers.imagestore.crafted import qcow2, qcow2_with_backing_file, qcow2_with_data_file

A = "0000000a-394f-430f-bed5-f0ca5be05779"
B = "0000000b-394f-430f-bed5-f0ca5be05779"
FAR = GIB // BLOCK_BYTES - 1
"""The last block of a volume of 1 GiB."""


@pytest.fixture(params=["simulated", pytest.param("files", marks=pytest.mark.live)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "simulated":
        yield SimulatedBench()
        return
    files = FilesBench(tmp_path)
    try:
        yield files
    finally:
        await files.clean()


@pytest.fixture
async def store(bench: Bench) -> AsyncIterator[VolumeStore]:
    store = bench.store()
    for host in (A, B):
        await bench.host(store, host)
    yield store
    await store.close()


def new_id() -> str:
    return str(uuid.uuid4())


def plan(volume: str, size_gib: int = 1) -> VolumePlan:
    return VolumePlan(volume=volume, size_bytes=size_gib * GIB)


async def made(store: VolumeStore, size_gib: int = 1) -> str:
    volume = new_id()
    await store.make(plan(volume, size_gib))
    return volume


async def chunks(content: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(content), MIB):
        yield content[start : start + MIB]
    if then is not None:
        raise then


class Attachments:
    """Volumes are attached, written or read, and detached again."""

    def __init__(self, bench: Bench, store: VolumeStore) -> None:
        self._bench, self._store = bench, store
        self._number = 0

    async def attached(self, volume: str, host: str = A, **changes: object) -> Served:
        self._number += 1
        export = Export(volume=volume, number=self._number, reader=host)
        return await self._store.export(msgspec.structs.replace(export, **changes))

    async def write(self, volume: str, blocks: dict[int, int]) -> None:
        served = await self.attached(volume)
        await self._bench.write(served, A, blocks)
        await self._store.withdraw(volume, served.export.number)

    async def holds(self, volume: str, blocks: dict[int, int]) -> bool:
        served = await self.attached(volume, B, writable=False)
        held = await self._bench.read(served, B, blocks)
        await self._store.withdraw(volume, served.export.number)
        return held


@pytest.fixture
def attachments(bench: Bench, store: VolumeStore) -> Attachments:
    return Attachments(bench, store)


# --- volumes ---------------------------------------------------------------------------------------------------------


async def test_a_pool_has_room(store: VolumeStore) -> None:
    pool = await store.pool()
    assert 0 < pool.free_bytes <= pool.capacity_bytes
    assert await store.volumes() == frozenset() and await store.exports() == ()


async def test_a_new_volume_holds_zeros_and_is_never_made_anew(store: VolumeStore, attachments: Attachments) -> None:
    volume = await made(store, 3)
    assert await attachments.holds(volume, {0: 0, FAR: 0, 3 * FAR: 0})
    await attachments.write(volume, {0: 7})
    await store.make(plan(volume, 5))
    await store.make_from_image(plan(volume), "raw", chunks(bytes(MIB)))
    await store.make_copy(plan(volume, 3), await made(store))
    assert await attachments.holds(volume, {0: 7})
    found = await store.look(volume)
    assert (found.volume, found.size_bytes, found.snapshots) == (volume, 3 * GIB, ())
    assert 0 < found.used_bytes < 10 * MIB
    assert volume in await store.volumes()


async def test_what_is_deleted_is_gone_and_is_not_in_the_next(store: VolumeStore, attachments: Attachments) -> None:
    volume = await made(store)
    await attachments.write(volume, {0: 7, FAR: 7})
    for _ in range(2):
        await store.delete(volume)
    assert await store.volumes() == frozenset()
    with pytest.raises(NotFound):
        await store.look(volume)
    await store.make(plan(volume))
    assert await attachments.holds(volume, {0: 0, FAR: 0})


async def test_a_volume_begins_with_an_image(store: VolumeStore, attachments: Attachments) -> None:
    volume = new_id()
    image = b"\x05" * BLOCK_BYTES + bytes(BLOCK_BYTES) + b"\x06" * BLOCK_BYTES
    await store.make_from_image(plan(volume), "raw", chunks(image))
    assert await attachments.holds(volume, {0: 5, 1: 0, 2: 6, 3: 0, FAR: 0})
    assert (await store.look(volume)).size_bytes == GIB


async def test_a_qcow2_is_an_image_too(store: VolumeStore, attachments: Attachments) -> None:
    volume = new_id()
    await store.make_from_image(plan(volume), "qcow2", chunks(qcow2()))
    assert await attachments.holds(volume, {0: 0, FAR: 0})


@pytest.mark.parametrize(
    ("image_format", "image"),
    [
        ("qcow2", qcow2_with_backing_file(b"/etc/passwd")),
        ("qcow2", qcow2_with_data_file(b"/etc/passwd")),
        ("qcow2", bytes(MIB)),
        ("qcow2", qcow2(virtual_bytes=2 * GIB)),
        ("raw", qcow2()),
        ("raw", b""),
        ("vmdk", bytes(MIB)),
        ("", bytes(MIB)),
    ],
)
async def test_an_image_that_is_not_what_it_should_be_is_refused_and_leaves_nothing(
    store: VolumeStore, image_format: str, image: bytes
) -> None:
    with pytest.raises(BadRequest):
        await store.make_from_image(plan(new_id()), image_format, chunks(image))
    assert await store.volumes() == frozenset()


@pytest.mark.parametrize("error", [Unavailable("the line broke."), ConnectionResetError("the line broke.")])
async def test_an_image_that_breaks_off_leaves_nothing(store: VolumeStore, error: Exception) -> None:
    with pytest.raises(type(error), match=r"^the line broke\.$"):
        await store.make_from_image(plan(new_id()), "raw", chunks(bytes(MIB), error))
    assert await store.volumes() == frozenset()


async def test_a_volume_that_is_being_made_is_seen_and_is_gone_if_that_is_cancelled(store: VolumeStore) -> None:
    begun, volume = asyncio.Event(), new_id()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        begun.set()
        await asyncio.Event().wait()

    making = asyncio.create_task(store.make_from_image(plan(volume), "raw", endless()))
    await begun.wait()
    assert await store.volumes() == {volume}
    with pytest.raises(NotFound):
        await store.look(volume)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert await store.volumes() == frozenset()


@pytest.mark.parametrize("size_bytes", [0, -GIB, 1, GIB + 512, 1 << 60])
async def test_a_size_that_can_not_be_is_refused(store: VolumeStore, size_bytes: int) -> None:
    with pytest.raises(BadRequest):
        await store.make(VolumePlan(volume=new_id(), size_bytes=size_bytes))
    assert await store.volumes() == frozenset()


async def test_encryption_is_refused_and_not_forgotten(store: VolumeStore) -> None:
    with pytest.raises(BadRequest, match="encrypted"):
        await store.make(VolumePlan(volume=new_id(), size_bytes=GIB, encryption="luks"))


async def test_a_pool_that_is_full_says_so_and_keeps_nothing_of_it(bench: Bench) -> None:
    store = bench.store(capacity_bytes=8 * MIB)
    await store.make(plan(new_id()))
    before = await store.volumes()
    with pytest.raises(NoRoom):
        await store.make_from_image(plan(new_id()), "raw", chunks(b"\x07" * 9 * MIB))
    assert await store.volumes() == before
    assert (await store.pool()).capacity_bytes == 8 * MIB
    assert (await store.pool()).free_bytes > 7 * MIB
    await store.close()


async def test_a_copy_has_nothing_in_common_with_its_source(store: VolumeStore, attachments: Attachments) -> None:
    source, copy, larger = await made(store), new_id(), new_id()
    await attachments.write(source, {0: 1, 9: 1})
    await store.make_copy(plan(copy), source)
    await store.make_copy(plan(larger, 2), source)
    await attachments.write(source, {0: 2})
    await attachments.write(copy, {9: 3})
    await store.delete(source)
    assert await attachments.holds(copy, {0: 1, 9: 3, FAR: 0})
    assert await attachments.holds(larger, {0: 1, 9: 1, 2 * FAR: 0})


async def test_a_copy_is_never_smaller_nor_of_what_is_written_now(store: VolumeStore, attachments: Attachments) -> None:
    source, snapshot = await made(store, 2), new_id()
    with pytest.raises(BadRequest):
        await store.make_copy(plan(new_id(), 1), source)
    with pytest.raises(NotFound):
        await store.make_copy(plan(new_id(), 2), source, snapshot)
    with pytest.raises(NotFound):
        await store.make_copy(plan(new_id(), 2), new_id())
    served = await attachments.attached(source)
    with pytest.raises(Conflict):
        await store.make_copy(plan(new_id(), 2), source)
    await store.take_snapshot(source, snapshot)
    await store.make_copy(plan(new_id(), 2), source, snapshot)
    await store.withdraw(source, served.export.number)
    assert len(await store.volumes()) == 2


async def test_a_volume_grows_and_never_shrinks(bench: Bench, store: VolumeStore, attachments: Attachments) -> None:
    volume = await made(store)
    await attachments.write(volume, {FAR: 4})
    for _ in range(2):
        await store.extend(volume, 2 * GIB)
    with pytest.raises(BadRequest):
        await store.extend(volume, GIB)
    assert await attachments.holds(volume, {FAR: 4, FAR + 1: 0, 2 * FAR: 0})
    for changes in ({}, {"writable": False}, {"limits": Limits(iops_max=1000)}):
        served = await attachments.attached(volume, **changes)
        larger = (await store.look(volume)).size_bytes + GIB
        await store.extend(volume, larger)
        (now,) = await store.exports()
        assert now == msgspec.structs.replace(served, size_bytes=larger)
        assert await bench.read(now, A, {FAR: 4, larger // BLOCK_BYTES - 1: 0})
        await store.withdraw(volume, served.export.number)


# --- snapshots -------------------------------------------------------------------------------------------------------


async def test_a_snapshot_is_the_volume_as_it_was(bench: Bench, store: VolumeStore, attachments: Attachments) -> None:
    volume, detached, live = await made(store), new_id(), new_id()
    await attachments.write(volume, {0: 1, 1: 1})
    for _ in range(2):
        await store.take_snapshot(volume, detached)
    served = await attachments.attached(volume)
    await bench.write(served, A, {1: 2, 2: 2})
    for _ in range(2):
        await store.take_snapshot(volume, live)
    await bench.write(served, A, {0: 3, 2: 0})
    assert await bench.read(served, A, {0: 3, 1: 2, 2: 0})
    assert (await store.look(volume)).snapshots == (detached, live)
    copies = {snapshot: new_id() for snapshot in (detached, live)}
    for snapshot, copy in copies.items():
        await store.make_copy(plan(copy), volume, snapshot)
    assert await attachments.holds(copies[detached], {0: 1, 1: 1, 2: 0})
    assert await attachments.holds(copies[live], {0: 1, 1: 2, 2: 2})


async def test_a_volume_goes_back_to_its_newest_snapshot(store: VolumeStore, attachments: Attachments) -> None:
    volume, older, newer = await made(store), new_id(), new_id()
    await attachments.write(volume, {0: 1})
    await store.take_snapshot(volume, older)
    await attachments.write(volume, {0: 2})
    await store.take_snapshot(volume, newer)
    await attachments.write(volume, {0: 3, 1: 3})
    await store.extend(volume, 2 * GIB)
    with pytest.raises(Conflict, match=newer):
        await store.revert(volume, older)
    with pytest.raises(NotFound):
        await store.revert(volume, new_id())
    served = await attachments.attached(volume)
    with pytest.raises(Conflict):
        await store.revert(volume, newer)
    await store.withdraw(volume, served.export.number)
    for _ in range(2):
        await store.revert(volume, newer)
    found = await store.look(volume)
    assert (found.size_bytes, found.snapshots) == (2 * GIB, (older, newer))
    assert await attachments.holds(volume, {0: 2, 1: 0, 2 * FAR: 0})
    await store.delete_snapshot(volume, newer)
    await store.revert(volume, older)
    assert await attachments.holds(volume, {0: 1, 1: 0})


@pytest.mark.parametrize("is_exported", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
async def test_what_is_left_reads_the_same_when_snapshots_go(
    bench: Bench, store: VolumeStore, attachments: Attachments, order: tuple[int, ...], is_exported: bool
) -> None:
    volume, snapshots = await made(store), [new_id() for _ in range(3)]
    served = await attachments.attached(volume)
    for value, snapshot in enumerate(snapshots, 1):
        await bench.write(served, A, {0: value, value: value, 5: 0 if value == 2 else value})
        await store.take_snapshot(volume, snapshot)
    await bench.write(served, A, {0: 4})
    if not is_exported:
        await store.withdraw(volume, served.export.number)
    for place in order[:2]:
        for _ in range(2):
            await store.delete_snapshot(volume, snapshots[place])
    kept, copy = order[2], new_id()
    assert (await store.look(volume)).snapshots == (snapshots[kept],)
    await store.make_copy(plan(copy), volume, snapshots[kept])
    then = {0: kept + 1, **{value: value if value <= kept + 1 else 0 for value in (1, 2, 3)}, 5: (1, 0, 3)[kept]}
    assert await attachments.holds(copy, then)
    await store.delete_snapshot(volume, snapshots[kept])
    await store.tidy()
    now = {0: 4, 1: 1, 2: 2, 3: 3, 5: 3}
    if is_exported:
        assert await bench.read(served, A, now)
        await store.withdraw(volume, served.export.number)
        await store.tidy()
    assert await attachments.holds(volume, now)


async def test_a_snapshot_that_is_not_there_is_deleted(store: VolumeStore) -> None:
    await store.delete_snapshot(await made(store), new_id())
    with pytest.raises(NotFound):
        await store.delete_snapshot(new_id(), new_id())


async def test_snapshots_are_counted(store: VolumeStore) -> None:
    volume, first = await made(store), new_id()
    await store.take_snapshot(volume, first)
    with pytest.raises(Conflict, match="layers"):
        for _ in range(100):
            await store.take_snapshot(volume, new_id())
    await store.delete_snapshot(volume, first)
    await store.take_snapshot(volume, new_id())


# --- exports ---------------------------------------------------------------------------------------------------------


async def test_what_one_reader_wrote_the_next_one_reads(
    bench: Bench, store: VolumeStore, attachments: Attachments
) -> None:
    volume = await made(store)
    first = await attachments.attached(volume, A)
    await bench.write(first, A, {0: 1, FAR: 2})
    await store.withdraw(volume, first.export.number)
    second = await attachments.attached(volume, B, limits=Limits(iops_max=500, bytes_per_s_max=100 * MIB))
    assert await bench.read(second, B, {0: 1, FAR: 2, 1: 0})
    assert first.name == f"{volume}.1" and second.name == f"{volume}.2"
    assert volume in second.description and "attachment 2" in second.description
    assert second.size_bytes == GIB


async def test_an_export_is_for_one_reader(bench: Bench, store: VolumeStore, attachments: Attachments) -> None:
    volume = await made(store)
    mine, its = await attachments.attached(volume, A), await attachments.attached(await made(store), B)
    for served, other in ((mine, B), (its, A)):
        with pytest.raises(Refused):
            await bench.read(served, other, {0: 0})
        with pytest.raises(Refused):
            await bench.write(served, other, {0: 1})
    assert await bench.read(mine, A, {0: 0}) and await bench.read(its, B, {0: 0})


async def test_a_withdrawn_export_can_not_be_opened_and_others_can(
    bench: Bench, store: VolumeStore, attachments: Attachments
) -> None:
    volume, other = await made(store), await made(store)
    served, kept = await attachments.attached(volume), await attachments.attached(other)
    await bench.write(served, A, {0: 1})
    for _ in range(2):
        await store.withdraw(volume, served.export.number)
    assert await store.exports() == (kept,)
    with pytest.raises(Refused):
        await bench.write(served, A, {0: 2})
    await bench.write(kept, A, {0: 3})
    again = await attachments.attached(volume)
    with pytest.raises(Refused):
        await bench.write(served, A, {0: 2})
    assert await bench.read(again, A, {0: 1})


async def test_a_volume_has_one_export_unless_it_is_for_several(
    bench: Bench, store: VolumeStore, attachments: Attachments
) -> None:
    volume = await made(store)
    served = await attachments.attached(volume)
    assert await store.export(served.export) == served
    for changes in ({"reader": B, "number": 2}, {"number": 2}, {"reader": B}, {"writable": False}):
        with pytest.raises(Conflict):
            await store.export(msgspec.structs.replace(served.export, **changes))
    with pytest.raises(Conflict):
        await attachments.attached(volume, B, multi_attach=True)
    with pytest.raises(Conflict):
        await store.delete(volume)
    await store.withdraw(volume, served.export.number)

    first = await attachments.attached(volume, A, multi_attach=True, writable=False)
    second = await attachments.attached(volume, B, multi_attach=True, limits=Limits(iops_max=1000))
    await bench.write(second, B, {0: 8})
    assert await bench.read(first, A, {0: 8})
    await store.take_snapshot(volume, new_id())
    await store.extend(volume, 2 * GIB)
    await bench.write(second, B, {0: 9})
    await store.withdraw(volume, second.export.number)
    with pytest.raises(Refused):
        await bench.write(second, B, {0: 1})
    assert await bench.read(first, A, {0: 9, 2 * FAR: 0})


async def test_a_read_only_export_is_only_read(bench: Bench, store: VolumeStore, attachments: Attachments) -> None:
    volume = await made(store)
    served = await attachments.attached(volume, writable=False)
    with pytest.raises(Refused):
        await bench.write(served, A, {0: 1})
    assert await bench.read(served, A, {0: 0})


async def test_exports_outlive_their_driver(bench: Bench, store: VolumeStore, attachments: Attachments) -> None:
    volume, other = await made(store), await made(store)
    served, its = await attachments.attached(volume), await attachments.attached(other, B)
    await bench.write(served, A, {0: 1})
    await store.close()
    assert await bench.read(served, A, {0: 1})
    successor = bench.store()
    assert set(await successor.exports()) == {served, its}
    assert await successor.export(served.export) == served
    await successor.take_snapshot(volume, new_id())
    await bench.write(served, A, {0: 2})
    await successor.withdraw(volume, served.export.number)
    with pytest.raises(Refused):
        await bench.write(served, A, {0: 3})
    assert await successor.exports() == (its,)
    await successor.close()


async def test_only_what_is_there_is_exported(store: VolumeStore) -> None:
    with pytest.raises(NotFound):
        await store.export(Export(volume=new_id(), number=1, reader=A))
    await store.withdraw(new_id(), 1)
    assert await store.exports() == ()


# --- what can't be ---------------------------------------------------------------------------------------------------

BAD_IDS = ["", "..", "../x", "0000000A-394F-430F-BED5-F0CA5BE05779", f"{A}/..", f"{A}\n", "a,b=c"]


@pytest.mark.parametrize("bad", BAD_IDS)
async def test_an_id_that_is_no_uuid_is_refused_by_every_verb(store: VolumeStore, bad: str) -> None:
    volume, good = await made(store), plan(new_id())
    verbs: list[Callable[[], Awaitable[object]]] = [
        lambda: store.look(bad),
        lambda: store.make(plan(bad)),
        lambda: store.make_from_image(plan(bad), "raw", chunks(bytes(MIB))),
        lambda: store.make_copy(plan(bad), volume),
        lambda: store.make_copy(good, bad),
        lambda: store.extend(bad, GIB),
        lambda: store.delete(bad),
        lambda: store.take_snapshot(bad, A),
        lambda: store.take_snapshot(volume, bad),
        lambda: store.delete_snapshot(bad, A),
        lambda: store.delete_snapshot(volume, bad),
        lambda: store.revert(bad, A),
        lambda: store.revert(volume, bad),
        lambda: store.export(Export(volume=bad, number=1, reader=A)),
        lambda: store.export(Export(volume=volume, number=1, reader=bad)),
        lambda: store.withdraw(bad, 1),
        lambda: store.certify(bad, bytes(32)),
    ]
    for verb in verbs:
        with pytest.raises(BadRequest):
            await verb()
    assert await store.volumes() == {volume} and await store.exports() == ()


@pytest.mark.parametrize(
    "changes",
    [{"number": 0}, {"number": 10_000_000}, {"limits": Limits(iops_max=-1)}, {"limits": Limits(iops_max=1 << 60)}],
)
async def test_an_export_that_can_not_be_is_refused(store: VolumeStore, changes: dict[str, object]) -> None:
    export = Export(volume=await made(store), number=1, reader=A)
    with pytest.raises(BadRequest):
        await store.export(msgspec.structs.replace(export, **changes))
    assert await store.exports() == ()


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
async def test_a_key_that_is_none_gets_no_certificate(store: VolumeStore, key: bytes) -> None:
    with pytest.raises(BadRequest):
        await store.certify(A, key)


async def test_verbs_on_volumes_that_are_not_there_say_so(store: VolumeStore) -> None:
    for verb in (store.look(A), store.extend(A, GIB), store.take_snapshot(A, B), store.revert(A, B)):
        with pytest.raises(NotFound):
            await verb

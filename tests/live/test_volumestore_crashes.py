"""Volumes on files: what a crash, a cancelled call or the end of a server leaves, and what becomes of it."""

import asyncio
import hashlib
import os
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from freehold.drivers.qemu.monitor import Monitor
from freehold.drivers.qemu.records import write_whole
from freehold.drivers.qemu.tool import left
from freehold.drivers.volumestore.chain import Chain, Layer
from freehold.drivers.volumestore.daemon import Daemon
from freehold.drivers.volumestore.files import FileVolumeStore
from freehold.drivers.volumestore.server import ServerRecord
from freehold.drivers.volumestore.server_command import node_of, served_node
from freehold.vocabulary.attachment import Export, Limits, Served
from freehold.vocabulary.errors import Conflict, Unavailable
from freehold.vocabulary.units import GIB, MIB
from tests.contract.test_volumestore import FAR, A, Attachments, B, made, new_id, plan
from tests.contract.volume_bench import FilesBench, Refused
from tests.live.test_volumestore import STEP, content, layers, until_written, writes

# --- servers die -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_watched", [True, False])
async def test_a_reader_only_pauses_when_its_server_is_killed_and_loses_nothing(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path, is_watched: bool
) -> None:
    """It never flushes: what it was told is written is there. With and without a driver that looks on."""
    volume = await made(store)
    served = await attachments.attached(volume, limits=Limits(iops_max=100_000))
    await store.take_snapshot(volume, new_id())
    if not is_watched:
        await store.close()
    async with bench.client(served, A, *writes(600, 7), options=",reconnect-delay=60") as client:
        await until_written(bench, volume, 8 * MIB)
        (pid,) = bench.daemons().values()
        os.kill(pid, signal.SIGKILL)
        successor = store if is_watched else bench.store()
        if not is_watched:
            assert await successor.exports() == (served,)
        said, _ = await client.communicate()
        assert (client.returncode, said) == (0, b"")
    assert await successor.exports() == (served,)
    assert pid not in bench.daemons().values()
    found = await content(bench, served, A, tmp_path)
    assert hashlib.sha256(found).digest() == hashlib.sha256(b"\x07" * 600 * STEP).digest()
    await successor.close()


async def test_what_a_crash_left_half_told_is_started_from_the_records(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments
) -> None:
    volume, other = await made(store), await made(store)
    served, kept = await attachments.attached(volume), await attachments.attached(other)
    await store.close()
    record = bench.pool / "servers" / f"reader-{A}" / "server.json"
    shall = ServerRecord(port=kept.port, exports=(kept.export,), settled=False)  # as a withdrawal writes first
    write_whole(record, msgspec.json.encode(shall))
    successor = bench.store()
    assert await successor.exports() == (kept,)
    with pytest.raises(Refused):
        await bench.read(served, A, {0: 0})
    assert await bench.read(kept, A, {0: 0})
    record.unlink()  # a server of which nothing is known serves nothing
    await successor.close()
    last = bench.store()
    assert await last.exports() == () and bench.daemons() == {}
    await last.close()


async def test_a_damaged_volume_does_not_take_others_with_it(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments
) -> None:
    damaged, other = await made(store), await made(store)
    broken, kept = await attachments.attached(damaged), await attachments.attached(other)
    await bench.write(kept, A, {0: 4})
    await store.close()
    (layer,) = layers(bench, damaged)
    with layer.open("r+b") as file:
        file.write(b"no qcow2")
    (pid,) = bench.daemons().values()
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while bench.daemons():  # until it is seen to be gone, whoever looks may take it for one that serves
            await asyncio.sleep(0.01)
    successor = bench.store()
    assert await successor.exports() == (kept,)
    assert await bench.read(kept, A, {0: 4})
    with pytest.raises(Unavailable):
        await successor.export(broken.export)
    await successor.withdraw(damaged, broken.export.number)
    await successor.delete(damaged)
    assert await bench.read(kept, A, {0: 4})
    assert await successor.exports() == (kept,)
    await successor.close()


async def test_a_volume_that_another_process_has_open_is_not_served(bench: FilesBench, store: FileVolumeStore) -> None:
    volume = await made(store)
    (layer,) = layers(bench, volume)
    words = ["-f", "qcow2", "-c", "write 0 512", "-c", "sleep 60000", str(layer)]
    child = await asyncio.create_subprocess_exec("stdbuf", "-oL", "qemu-io", *words, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and await child.stdout.readline()
        export = Export(volume=volume, number=1, reader=A)
        with pytest.raises(Conflict, match="another process"):
            await store.export(export)
        assert await store.exports() == () and bench.daemons() == {}
    finally:
        child.kill()
        await child.wait()
    await store.export(export)


# --- what a crash leaves ---------------------------------------------------------------------------------------------


async def test_what_is_half_made_is_seen_and_made_again_or_deleted(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments
) -> None:
    volume, other, whole = new_id(), new_id(), await made(store)
    await attachments.write(whole, {0: 3})
    await store.close()
    for half in (volume, other):
        (bench.pool / "volumes" / half).mkdir()
        (bench.pool / "volumes" / half / "1.qcow2").write_bytes(b"half a layer")
    (bench.pool / "volumes" / whole / "9.qcow2").write_bytes(b"a layer of no snapshot")
    (bench.pool / "arriving" / volume).write_bytes(b"half an image")
    arriving = (bench.pool / "arriving").resolve()
    tool = await asyncio.create_subprocess_exec("bash", "-c", "exec -a qemu-img sleep 600", cwd=arriving)
    async with asyncio.timeout(60):
        while left(arriving, "qemu-img") != [tool.pid]:  # until it has become the program
            await asyncio.sleep(0.01)
    successor = bench.store()
    assert await successor.volumes() == {volume, other, whole}
    assert list((bench.pool / "arriving").iterdir()) == []
    await successor.make(plan(volume))
    await successor.delete(other)
    await successor.tidy()
    assert await successor.volumes() == {volume, whole}
    assert [path.name for path in layers(bench, whole)] == ["1.qcow2"]
    export = Export(volume=whole, number=90, reader=A)
    assert await bench.read(await successor.export(export), A, {0: 3, FAR: 0})
    await successor.close()
    assert await tool.wait() == -signal.SIGKILL


def slow_tool(folder: Path, verb: str) -> tuple[Path, Path]:
    """A ``qemu-img`` that doesn't end what `verb` begins until a file is there: the tool, and that file."""
    tool, go_on = folder / f"{verb}-slowly", folder / "go-on"
    wait = f"touch {folder}/begun; while [ ! -e {go_on} ]; do sleep 0.05; done"
    tool.write_text(f'#!/bin/sh\nif [ "$1" = {verb} ]; then {wait}; fi\nexec qemu-img "$@"\n')
    tool.chmod(0o755)
    return tool, go_on


async def until_begun(folder: Path) -> None:
    async with asyncio.timeout(60):
        while not (folder / "begun").exists():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_whole", [False, True])
async def test_what_is_being_copied_stays_as_it_is(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path, is_whole: bool
) -> None:
    volume, copy, gone, snapshot = await made(store), new_id(), new_id(), new_id()
    await attachments.write(volume, {0: 1})
    await store.take_snapshot(volume, snapshot)
    served = await attachments.attached(volume)
    await bench.write(served, A, {1: 2})
    await store.take_snapshot(volume, gone)
    await bench.write(served, A, {2: 3})
    await store.delete_snapshot(volume, gone)
    await store.withdraw(volume, served.export.number)
    tool, go_on = slow_tool(tmp_path, "convert")
    slow = bench.store(image_tool=str(tool))
    copying = asyncio.create_task(slow.make_copy(plan(copy), volume, "" if is_whole else snapshot))
    await until_begun(tmp_path)
    before = layers(bench, volume)
    for verb in (slow.delete(volume), slow.delete_snapshot(volume, snapshot), slow.revert(volume, snapshot)):
        with pytest.raises(Conflict, match="being copied"):
            await verb
    await slow.tidy()
    assert layers(bench, volume) == before
    export = Export(volume=volume, number=90, reader=A)
    if is_whole:
        with pytest.raises(Conflict, match="being copied"):
            await slow.export(export)
    else:
        again = await slow.export(export)
        await bench.write(again, A, {0: 9})
        await slow.withdraw(volume, 90)
    go_on.touch()
    await copying
    await slow.delete_snapshot(volume, snapshot)
    assert len(layers(bench, volume)) == 1
    assert await bench.read(await slow.export(export), A, {0: 1 if is_whole else 9, 1: 2, 2: 3})
    then = {0: 1, 1: 2, 2: 3} if is_whole else {0: 1, 1: 0, 2: 0}
    assert await bench.read(await slow.export(Export(volume=copy, number=1, reader=B)), B, then)
    await slow.close()


async def test_a_merge_makes_way_and_goes_on_later(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path
) -> None:
    volume, snapshot = await made(store), new_id()
    await attachments.write(volume, {0: 1, 1: 1})
    await store.take_snapshot(volume, snapshot)
    await attachments.write(volume, {0: 2})
    tool, _ = slow_tool(tmp_path, "commit")
    hanging = bench.store(image_tool=str(tool))
    deleting = asyncio.create_task(hanging.delete_snapshot(volume, snapshot))
    await until_begun(tmp_path)
    served = await hanging.export(Export(volume=volume, number=90, reader=A))
    await deleting
    assert (await hanging.look(volume)).snapshots == ()
    assert await bench.read(served, A, {0: 2, 1: 1})
    await hanging.withdraw(volume, 90)
    await hanging.close()
    assert len(layers(bench, volume)) == 2
    await store.tidy()
    assert len(layers(bench, volume)) == 1
    assert await attachments.holds(volume, {0: 2, 1: 1})


# --- calls that are cut off ------------------------------------------------------------------------------------------


@pytest.fixture
def slow_merges(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The daemons' merges take minutes; set when one has begun."""
    begun = asyncio.Event()

    async def begin(daemon: Daemon, job: str, export: Export, chain: Chain, lower: Layer, upper: Layer) -> None:
        names = {"top-node": node_of(chain.volume, upper), "base-node": node_of(chain.volume, lower)}
        options = {"job-id": job, "device": served_node(export, chain), **names, "auto-dismiss": False, "speed": 4096}
        await daemon.monitor.command("block-commit", **options)
        begun.set()

    monkeypatch.setattr(Daemon, "begin_merge", begin)
    return begun


async def with_merge(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, begun: asyncio.Event
) -> tuple[Served, "asyncio.Task[None]"]:
    """An export of a volume of which layers are being merged: the middle one, into the lowest."""
    volume, snapshots = await made(store), [new_id(), new_id()]
    served = await attachments.attached(volume, limits=Limits(iops_max=100_000))
    for value, snapshot in enumerate(snapshots, 1):
        await bench.write(served, A, dict.fromkeys(range(16), value))
        await store.take_snapshot(volume, snapshot)
    await bench.write(served, A, {0: 3})
    merging = asyncio.create_task(store.delete_snapshot(volume, snapshots[0]))
    async with asyncio.timeout(60):
        await begun.wait()
    return served, merging


AFTER = {0: 3, 1: 2, 15: 2}


async def test_a_withdrawal_does_not_wait_for_a_merge(
    bench: FilesBench,
    store: FileVolumeStore,
    attachments: Attachments,
    slow_merges: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served, merging = await with_merge(bench, store, attachments, slow_merges)
    volume, (pid,) = served.export.volume, bench.daemons().values()
    await store.take_snapshot(volume, new_id())
    await merging
    assert list(bench.daemons().values()) == [pid]  # it was asked, and had no need to die
    assert await bench.read(served, A, AFTER)
    slow_merges.clear()
    merging = asyncio.create_task(store.tidy())
    await slow_merges.wait()
    await store.withdraw(volume, served.export.number)
    await merging
    with pytest.raises(Refused):
        await bench.write(served, A, {0: 4})
    await store.tidy()
    assert len(layers(bench, volume)) == 3
    assert await attachments.holds(volume, AFTER)


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_merge_that_nobody_waits_for_any_more_is_done_again(
    bench: FilesBench,
    store: FileVolumeStore,
    attachments: Attachments,
    slow_merges: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
    is_restarted: bool,
) -> None:
    served, merging = await with_merge(bench, store, attachments, slow_merges)
    merging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await merging
    monkeypatch.undo()
    if is_restarted:
        await store.close()
    now = bench.store() if is_restarted else store
    assert await now.exports() == (served,)
    assert await bench.read(served, A, AFTER)
    await now.tidy()
    assert len(layers(bench, served.export.volume)) == 2
    assert await bench.read(served, A, AFTER)
    await now.close()


@pytest.mark.parametrize("verb", ["object-add", "blockdev-add", "block-export-add"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_an_export_that_was_cut_off_is_made_whole_by_the_next_call(
    bench: FilesBench,
    store: FileVolumeStore,
    attachments: Attachments,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    is_first: bool,
) -> None:
    kept = [] if is_first else [await attachments.attached(await made(store))]
    volume, command = await made(store), Monitor.command
    reached = asyncio.Event()

    async def hang(monitor: Monitor, name: str, /, **arguments: object) -> object:
        if name == verb:
            reached.set()
            await asyncio.Event().wait()
        return await command(monitor, name, **arguments)

    async def hang_at_start(monitor: Monitor) -> None:
        reached.set()
        await asyncio.Event().wait()

    if is_first:
        monkeypatch.setattr(Monitor, "connect", hang_at_start)
    monkeypatch.setattr(Monitor, "command", hang)
    exporting = asyncio.create_task(attachments.attached(volume))
    await reached.wait()
    exporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exporting
    monkeypatch.undo()
    served = await store.export(Export(volume=volume, number=1 if is_first else 2, reader=A))
    assert set(await store.exports()) == {served, *kept}
    for one in await store.exports():
        await bench.write(one, A, {0: 5})
        assert await bench.read(one, A, {0: 5})


async def test_readers_get_their_volume_back_when_its_growing_was_cut_off(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path
) -> None:
    volume = await made(store)
    served = await attachments.attached(volume)
    await store.close()
    tool, _ = slow_tool(tmp_path, "resize")
    slow = bench.store(image_tool=str(tool))
    async with bench.client(served, A, *writes(200, 7), options=",reconnect-delay=60") as client:
        await until_written(bench, volume, MIB)
        extending = asyncio.create_task(slow.extend(volume, 2 * GIB))
        await until_begun(tmp_path)
        extending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await extending
        said, _ = await client.communicate()
        assert (client.returncode, said) == (0, b"")
    (tmp_path / "go-on").touch()
    await slow.extend(volume, 2 * GIB)
    assert [one.size_bytes for one in await slow.exports()] == [2 * GIB]
    await slow.close()


async def test_a_server_of_which_nothing_can_be_read_does_not_take_the_pool_with_it(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments
) -> None:
    volume = await made(store)
    await attachments.attached(volume, A)
    kept = await attachments.attached(await made(store), B)
    await store.close()
    (bench.pool / "servers" / f"reader-{A}" / "server.json").write_bytes(b"{")
    successor = bench.store()
    assert await successor.exports() == (kept,)
    again = await successor.export(Export(volume=volume, number=2, reader=A))
    assert await bench.read(again, A, {0: 0})
    await successor.close()

"""Volumes on files: what only real servers, real readers and real disks can do wrong."""

import asyncio
import os
import random
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from freehold.drivers.qemu.records import write_whole
from freehold.drivers.volumestore import nbd
from freehold.drivers.volumestore.files import FileVolumeStore
from freehold.vocabulary.attachment import Export, Served
from freehold.vocabulary.errors import Conflict, Forbidden, NoRoom, Unavailable
from freehold.vocabulary.units import GIB, KIB, MIB
from tests.contract.test_volumestore import A, Attachments, B, chunks, made, new_id, plan
from tests.contract.volume_bench import FilesBench, Refused
from tests.drivers.imagestore.crafted import qcow2_with_backing_file

STEP, SMALL = 64 * KIB, 4 * KIB


def layers(bench: FilesBench, volume: str) -> list[Path]:
    return sorted((bench.pool / "volumes" / volume).glob("*.qcow2"))


def writes(count: int, value: int, size_bytes: int = STEP) -> list[str]:
    """One after the other, each when the one before was done."""
    return [f"write -q -P {value} {place * size_bytes} {size_bytes}" for place in range(count)]


async def content(bench: FilesBench, served: Served, host: str, folder: Path) -> bytes:
    """What a reader finds in the first 64 MiB, up to where nothing was written."""
    target = folder / "content.raw"
    source = (
        f"driver=nbd,server.type=inet,server.host={served.host},server.port={served.port},export={served.name},"
        f"tls-creds=tls,tls-hostname={served.server_name}"
    )
    credentials = Path(bench.credentials(host).key).parent
    tls = f"tls-creds-x509,id=tls,endpoint=client,dir={credentials}"
    words = ["convert", "--object", tls, "--image-opts", source, "-O", "raw", str(target)]
    child = await asyncio.create_subprocess_exec("qemu-img", *words)
    assert await child.wait() == 0
    with target.open("rb") as file:
        return file.read(64 * MIB).rstrip(b"\0")


async def until_written(bench: FilesBench, volume: str, least_bytes: int) -> None:
    """Until so much has arrived in the volume's files."""
    async with asyncio.timeout(60):
        while sum(path.stat().st_blocks * 512 for path in layers(bench, volume)) < least_bytes:
            await asyncio.sleep(0.005)


# --- who may come in -------------------------------------------------------------------------------------------------


async def test_a_reader_without_tls_is_refused(store: FileVolumeStore, attachments: Attachments) -> None:
    served = await attachments.attached(await made(store))
    image = f"nbd://{served.host}:{served.port}/{served.name}"
    child = await asyncio.create_subprocess_exec(
        "qemu-io", "-f", "raw", "-c", "read 0 512", image, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await child.communicate()
    assert child.returncode and b"TLS" in said


async def test_a_certificate_of_another_pool_is_worth_nothing(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path
) -> None:
    served = await attachments.attached(await made(store))
    stranger = FilesBench(tmp_path / "elsewhere")
    other = stranger.store()
    await stranger.host(other, A)
    for authority in ("own", "the pool's"):
        if authority == "the pool's":  # it knows the server, and isn't known to it
            authority_pem = Path(bench.credentials(A).authority).read_bytes()
            write_whole(Path(stranger.credentials(A).authority), authority_pem)
        with pytest.raises(Refused):
            await stranger.read(served, A, {0: 0})
    await other.close()


async def test_a_host_knows_that_it_got_what_it_was_promised(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments
) -> None:
    volume = await made(store)
    served = await attachments.attached(volume)
    mine = bench.credentials(A)
    await nbd.check(served, mine)
    for wrong in ({"size_bytes": 2 * GIB}, {"description": "another"}, {"name": f"{volume}.2"}):
        with pytest.raises(Conflict):
            await nbd.check(msgspec.structs.replace(served, **wrong), mine)
    with pytest.raises(Conflict, match="writable"):
        await nbd.check(
            msgspec.structs.replace(served, export=msgspec.structs.replace(served.export, writable=False)), mine
        )
    with pytest.raises(Forbidden):
        await nbd.check(served, bench.credentials(B))
    with pytest.raises(Forbidden, match="isn't pool-other"):
        await nbd.check(msgspec.structs.replace(served, server_name="pool-other"), mine)
    await store.withdraw(volume, 1)
    with pytest.raises(Unavailable):
        await nbd.check(served, mine)


async def test_a_reader_can_not_stand_for_a_server(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments
) -> None:
    served = await attachments.attached(await made(store))
    for name in (A, B):
        with pytest.raises(Forbidden):
            await nbd.check(msgspec.structs.replace(served, server_name=name), bench.credentials(A))


async def test_keys_are_for_the_pool_alone(bench: FilesBench, store: FileVolumeStore) -> None:
    await store.pool()
    keys = list(bench.pool.rglob("*key.pem"))
    assert len(keys) == 2
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in keys} == {0o700}


# --- the end of an export --------------------------------------------------------------------------------------------


async def test_nothing_that_a_reader_sends_after_the_withdrawal_has_an_effect(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path
) -> None:
    volume, other = await made(store), await made(store)
    kept, served = await attachments.attached(other), await attachments.attached(volume)
    async with bench.client(served, A, *writes(2000, 7, SMALL)) as client:
        await until_written(bench, volume, MIB)
        os.kill(client.pid, signal.SIGSTOP)  # it hangs, with a request on its way
        await store.withdraw(volume, served.export.number)
        again = await attachments.attached(volume, B)
        found = await content(bench, again, B, tmp_path)
        os.kill(client.pid, signal.SIGCONT)
        said, _ = await client.communicate()
        assert client.returncode and b"failed" in said
    assert 0 < len(found) < 2000 * SMALL and set(found) == {7}
    assert await content(bench, again, B, tmp_path) == found
    assert await bench.read(kept, A, {0: 0})


async def test_a_reader_among_several_is_cut_off_wherever_it_came_in(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments
) -> None:
    volume = await made(store)
    kept = await attachments.attached(volume, A, multi_attach=True)
    served = await attachments.attached(volume, B, multi_attach=True)
    async with (
        bench.client(kept, B, *writes(2000, 7, SMALL)) as intruder,
        bench.client(kept, A, *writes(300, 8, SMALL), options=",reconnect-delay=60") as reader,
    ):
        await until_written(bench, volume, MIB)
        await store.withdraw(volume, served.export.number)
        said, _ = await intruder.communicate()
        assert intruder.returncode and b"failed" in said
        said, _ = await reader.communicate()
        assert (reader.returncode, said) == (0, b"")
    for export in (kept, served):
        with pytest.raises(Refused):
            await bench.read(export, B, {0: 8})


@pytest.mark.parametrize("has_others", [False, True])
async def test_a_server_that_hangs_is_ended_rather_than_believed(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, has_others: bool
) -> None:
    volume = await made(store)
    others = [await attachments.attached(await made(store))] if has_others else []
    served = await attachments.attached(volume)
    (pid,) = bench.daemons().values()
    os.kill(pid, signal.SIGSTOP)
    await store.withdraw(volume, served.export.number)
    assert pid not in bench.daemons().values()
    assert list(await store.exports()) == others
    for other in others:
        assert await bench.read(other, A, {0: 0})


# --- what is written -------------------------------------------------------------------------------------------------


async def test_a_snapshot_under_a_writer_is_of_one_moment(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path
) -> None:
    """The writer writes one block after the other, so that what it had written at any moment has no gap."""
    volume, snapshots = await made(store), [new_id() for _ in range(3)]
    served = await attachments.attached(volume)
    async with bench.client(served, A, *writes(1500, 7, SMALL)) as client:
        for snapshot in snapshots:
            await until_written(bench, volume, sum(path.stat().st_blocks * 512 for path in layers(bench, volume)) + MIB)
            await store.take_snapshot(volume, snapshot)
        said, _ = await client.communicate()
        assert (client.returncode, said) == (0, b"")
    lengths = []
    for snapshot in snapshots:
        copy = new_id()
        await store.make_copy(plan(copy), volume, snapshot)
        found = await content(bench, await attachments.attached(copy, B), B, tmp_path)
        assert set(found) == {7} and len(found) % SMALL == 0
        lengths.append(len(found))
    assert 0 < lengths[0] < lengths[1] < lengths[2] < 1500 * SMALL
    await store.delete_snapshot(volume, snapshots[0])
    await store.delete_snapshot(volume, snapshots[1])
    assert len(layers(bench, volume)) == 2  # merged while it is exported
    assert await content(bench, served, A, tmp_path) == b"\x07" * 1500 * SMALL


async def test_a_writer_only_pauses_while_its_volume_grows(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path
) -> None:
    volume = await made(store)
    served = await attachments.attached(volume)
    async with bench.client(served, A, *writes(600, 7), options=",reconnect-delay=60") as client:
        for size_gib in (2, 3):
            await until_written(bench, volume, size_gib * 4 * MIB)
            await store.extend(volume, size_gib * GIB)
        said, _ = await client.communicate()
        assert (client.returncode, said) == (0, b"")
    (larger,) = await store.exports()
    assert larger.size_bytes == 3 * GIB
    assert await content(bench, larger, A, tmp_path) == b"\x07" * 600 * STEP


async def test_a_header_that_a_guest_writes_is_bytes_like_others(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path
) -> None:
    header = tmp_path / "header"
    header.write_bytes(qcow2_with_backing_file(b"/etc/passwd")[:SMALL])
    volume, copy, snapshot = await made(store), new_id(), new_id()
    served = await attachments.attached(volume)
    assert await bench.run(served, A, f"write -q -s {header} 0 {SMALL}") == (0, "")
    await store.take_snapshot(volume, snapshot)
    await store.make_copy(plan(copy), volume, snapshot)
    await store.withdraw(volume, served.export.number)
    await store.extend(volume, 2 * GIB)
    await store.delete_snapshot(volume, snapshot)
    for one in (volume, copy):
        again = await attachments.attached(one, B)
        assert again.size_bytes == (2 if one == volume else 1) * GIB
        assert await content(bench, again, B, tmp_path) == header.read_bytes().rstrip(b"\0")


async def test_a_qcow2_image_is_copied_whole(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments, tmp_path: Path
) -> None:
    raw, image, volume = tmp_path / "image.raw", tmp_path / "image.qcow2", new_id()
    raw.write_bytes(random.Random(1).randbytes(3 * MIB) + b"the end")
    subprocess.run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    await store.make_from_image(plan(volume), "qcow2", chunks(image.read_bytes()))
    assert await content(bench, await attachments.attached(volume), A, tmp_path) == raw.read_bytes()
    assert list((bench.pool / "arriving").iterdir()) == []


async def test_a_disk_that_is_full_is_no_room(bench: FilesBench, tmp_path: Path) -> None:
    small = FilesBench(tmp_path / "small")
    small.pool.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", small.pool], check=True)
    try:
        store = small.store()
        await small.host(store, A)
        volume = await made(store)
        for size in (40 * MIB, 10 * MIB):  # too large to arrive, and too large to be copied beside what has arrived
            with pytest.raises(NoRoom):
                await store.make_from_image(plan(new_id()), "raw", chunks(b"\x07" * size))
            assert await store.volumes() == {volume}
        served = await store.export(Export(volume=volume, number=1, reader=A))
        status, said = await small.run(served, A, *writes(400, 7))
        assert status and "No space left" in said
        with pytest.raises(NoRoom):
            await store.take_snapshot(volume, new_id())
        assert (await store.look(volume)).snapshots == ()
        await store.withdraw(volume, 1)
        await store.delete(volume)
        await store.make_from_image(plan(volume), "raw", chunks(b"\x07" * 6 * MIB))
        await store.close()
    finally:
        await small.clean()
        subprocess.run(["umount", small.pool], check=True)


async def test_what_a_guest_discards_is_given_back(
    bench: FilesBench, store: FileVolumeStore, attachments: Attachments
) -> None:
    volume = await made(store)
    served = await attachments.attached(volume)
    await bench.write(served, A, dict.fromkeys(range(128), 7))
    before = (await store.look(volume)).used_bytes
    status, said = await bench.run(served, A, f"discard 0 {8 * MIB}")
    assert (status, "discard" in said) == (0, True)
    assert before > 8 * MIB > (await store.look(volume)).used_bytes
    assert await bench.read(served, A, {0: 0, 127: 0})

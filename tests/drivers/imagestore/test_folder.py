"""What a folder of images does when the disk or the process lets it down."""

import errno
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from freehold.drivers.imagestore.folder import FolderImageStore
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import Broken, NoRoom
from freehold.vocabulary.units import MIB

IMAGE = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def offload() -> Iterator[ThreadOffload]:
    offload = ThreadOffload(threads=2)
    yield offload
    offload.close()


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_half_written_bytes_of_a_dead_process_are_listed_and_deleted(
    tmp_path: Path, offload: ThreadOffload
) -> None:
    (tmp_path / f"{IMAGE}.0.part").write_bytes(b"half")
    (tmp_path / "lost+found").mkdir()
    images = FolderImageStore(tmp_path, offload)
    assert await images.images() == {IMAGE}
    await images.delete(IMAGE)
    assert [path.name for path in tmp_path.iterdir()] == ["lost+found"]


async def test_deleting_leaves_the_write_that_goes_on(tmp_path: Path, offload: ThreadOffload) -> None:
    images = FolderImageStore(tmp_path, offload)

    async def deleting_meanwhile() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        await images.delete(IMAGE)
        yield b"y"

    await images.write(IMAGE, deleting_meanwhile(), 2 * MIB)
    assert await images.size_bytes(IMAGE) == MIB + 1


@pytest.mark.parametrize(("code", "raised"), [(errno.ENOSPC, NoRoom), (errno.EDQUOT, NoRoom), (errno.EIO, Broken)])
async def test_a_disk_that_refuses_leaves_nothing(
    tmp_path: Path, offload: ThreadOffload, monkeypatch: pytest.MonkeyPatch, code: int, raised: type[Exception]
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("freehold.drivers.imagestore.receiving.os.fsync", refuse)
    with pytest.raises(raised):
        await FolderImageStore(tmp_path, offload).write(IMAGE, chunks(b"x" * MIB), 2 * MIB)
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_is_none_is_a_finished_sentence(offload: ThreadOffload) -> None:
    images = FolderImageStore(Path("/dev/null"), offload)
    with pytest.raises(Broken, match="Look at the disk"):
        await images.write(IMAGE, chunks(b"x"), 10)


async def test_a_file_that_shrinks_under_its_reader_is_an_error(tmp_path: Path, offload: ThreadOffload) -> None:
    images = FolderImageStore(tmp_path, offload)
    await images.write(IMAGE, chunks(b"x" * (3 * MIB)), 4 * MIB)
    reader = images.read(IMAGE)
    await anext(reader)
    os.truncate(tmp_path / IMAGE, MIB)
    with pytest.raises(Broken, match="shorter"):
        async for _ in reader:
            pass


async def test_others_can_not_read_the_folder(tmp_path: Path, offload: ThreadOffload) -> None:
    folder = tmp_path / "images"
    await FolderImageStore(folder, offload).write(IMAGE, chunks(b"x"), 10)
    assert folder.stat().st_mode & 0o077 == 0

"""Backups in a folder: what lies on the disk."""

import subprocess
import sys
from pathlib import Path

import pytest

from freehold.drivers.backup.folder import FolderBackups
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import Broken, Conflict, NoRoom

STORE = "11111111-2222-4333-8444-555555555555"

HOLD_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from freehold.drivers.backup.folder import FolderBackups
from freehold.runtime.tasks import offload_inline

async def main():
    backups = FolderBackups(Path(sys.argv[1]), offload_inline)
    await backups.hold(sys.argv[2])
    print("held", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


@pytest.fixture
def backups(tmp_path: Path) -> FolderBackups:
    return FolderBackups(tmp_path / "backup", offload_inline)


async def test_nobody_else_may_read_it(backups: FolderBackups, tmp_path: Path) -> None:
    await backups.hold(STORE)
    await backups.write(STORE, 1, b"hash of a password")
    await backups.close()
    for path in [tmp_path / "backup", *(tmp_path / "backup").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


async def test_a_write_that_was_cut_off_is_no_segment_and_is_cleared_away(
    backups: FolderBackups, tmp_path: Path
) -> None:
    await backups.hold(STORE)
    await backups.close()
    part = tmp_path / "backup" / STORE / "000000000001.part"
    part.write_bytes(b"half")
    assert await backups.numbers(STORE) == [] and await backups.stores() == []
    await backups.hold(STORE)
    assert not part.exists()
    await backups.write(STORE, 1, b"whole")
    await backups.close()


async def test_what_else_lies_there_is_left_alone(backups: FolderBackups, tmp_path: Path) -> None:
    await backups.hold(STORE)
    await backups.write(STORE, 1, b"x")
    folder = tmp_path / "backup"
    (folder / "notes.txt").write_text("of a person")
    (folder / STORE / "1.segment").write_text("copied by a person")
    (folder / STORE / "x.segment").write_text("")
    assert await backups.stores() == [STORE] and await backups.numbers(STORE) == [1]
    await backups.close()


async def test_a_process_that_is_killed_lets_go(backups: FolderBackups, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD_UNTIL_KILLED, str(tmp_path / "backup"), STORE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(Conflict):
            await backups.hold(STORE)
        other.kill()
    await backups.hold(STORE)
    await backups.close()


async def test_a_disk_that_refuses_is_said_and_leaves_nothing(
    backups: FolderBackups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backups.hold(STORE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(NoRoom, match="full"):
            await backups.write(STORE, 1, b"x")
    assert sorted(path.name for path in (tmp_path / "backup" / STORE).iterdir()) == ["lock"]
    await backups.write(STORE, 1, b"x")
    await backups.close()


async def test_a_place_that_is_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Broken, match="can't be used"):
        await FolderBackups(tmp_path / "file", offload_inline).hold(STORE)

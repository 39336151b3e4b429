"""What becomes of the tools that are run."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from freehold.drivers.qemu.tool import end_left, left, run, trouble
from freehold.vocabulary.errors import Broken, NoRoom


def script(folder: Path, text: str) -> str:
    tool = folder / "tool"
    tool.write_text(f"#!/bin/sh\n{text}\n")
    tool.chmod(0o755)
    return str(tool)


async def test_it_gives_what_the_tool_prints(tmp_path: Path) -> None:
    assert await run(script(tmp_path, 'echo "$1"'), "said", what="A thing") == b"said\n"


async def test_the_tool_sees_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "told")
    assert b"told" not in await run(script(tmp_path, "env"), what="A thing")


async def test_the_tool_has_bounds(tmp_path: Path) -> None:
    limits = (await run(script(tmp_path, "ulimit -v; ulimit -c"), what="A thing")).split()
    assert limits == [b"4194304", b"0"]


@pytest.mark.parametrize(
    ("complaint", "error"),
    [("Could not write: No space left on device", NoRoom), ("Permission denied", Broken), ("", Broken)],
)
async def test_a_complaint_is_told(tmp_path: Path, complaint: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="full" if error is NoRoom else complaint or "it said nothing"):
        await run(script(tmp_path, f'echo "{complaint}" >&2; exit 1'), what="A thing")


async def test_a_tool_that_is_missing_is_named() -> None:
    with pytest.raises(Broken, match="no-such-tool"):
        await run("no-such-tool", what="A thing")


async def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="didn't finish"):
        await run(script(tmp_path, "exec sleep 60"), what="A thing", patience_s=0.1, folder=tmp_path)
    assert left(tmp_path, "sleep") == []


async def test_one_that_is_left_in_a_folder_is_found_and_ended(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec("sleep", "60", cwd=tmp_path)
    elsewhere = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        while left(tmp_path, "sleep") != [child.pid]:  # until it has become the program
            await asyncio.sleep(0.01)
        end_left(tmp_path, "other")
        assert left(tmp_path, "sleep") == [child.pid]
        end_left(tmp_path, "sleep")
        assert await child.wait() < 0
        assert elsewhere.returncode is None
    finally:
        elsewhere.kill()
        await elsewhere.wait()


def test_a_full_disk_is_no_room() -> None:
    assert isinstance(trouble("The disk", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))), NoRoom)
    assert isinstance(trouble("The disk", OSError(errno.EIO, os.strerror(errno.EIO))), Broken)

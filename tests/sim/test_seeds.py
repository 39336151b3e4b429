"""Seeds on several processors: what is left of them when who plays them is killed."""

import asyncio
import signal
import sys
from pathlib import Path

PATIENCE_S = 60.0


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, and that run."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_nothing_is_left_of_a_run_that_is_killed() -> None:
    command = ("-m", "freehold.sim", "--seeds", "0", "--faults", "1000000000", "--processes", "2")
    played = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    assert played.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while b"seeds" not in await played.stdout.readline():
                pass  # until the first was played: the pool is there
            children = children_of(played.pid)
            played.send_signal(signal.SIGKILL)
            await played.wait()
            assert len(children) >= 2
            while any(runs(child) for child in children):
                await asyncio.sleep(0.05)
    finally:
        if played.returncode is None:
            played.kill()

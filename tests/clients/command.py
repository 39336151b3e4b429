"""The real `openstack` command, run by a script against a whole cloud."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.scenarios.cloud import Cloud

OPENSTACK = Path(sys.executable).with_name("openstack")
WITHIN_S = 600
"""Two dozen commands of a second of CPU each, on a machine that does other things as well."""

needs_command = [
    pytest.mark.timeout(WITHIN_S + 60),
    pytest.mark.skipif(not OPENSTACK.exists(), reason="the openstack command isn't installed beside this Python"),
]


async def run(cloud: Cloud, script: str, said: Path, *arguments: str) -> int:
    """The exit code of a script of this folder; `said` has all that it said, however it ended."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    environment |= {
        "OS_CLOUD": "freehold",
        "OS_CLIENT_CONFIG_FILE": str(cloud.state / "clouds.yaml"),
        "PATH": f"{OPENSTACK.parent}{os.pathsep}{os.environ['PATH']}",
    }
    with said.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(__file__).with_name(script)), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            start_new_session=True,
        )
    try:
        return await asyncio.wait_for(process.wait(), WITHIN_S)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise AssertionError(f"not done within {WITHIN_S} s: {said.read_text()}") from None

"""The real `openstack` command, from a whole cloud's point of view: an everyday script of it, over simulated hosts."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from freehold.vocabulary.guest import Guest
from freehold.vocabulary.image import Image
from freehold.vocabulary.network import Network, Port
from freehold.vocabulary.request import Admission
from tests.scenarios.cloud import MIB, Cloud, simulated

SCRIPT = Path(__file__).with_name("everyday.sh")
OPENSTACK = Path(sys.executable).with_name("openstack")
WITHIN_S = 600
"""Two dozen commands of a second of CPU each, on a machine that does other things as well."""

pytestmark = [
    pytest.mark.timeout(WITHIN_S + 60),
    pytest.mark.skipif(not OPENSTACK.exists(), reason="the openstack command isn't installed beside this Python"),
]


async def run(cloud: Cloud, image: Path, said: Path) -> int:
    """The script's exit code; `said` has all that it said, however it ended."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    environment |= {
        "OS_CLOUD": "freehold",
        "OS_CLIENT_CONFIG_FILE": str(cloud.state / "clouds.yaml"),
        "PATH": f"{OPENSTACK.parent}{os.pathsep}{os.environ['PATH']}",
    }
    with said.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(str(SCRIPT), str(image), "10.77.0.0/24"),
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


async def test_a_day_with_the_openstack_command(tmp_path: Path) -> None:
    image, said = tmp_path / "image.raw", tmp_path / "said"
    image.write_bytes(bytes(MIB))
    async with simulated(tmp_path, hosts=1) as cloud:
        code = await run(cloud, image, said)
        assert code == 0, said.read_text() + cloud.last_lines()
        assert said.read_text().endswith("did: deleted it all\n")
        assert not cloud.host_rows(Guest) and not cloud.rows("registrar", Admission)
        assert not cloud.rows("image", Image) and not cloud.rows("network", Port)
        assert {network.name for network in cloud.rows("network", Network)} == {"default"}

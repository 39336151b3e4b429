"""The real `openstack` command, from a whole cloud's point of view: an everyday script of it, over simulated hosts."""

from pathlib import Path

from freehold.vocabulary.guest import Guest
from freehold.vocabulary.image import Image
from freehold.vocabulary.network import Network, Port
from freehold.vocabulary.request import Admission
from tests.clients.command import needs_command, run
from tests.scenarios.cloud import MIB, simulated

pytestmark = needs_command


async def test_a_day_with_the_openstack_command(tmp_path: Path) -> None:
    image, said = tmp_path / "image.raw", tmp_path / "said"
    image.write_bytes(bytes(MIB))
    async with simulated(tmp_path, hosts=1) as cloud:
        code = await run(cloud, "everyday.sh", said, str(image), "10.77.0.0/24")
        assert code == 0, said.read_text() + cloud.last_lines()
        assert said.read_text().endswith("did: deleted it all\n")
        assert not cloud.host_rows(Guest) and not cloud.rows("registrar", Admission)
        assert not cloud.rows("image", Image) and not cloud.rows("network", Port)
        assert {network.name for network in cloud.rows("network", Network)} == {"default"}

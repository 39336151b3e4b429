"""The `openstack` command in the hands of people who have volumes."""

from pathlib import Path

from freehold.vocabulary.volume import Snapshot, Volume
from freehold.vocabulary.volume_request import VolumeAdmission
from tests.clients.command import needs_command, run
from tests.scenarios.cloud import simulated

pytestmark = needs_command


async def test_volumes_are_made_kept_extended_and_deleted(tmp_path: Path) -> None:
    said = tmp_path / "said"
    async with simulated(tmp_path, hosts=1) as cloud:
        code = await run(cloud, "volumes.sh", said)
        assert code == 0, said.read_text() + cloud.last_lines()
        assert said.read_text().endswith("did: deleted it all\n")
        assert not cloud.rows("volume", Volume) and not cloud.rows("volume", Snapshot)
        assert not cloud.rows("registrar", VolumeAdmission)


async def test_servers_are_given_volumes_and_boot_from_them(tmp_path: Path) -> None:
    said, image = tmp_path / "said", tmp_path / "image.raw"
    image.write_bytes(bytes(1 << 20))
    async with simulated(tmp_path, hosts=1) as cloud:
        code = await run(cloud, "server_volumes.sh", said, str(image), "10.77.0.0/24")
        assert code == 0, said.read_text() + cloud.last_lines()
        assert said.read_text().endswith("did: deleted it all\n")
        assert not cloud.rows("volume", Volume) and not cloud.rows("registrar", VolumeAdmission)

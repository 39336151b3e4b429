"""The `openstack` command in the hands of people who share images."""

from pathlib import Path

from freehold.vocabulary.image import Image, ImageMember
from tests.clients.command import needs_command, run
from tests.scenarios.cloud import MIB, simulated

pytestmark = needs_command


async def test_an_image_is_shared_with_another_project(tmp_path: Path) -> None:
    image, said = tmp_path / "image.raw", tmp_path / "said"
    image.write_bytes(bytes(MIB))
    async with simulated(tmp_path, hosts=1) as cloud:
        code = await run(cloud, "sharing.sh", said, str(image))
        assert code == 0, said.read_text() + cloud.last_lines()
        assert said.read_text().endswith("did: deleted it all\n")
        assert not cloud.rows("image", Image) and not cloud.rows("image", ImageMember)

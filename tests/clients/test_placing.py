"""The `openstack` command in the hands of an operator who says where guests go: traits and host aggregates."""

from pathlib import Path

from freehold.vocabulary.aggregate import Aggregate, AggregateHost
from freehold.vocabulary.guest import Guest
from tests.clients.command import needs_command, run
from tests.scenarios.cloud import MIB, simulated

pytestmark = needs_command


async def test_an_operator_says_where_guests_go(tmp_path: Path) -> None:
    image, said = tmp_path / "image.raw", tmp_path / "said"
    image.write_bytes(bytes(MIB))
    settings = {"traits": ["CUSTOM_RACK_7"], "simulated_traits": {"HW_CPU_X86_AVX2": 1}}
    async with simulated(tmp_path, hosts=2, **settings) as cloud:
        code = await run(cloud, "placing.sh", said, str(image))
        assert code == 0, said.read_text() + cloud.last_lines()
        assert said.read_text().endswith("did: deleted it all\n")
        assert not cloud.host_rows(Guest)
        assert not cloud.rows("registrar", Aggregate) and not cloud.rows("registrar", AggregateHost)

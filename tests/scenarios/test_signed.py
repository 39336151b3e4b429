"""A whole cloud in which everybody signs what he says, and nobody says what his role doesn't have."""

from pathlib import Path

from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.request import Admission
from tests.several import SERVERS, Several, eventually, several, well


async def test_everything_that_a_cloud_does_is_allowed_to_who_does_it(tmp_path: Path) -> None:
    async with several(tmp_path, signed=True) as cloud:
        person = await cloud.newcomer()
        first, second = person.api(0), person.api(1)
        guests = [str(well(await first.post(SERVERS, cloud.server(f"vm-{n}")))["server"]["id"]) for n in range(4)]
        await eventually(lambda: all_run(cloud, 4))
        for action in ({"reboot": {"type": "HARD"}}, {"os-getConsoleOutput": {}}):
            well(await second.post(f"{SERVERS}/{guests[0]}/action", action))
        well(await second.ask("PUT", f"{SERVERS}/{guests[1]}", {"server": {"name": "renamed"}}))
        well(await first.ask("DELETE", f"{SERVERS}/{guests[2]}"))
        await eventually(lambda: gone(cloud, guests[2]))
        assert len(well(await second.get(f"{SERVERS}?changes-since=2026-01-01T00:00:00Z"))["servers"]) == 4
        story = well(await cloud.admin.api(0).get(f"/freehold/v1/stories/{guests[0]}"))["story"]
        assert {line["owner"].split()[0] for line in story} >= {"registrar", "host"}
        image = await cloud.new_image()
        await cloud.ask("DELETE", f"/image/v2/images/{image}")
        assert [dict(bus.refused) for bus in cloud.buses] == [{}] * len(cloud.buses)


async def all_run(cloud: Several, count: int) -> bool:
    return sum(guest.state is GuestState.RUNNING for guest in cloud.rows(Guest)) == count


async def gone(cloud: Several, guest: str) -> bool:
    return guest not in {admission.guest for admission in cloud.rows(Admission)}

"""Views hold nothing of their own: a cloud without them answers as before."""

import shutil
from pathlib import Path

import pytest

from tests.scenarios.cloud import Cloud, simulated

LISTS = ("/compute/v2.1/servers/detail", "/compute/v2.1/servers/detail?all_tenants=1", "/image/v2/images")


@pytest.mark.timeout(180)
async def test_answers_are_the_same_after_the_view_was_deleted(tmp_path: Path) -> None:
    async with simulated(tmp_path) as cloud:
        await furnish(cloud)
        before = [await bytes_of(cloud, path) for path in LISTS]
        assert await cloud.stop() == 0
        shutil.rmtree(cloud.state / "view")
        await cloud.start()
        assert [await bytes_of(cloud, path) for path in LISTS] == before
        assert (cloud.state / "view").is_dir()


@pytest.mark.timeout(180)
async def test_a_damaged_view_is_built_again(tmp_path: Path) -> None:
    async with simulated(tmp_path) as cloud:
        await furnish(cloud)
        before = [await bytes_of(cloud, path) for path in LISTS]
        await cloud.kill()
        for file in (cloud.state / "view").iterdir():
            file.write_bytes(b"\xff" * 8192)
        await cloud.start()
        assert [await bytes_of(cloud, path) for path in LISTS] == before


async def furnish(cloud: Cloud) -> None:
    """Guests of two projects in several states, and two images."""
    image, network = await cloud.new_image(), await cloud.network()
    await cloud.new_image(b"\x01" * 4096, "another")
    someone = await cloud.newcomer("maria")
    guests = [
        await cloud.created(f"guest-{number}", image, network, metadata={"n": str(number)}) for number in range(4)
    ]
    theirs = await cloud.created("theirs", image, network, token=someone)
    for guest in (*guests, theirs):
        await cloud.becomes(guest, "ACTIVE")
    assert (await cloud.act(guests[0], "os-stop")).status == 202
    await cloud.becomes(guests[0], "SHUTOFF")
    await cloud.well("DELETE", f"/compute/v2.1/servers/{guests[1]}")
    await cloud.goes(guests[1])


async def bytes_of(cloud: Cloud, path: str) -> bytes:
    reply = await cloud.call("GET", path)
    assert reply.status == 200
    assert len(reply.json[path.partition("?")[0].rsplit("/", 1)[-1].replace("detail", "servers")]) >= 2
    return reply.body

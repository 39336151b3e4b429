"""Several of each at once: API processes, schedulers, image workers, registrar shards."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from freehold.vocabulary.guest import Guest
from freehold.vocabulary.request import Admission
from tests.scenarios.cloud import Cloud, simulated
from tests.scenarios.read_your_writes import play
from tests.several import SERVERS, Person, Several, eventually, several, well

GUEST_MIB = 128
"""What a guest of flavor 1 takes."""
ROUNDS = 40
GROUPS_AT_ONCE = 10


async def test_what_one_api_process_took_the_other_shows(tmp_path: Path) -> None:
    async with several(tmp_path) as cloud:
        assert await play(cloud, 200) == Counter()


async def test_a_project_is_in_its_shard_and_the_admin_sees_all(tmp_path: Path) -> None:
    async with several(tmp_path, shards=3) as cloud:
        people = [await cloud.newcomer(shard, instances=2) for shard in range(3)]
        guests = [await created(cloud, person, turn) for turn, person in enumerate(people)]
        for shard, (person, guest) in enumerate(zip(people, guests, strict=True)):
            store = cloud.stores[f"registrar-{shard}"]
            assert [admission.guest for admission in store.scan(Admission)] == [guest]
            quota = well(await person.api(1).get(f"/compute/v2.1/os-quota-sets/{person.project}"))["quota_set"]
            assert quota["instances"] == 2
            assert [server["id"] for server in await servers(person, 1)] == [guest]
        everything = well(await cloud.admin.api(1).get(f"{SERVERS}?all_tenants=1"))["servers"]
        assert sorted(server["id"] for server in everything) == sorted(guests)
        assert well(await cloud.admin.api(0).get(f"{SERVERS}/{guests[2]}"))["server"]["id"] == guests[2]
        assert (await people[0].api(0).get(f"{SERVERS}/{guests[2]}")).status == 404


async def test_a_quota_holds_in_every_shard(tmp_path: Path) -> None:
    async with several(tmp_path) as cloud:
        for shard in range(2):
            person = await cloud.newcomer(shard, instances=3)
            asked = [person.api(n).post(SERVERS, cloud.server(f"g{n}")) for n in range(6)]
            assert Counter([reply.status for reply in await asyncio.gather(*asked)]) == {202: 3, 403: 3}


async def test_a_project_goes_when_its_shard_has_no_guests_of_it(tmp_path: Path) -> None:
    async with several(tmp_path) as cloud:
        person = await cloud.newcomer(1)
        well(await person.api(0).post("/compute/v2.1/os-server-groups", group_body("affinity")))
        guest = await created(cloud, person, 0)
        path = f"/identity/v3/projects/{person.project}"
        assert (await cloud.admin.api(0).delete(path)).status == 409
        assert (await person.api(0).delete(f"{SERVERS}/{guest}")).status == 204
        await eventually(lambda: gone(person, guest))
        assert (await cloud.admin.api(1).delete(path)).status == 204
        assert not [row for row in cloud.rows(Admission) if row.project == person.project]
        kinds = {row.kind for row in cloud.stores["registrar-1"].complete(("", ""), 10_000).rows}
        assert "server_group" not in kinds


async def test_a_shard_that_is_down_holds_up_no_other(tmp_path: Path) -> None:
    async with several(tmp_path) as cloud:
        up, down = await cloud.newcomer(0), await cloud.newcomer(1)
        await created(cloud, down, 0)
        await cloud.registrars[1].close()
        guest = await created(cloud, up, 0)
        assert [server["id"] for server in await servers(up, 1)] == [guest]
        assert (await down.api(0).post(SERVERS, cloud.server("g"))).status == 503
        assert (await down.api(0).get(SERVERS)).status == 503, "a list that may lack something isn't given"
        assert (await cloud.admin.api(0).get(f"{SERVERS}?all_tenants=1")).status == 503


# --- schedulers --------------------------------------------------------------------------------------------------


async def test_of_two_schedulers_racing_for_the_last_room_one_gets_it(tmp_path: Path) -> None:
    """Each host has room for one guest, and there is one guest more than hosts."""
    async with several(tmp_path, hosts=2, ram_mib=GUEST_MIB) as cloud:
        person = await cloud.newcomer(1)
        for _ in range(ROUNDS):
            made = await asyncio.gather(*(created(cloud, person, turn) for turn in range(3)))
            shown = {guest: await settled(person, guest) for guest in made}
            assert Counter(server["status"] for server in shown.values()) == {"ACTIVE": 2, "ERROR": 1}
            failed = next(server for server in shown.values() if server["status"] == "ERROR")
            assert "No valid host was found" in failed["fault"]["message"]
            guests = cloud.rows(Guest)
            assert len(guests) == 2 and len({guest.host for guest in guests}) == 2
            await deleted(person, *made)


async def test_a_host_with_room_for_one_takes_one_and_the_other_goes_elsewhere(tmp_path: Path) -> None:
    async with several(tmp_path, hosts=2, ram_mib=GUEST_MIB) as cloud:
        person, tries = await cloud.newcomer(0), 0
        for _ in range(ROUNDS):
            made = await asyncio.gather(*(created(cloud, person, turn) for turn in range(2)))
            for guest in made:
                assert (await settled(person, guest))["status"] == "ACTIVE"
            assert len({guest.host for guest in cloud.rows(Guest)}) == 2
            tries += max(guest.deed for guest in cloud.rows(Guest)) > 1
            await deleted(person, *made)
        assert tries, "the schedulers never raced: this shows nothing"


# --- server groups -----------------------------------------------------------------------------------------------


async def test_anti_affinity_holds_while_schedulers_race(tmp_path: Path) -> None:
    async with several(tmp_path, hosts=3) as cloud:
        person = await cloud.newcomer(1, instances=100, cores=100, server_groups=1000)
        for _ in range(200 // GROUPS_AT_ONCE):
            for hosts in await hosts_of_groups(cloud, person, "anti-affinity"):
                assert len(hosts) == len(set(hosts)) == 3


async def hosts_of_groups(cloud: Several, person: Person, policy: str) -> list[list[str]]:
    """Makes and deletes groups of three guests; gives where each group's guests ran."""

    async def one() -> list[str]:
        group = await new_group(person, policy)
        made = await asyncio.gather(*(created(cloud, person, turn, group) for turn in range(3)))
        for guest in made:
            assert (await settled(person, guest))["status"] == "ACTIVE"
        hosts = [guest.host for guest in cloud.rows(Guest) if guest.id in made]
        await deleted(person, *made)
        return hosts

    return await asyncio.gather(*(one() for _ in range(GROUPS_AT_ONCE)))


async def test_a_member_too_many_gets_no_host(tmp_path: Path) -> None:
    async with several(tmp_path, hosts=2) as cloud:
        person = await cloud.newcomer(1)
        group = await new_group(person, "anti-affinity")
        made = await asyncio.gather(*(created(cloud, person, turn, group) for turn in range(3)))
        shown = [await settled(person, guest) for guest in made]
        assert Counter(server["status"] for server in shown) == {"ACTIVE": 2, "ERROR": 1}
        message = next(server for server in shown if server["status"] == "ERROR")["fault"]["message"]
        assert "anti-affinity" in message


async def test_affinity_holds_while_schedulers_race(tmp_path: Path) -> None:
    async with several(tmp_path, hosts=3) as cloud:
        person = await cloud.newcomer(0, instances=100, cores=100, server_groups=1000)
        for _ in range(5):
            for hosts in await hosts_of_groups(cloud, person, "affinity"):
                assert len(hosts) == 3 and len(set(hosts)) == 1


async def test_a_soft_policy_gives_way(tmp_path: Path) -> None:
    async with several(tmp_path, hosts=2) as cloud:
        person = await cloud.newcomer(0)
        group = await new_group(person, "soft-anti-affinity")
        made = []
        for turn in range(3):
            made.append(await created(cloud, person, turn, group))
            assert (await settled(person, made[-1]))["status"] == "ACTIVE"
        hosts = {guest.id: guest.host for guest in cloud.rows(Guest)}
        assert hosts[made[0]] != hosts[made[1]], "apart as long as there is another host"


# --- image workers -----------------------------------------------------------------------------------------------


async def test_each_image_worker_serves_its_own_images(tmp_path: Path) -> None:
    async with several(tmp_path, image_workers=2) as cloud:
        images = [await cloud.new_image() for _ in range(2)]
        assert {cloud.image_owner(image) for image in images} == {0, 1}
        person = await cloud.newcomer()
        for image in images:
            patch = [{"op": "replace", "path": "/name", "value": "renamed"}]
            kind = {"content-type": "application/openstack-images-v2.1-json-patch"}
            well(await cloud.admin.api(1).ask("PATCH", f"/image/v2/images/{image}", patch, kind))
            assert well(await person.api(0).get(f"/image/v2/images/{image}"))["name"] == "renamed"
            guest = await created(cloud, person, 0, imageRef=image)
            assert (await settled(person, guest))["status"] == "ACTIVE"
            assert (await cloud.admin.api(0).delete(f"/image/v2/images/{image}")).status == 204
            assert (await person.api(1).get(f"/image/v2/images/{image}")).status == 404


async def test_an_id_that_a_client_has_chosen_is_taken_once(tmp_path: Path) -> None:
    async with several(tmp_path, image_workers=3) as cloud:
        for number in range(20):
            record = {"name": "mine", "id": f"00000000-0000-4000-8000-{number:012d}"}
            asked = [cloud.admin.api(turn).post("/image/v2/images", record) for turn in range(4)]
            assert Counter([reply.status for reply in await asyncio.gather(*asked)]) == {201: 1, 409: 3}


async def test_builds_of_an_image_whose_worker_is_down_wait_and_others_go_on(tmp_path: Path) -> None:
    async with several(tmp_path, image_workers=2) as cloud:
        images = {cloud.image_owner(image): image for image in [await cloud.new_image() for _ in range(2)]}
        person = await cloud.newcomer()
        await cloud.images[0].close()
        waits = await created(cloud, person, 0, imageRef=images[0])
        goes_on = await created(cloud, person, 1, imageRef=images[1])
        assert (await settled(person, goes_on))["status"] == "ACTIVE"
        assert well(await person.api(0).get(f"{SERVERS}/{waits}"))["server"]["status"] == "BUILD"
        await cloud.images[0].open()
        assert (await settled(person, waits))["status"] == "ACTIVE"


# --- as an operator starts it --------------------------------------------------------------------------------------


async def test_settings_say_how_many_there_are(tmp_path: Path) -> None:
    counts = {"registrar_shards": 2, "image_workers": 2, "schedulers": 2, "apis": 2}
    async with simulated(tmp_path, **counts) as running:
        image, network = await running.new_image(), await running.network()
        guest = await running.created("g", image, network)
        other = running.log.read_text().split("api: also at ")[1].split()[0]
        assert other != running.url
        running.url = other
        assert (await running.server(guest))["id"] == guest
        await running.becomes(guest, "ACTIVE")
        owners = (await running.get("/freehold/v1/owners"))["owners"]
        roles = Counter(owner["role"] for owner in owners)
        assert roles["registrar"] == roles["image"] == 2
        assert sorted(owner["shard"] for owner in owners if owner["role"] == "registrar") == [0, 1]
        await running.stop()
    resharded = Cloud(tmp_path / "cloud", hypervisor="simulated", hosts=2, **counts | {"registrar_shards": 3})
    process = await resharded.launch()
    assert await asyncio.wait_for(process.wait(), 60) == 1
    assert "is shard 0 of 2, and it is started as shard 0 of 3" in resharded.last_lines()


# --- what the tests say --------------------------------------------------------------------------------------------


async def created(cloud: Several, person: Person, turn: int, group: str = "", **fields: Any) -> str:
    reply = await person.api(turn).post(SERVERS, cloud.server(f"guest-{turn}", group, **fields))
    assert reply.status == 202, reply.body
    return str(reply.json["server"]["id"])


async def servers(person: Person, turn: int) -> list[Any]:
    return list(well(await person.api(turn).get(SERVERS))["servers"])


async def settled(person: Person, guest: str) -> Any:
    """The guest, when it is no longer being built."""
    shown: dict[str, Any] = {}

    async def built() -> bool:
        shown.update(well(await person.api(0).get(f"{SERVERS}/{guest}"))["server"])
        return bool(shown["status"] != "BUILD")

    await eventually(built)
    return shown


async def gone(person: Person, guest: str) -> bool:
    return (await person.api(1).get(f"{SERVERS}/{guest}")).status == 404


async def deleted(person: Person, *guests: str) -> None:
    """Deletes guests, and waits until there is nothing of them."""
    for guest in guests:
        assert (await person.api(0).delete(f"{SERVERS}/{guest}")).status == 204
    for guest in guests:
        await eventually(lambda guest=guest: gone(person, guest))  # type: ignore[misc]


def group_body(policy: str) -> Any:
    return {"server_group": {"name": "g", "policy": policy}}


async def new_group(person: Person, policy: str) -> str:
    made = well(await person.api(0).post("/compute/v2.1/os-server-groups", group_body(policy)))
    group = str(made["server_group"]["id"])
    return group

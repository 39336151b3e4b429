"""Servers one by one: what they show, and that what was written is seen at once."""

import pytest

from tests.api.compute.conftest import V21, Compute


async def test_a_server_comes_up_with_its_address(compute: Compute) -> None:
    guest = await compute.create(metadata={"a": "b"}, tags=["blue"], description="mine")
    shown = await compute.server(guest)
    assert shown["status"] in ("BUILD", "ACTIVE")
    shown = await compute.settled(guest)
    (address,) = shown["addresses"]["shared"]
    assert address["addr"].startswith("10.20.0.") and address["version"] == 4
    assert address["OS-EXT-IPS:type"] == "fixed" and len(address["OS-EXT-IPS-MAC:mac_addr"]) == 17
    assert shown["OS-EXT-STS:vm_state"] == "active" and shown["OS-EXT-STS:power_state"] == 1
    assert shown["progress"] == 100 and shown["OS-SRV-USG:launched_at"] is not None
    assert (shown["metadata"], shown["tags"], shown["description"]) == ({"a": "b"}, ["blue"], "mine")
    assert shown["image"]["id"] == compute.image and len(shown["hostId"]) == 56
    assert shown["security_groups"] == [{"name": "default"}]
    assert "fault" not in shown and "OS-EXT-SRV-ATTR:host" not in shown


async def test_the_shape_follows_the_version(compute: Compute) -> None:
    guest = await compute.running()
    oldest = await compute.server(guest, compute.oldest)
    assert oldest["flavor"]["id"] == "1" and oldest["flavor"]["links"]
    assert not oldest.keys() & {"locked", "description", "tags", "server_groups", "pinned_availability_zone"}
    newest = await compute.server(guest)
    assert newest["flavor"]["original_name"] == "m1.tiny" and "id" not in newest["flavor"]
    middle = await compute.server(guest, compute.at("2.26"))
    assert middle["tags"] == [] and middle["locked"] is False and "server_groups" not in middle
    assert newest["server_groups"] == [] and newest["trusted_image_certificates"] is None


async def test_an_admin_sees_where_it_runs(compute: Compute) -> None:
    guest = await compute.running()
    shown = await compute.server(guest, compute.admin)
    assert shown["OS-EXT-SRV-ATTR:host"] in ("host0", "host1") and shown["host_status"] == "UP"
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "web"


async def test_another_tenants_server_is_not_there(compute: Compute) -> None:
    guest = await compute.running()
    for reply in (
        await compute.other.get(f"{V21}/servers/{guest}"),
        await compute.other.delete(f"{V21}/servers/{guest}"),
        await compute.other.put(f"{V21}/servers/{guest}", {"server": {"name": "theirs"}}),
        await compute.act(guest, "os-stop", client=compute.other),
        await compute.other.get(f"{V21}/servers/{guest}/metadata"),
        await compute.other.get(f"{V21}/servers/{guest}/os-interface"),
    ):
        assert reply.status == 404 and "itemNotFound" in reply.json, reply.body
    assert (await compute.server(guest))["name"] == "web"


async def test_a_name_and_description_change_at_once(compute: Compute) -> None:
    guest = await compute.running()
    reply = await compute.member.put(f"{V21}/servers/{guest}", {"server": {"name": "db", "description": "d"}})
    assert reply.status == 200 and reply.json["server"]["name"] == "db"
    assert (await compute.server(guest))["description"] == "d"


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("2.18", {"server": {"description": "too early"}}),
        ("2.96", {"server": {"name": "   "}}),
        ("2.96", {"server": {"name": ""}}),
        ("2.96", {"server": {"status": "ACTIVE"}}),
        ("2.96", {"server": {"accessIPv4": "10.0.0.1"}}),
        ("2.96", {}),
    ],
)
async def test_a_change_that_cannot_be(compute: Compute, version: str, body: object) -> None:
    guest = await compute.running()
    reply = await compute.at(version).put(f"{V21}/servers/{guest}", body)
    assert reply.status == 400 and reply.json["badRequest"]["code"] == 400


async def test_a_deleted_server_goes_and_stays_gone(compute: Compute) -> None:
    guest = await compute.running()
    assert (await compute.member.delete(f"{V21}/servers/{guest}")).status == 204
    await compute.gone(guest)
    assert (await compute.member.get(f"{V21}/servers")).json["servers"] == []
    assert (await compute.member.delete(f"{V21}/servers/{guest}")).status == 404
    ports = (await compute.member.get(f"/network/v2.0/ports?device_id={guest}")).json["ports"]
    assert ports == []


async def test_a_server_for_which_there_is_no_room_says_so(compute: Compute) -> None:
    flavor = {"name": "huge", "ram": 10**6, "vcpus": 1, "disk": 1, "id": "huge"}
    assert (await compute.admin.post(f"{V21}/flavors", {"flavor": flavor})).status == 200
    project = {"quota_set": {"ram": -1}}
    assert (await compute.admin.put(f"{V21}/os-quota-sets/{compute.api.project}", project)).status == 200
    guest = await compute.create(flavorRef="huge")
    shown = await compute.settled(guest, "ERROR")
    assert shown["fault"]["code"] == 500 and "No valid host was found" in shown["fault"]["message"]
    assert (await compute.member.delete(f"{V21}/servers/{guest}")).status == 204
    await compute.gone(guest)

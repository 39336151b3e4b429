"""Networks, whose they are, and what hangs on them."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.network.making import V2, made_network, made_port, made_subnet, names_of


async def test_a_network_with_a_subnet_and_a_port(api: Api) -> None:
    network = await made_network(api.member, description="sky")
    assert (network["status"], network["project_id"], network["subnets"]) == ("ACTIVE", api.project, [])
    assert network["router:external"] is False
    assert "provider:segmentation_id" not in network
    subnet = (await made_subnet(api.member, network["id"])).json["subnet"]
    assert (subnet["gateway_ip"], subnet["ip_version"], subnet["enable_dhcp"]) == ("10.0.0.1", 4, True)
    assert subnet["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    port = (await made_port(api.member, network["id"], name="p")).json["port"]
    assert (port["status"], port["fixed_ips"]) == ("DOWN", [{"subnet_id": subnet["id"], "ip_address": "10.0.0.2"}])
    assert len(port["security_groups"]) == 1
    assert (await api.member.get(f"{V2}/networks/{network['id']}")).json["network"]["subnets"] == [subnet["id"]]
    assert (await api.member.delete(f"{V2}/networks/{network['id']}")).status == 409
    assert (await api.member.delete(f"{V2}/ports/{port['id']}")).status == 204
    assert (await api.member.delete(f"{V2}/networks/{network['id']}")).status == 204
    assert (await api.member.get(f"{V2}/subnets/{subnet['id']}")).status == 404
    assert await names_of(api.member, "networks") == []


async def test_what_is_another_project_s_isn_t_there(api: Api) -> None:
    network = await made_network(api.member)
    subnet = (await made_subnet(api.member, network["id"])).json["subnet"]
    port = (await made_port(api.member, network["id"])).json["port"]
    group = (await api.member.get(f"{V2}/security-groups")).json["security_groups"][0]
    rule = group["security_group_rules"][0]
    for path in (
        f"networks/{network['id']}",
        f"subnets/{subnet['id']}",
        f"ports/{port['id']}",
        f"security-groups/{group['id']}",
        f"security-group-rules/{rule['id']}",
    ):
        assert (await api.other.get(f"{V2}/{path}")).status == 404
        assert (await api.other.delete(f"{V2}/{path}")).status == 404
        assert (await api.admin.get(f"{V2}/{path}")).status == 200
    assert (await made_subnet(api.other, network["id"], "10.1.0.0/24")).status == 404
    assert (await made_port(api.other, network["id"])).status == 404
    assert await names_of(api.other, "networks") == []
    assert await names_of(api.other, "ports") == []
    assert await names_of(api.other, "subnets") == []


async def test_a_shared_network_is_everybody_s_to_use_and_its_owner_s_to_change(api: Api) -> None:
    assert (await api.member.post(f"{V2}/networks", {"network": {"name": "x", "shared": True}})).status == 403
    network = await made_network(api.admin, name="common", shared=True)
    await made_subnet(api.admin, network["id"])
    assert await names_of(api.member, "networks", "?shared=True") == ["common"]
    port = await made_port(api.member, network["id"], name="mine")
    assert port.status == 201
    assert await names_of(api.other, "ports") == []
    assert (await api.member.delete(f"{V2}/networks/{network['id']}")).status == 403
    update = {"network": {"name": "stolen"}}
    assert (await api.member.put(f"{V2}/networks/{network['id']}", update)).status == 403
    assert (await made_subnet(api.member, network["id"], "10.1.0.0/24")).status == 403
    reply = await api.admin.put(f"{V2}/networks/{network['id']}", {"network": {"shared": False}})
    assert (reply.status, reply.json["NeutronError"]["type"]) == (409, "NetworkInUse")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"admin_state_up": False, "mtu": 1400, "port_security_enabled": False}, 201),
        ({"name": None}, 201),
        ({"mtu": 9000}, 400),
        ({"name": "a\0"}, 400),
        ({"router:external": True}, 400),
        ({"router:external": False}, 201),
        ({"provider:network_type": "vlan"}, 403),
        ({"provider:physical_network": "public"}, 403),
        ({"provider:network_type": "vxlan"}, 403),
        ({"provider:segmentation_id": 7}, 403),
        ({"project_id": "another"}, 403),
        ({"availability_zone_hints": ["default"]}, 201),
        ({"availability_zone_hints": ["nowhere"]}, 400),
        ({"availability_zone_hints": ["a.b", "c"]}, 400),
        ({"segment": 7}, 400),
        ({"id": "x"}, 400),
    ],
)
async def test_what_may_be_said_of_a_new_network(api: Api, fields: Any, status: int) -> None:
    assert (await api.member.post(f"{V2}/networks", {"network": {"name": "n", **fields}})).status == status


async def test_an_admin_makes_networks_for_others_and_sees_their_segments(api: Api) -> None:
    network = await made_network(api.admin, project_id=api.project, **{"provider:segmentation_id": 7})
    assert (network["project_id"], network["provider:segmentation_id"]) == (api.project, 7)
    assert await names_of(api.member, "networks") == ["blue"]
    reply = await api.admin.post(f"{V2}/networks", {"network": {"project_id": "none"}})
    assert reply.status == 400


PUBLIC = {"provider:network_type": "flat", "provider:physical_network": "public"}
TAGGED = {**PUBLIC, "provider:network_type": "vlan", "provider:segmentation_id": 7}


def provider_of(network: Any) -> list[Any]:
    return [network[f"provider:{name}"] for name in ("network_type", "physical_network", "segmentation_id")]


async def test_an_admin_makes_provider_networks_and_alone_sees_what_carries_them(api: Api) -> None:
    flat = await made_network(api.admin, shared=True, **PUBLIC)
    assert (provider_of(flat), flat["mtu"]) == (["flat", "public", None], 1500)
    tagged = await made_network(api.admin, name="tagged", mtu=9000, **TAGGED)
    assert (provider_of(tagged), tagged["mtu"]) == (["vlan", "public", 7], 9000)
    own = await made_network(api.admin, name="own")
    assert (provider_of(own)[:2], own["mtu"]) == (["vxlan", None], 1450)
    seen = (await api.member.get(f"{V2}/networks/{flat['id']}")).json["network"]
    assert not [name for name in seen if name.startswith("provider:")]
    found = (await api.admin.get(f"{V2}/networks?provider:physical_network=public")).json["networks"]
    assert {one["id"] for one in found} == {flat["id"], tagged["id"]}
    change = {"network": {"provider:physical_network": "other", "provider:network_type": "flat"}}
    assert (await api.admin.put(f"{V2}/networks/{flat['id']}", change)).status == 400
    renamed = (await api.admin.put(f"{V2}/networks/{flat['id']}", {"network": {"name": "wan"}})).json["network"]
    assert provider_of(renamed) == ["flat", "public", None]


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        (PUBLIC, 409, "used by network"),
        (TAGGED, 409, "VLAN 7"),
        ({**TAGGED, "provider:segmentation_id": 8}, 201, "vlan"),
        ({**TAGGED, "provider:segmentation_id": 4095}, 400, "1 to 4094"),
        ({"provider:network_type": "vlan", "provider:segmentation_id": 7}, 400, "physical_network"),
        ({"provider:network_type": "vlan", "provider:physical_network": "public"}, 400, "segmentation_id"),
        ({**PUBLIC, "provider:segmentation_id": 7}, 400, "prohibited"),
        ({"provider:physical_network": "public"}, 400, "network_type"),
        ({**PUBLIC, "provider:network_type": "vxlan"}, 400, "network_type"),
        ({**PUBLIC, "provider:network_type": "gre"}, 400, "aren't offered"),
        ({**PUBLIC, "provider:physical_network": "a b"}, 400, "name of a physical network"),
        ({**PUBLIC, "provider:physical_network": "wan", "mtu": 20000}, 400, "9216"),
        ({"mtu": 1451}, 400, "1450"),
    ],
)
async def test_what_may_carry_a_network(api: Api, fields: Any, status: int, says: str) -> None:
    for taken in (PUBLIC, TAGGED):
        await made_network(api.admin, **taken)
    reply = await api.admin.post(f"{V2}/networks", {"network": {"name": "n", **fields}})
    assert reply.status == status
    assert says in reply.body.decode()


async def test_networks_and_ports_are_changed(api: Api) -> None:
    network = await made_network(api.member)
    path = f"{V2}/networks/{network['id']}"
    changed = (await api.member.put(path, {"network": {"name": "green"}})).json["network"]
    assert (changed["name"], changed["revision_number"]) == ("green", 2)
    assert (await api.member.put(path, {"network": {"project_id": "x"}})).status == 400
    assert (await api.member.put(path, {})).status == 400
    subnet = (await made_subnet(api.member, network["id"])).json["subnet"]
    path = f"{V2}/subnets/{subnet['id']}"
    body: Any = {"name": "s", "dns_nameservers": ["9.9.9.9"], "gateway_ip": None}
    changed = (await api.member.put(path, {"subnet": body})).json["subnet"]
    assert (changed["name"], changed["dns_nameservers"], changed["gateway_ip"]) == ("s", ["9.9.9.9"], None)
    assert (await api.member.put(path, {"subnet": {"cidr": "10.9.0.0/24"}})).status == 400
    port = (await made_port(api.member, network["id"])).json["port"]
    path = f"{V2}/ports/{port['id']}"
    body = {"name": "p", "security_groups": [], "fixed_ips": [{"ip_address": "10.0.0.9"}], "device_id": "x"}
    changed = (await api.member.put(path, {"port": body})).json["port"]
    assert (changed["name"], changed["security_groups"], changed["device_id"]) == ("p", [], "x")
    assert changed["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.9"}]
    assert (await api.member.put(path, {"port": {"mac_address": "fa:16:3e:00:00:01"}})).status == 400
    assert (await api.member.put(path, {"port": {"mac_address": port["mac_address"]}})).status == 200

"""Networks, subnets, ports, security groups and quotas."""

from typing import Any

import pytest

from tests.api.asgi import Client, Reply
from tests.api.conftest import Api

V2 = "/network/v2.0"


async def _network(client: Client, **fields: Any) -> Any:
    reply = await client.post(f"{V2}/networks", {"network": {"name": "blue", **fields}})
    assert reply.status == 201, reply.body
    return reply.json["network"]


async def _subnet(client: Client, network: str, cidr: str = "10.0.0.0/24", **fields: Any) -> Reply:
    body = {"network_id": network, "cidr": cidr, "ip_version": 4, **fields}
    return await client.post(f"{V2}/subnets", {"subnet": body})


async def _port(client: Client, network: str, **fields: Any) -> Reply:
    return await client.post(f"{V2}/ports", {"port": {"network_id": network, **fields}})


async def _names(client: Client, collection: str, query: str = "") -> list[str]:
    found = (await client.get(f"{V2}/{collection}{query}")).json[collection.replace("-", "_")]
    return [row["name"] for row in found]


async def test_a_network_with_a_subnet_and_a_port(api: Api) -> None:
    network = await _network(api.member, description="sky")
    assert (network["status"], network["project_id"], network["subnets"]) == ("ACTIVE", api.project, [])
    assert network["router:external"] is False
    assert "provider:segmentation_id" not in network
    subnet = (await _subnet(api.member, network["id"])).json["subnet"]
    assert (subnet["gateway_ip"], subnet["ip_version"], subnet["enable_dhcp"]) == ("10.0.0.1", 4, True)
    assert subnet["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    port = (await _port(api.member, network["id"], name="p")).json["port"]
    assert (port["status"], port["fixed_ips"]) == ("DOWN", [{"subnet_id": subnet["id"], "ip_address": "10.0.0.2"}])
    assert len(port["security_groups"]) == 1
    assert (await api.member.get(f"{V2}/networks/{network['id']}")).json["network"]["subnets"] == [subnet["id"]]
    assert (await api.member.delete(f"{V2}/networks/{network['id']}")).status == 409
    assert (await api.member.delete(f"{V2}/ports/{port['id']}")).status == 204
    assert (await api.member.delete(f"{V2}/networks/{network['id']}")).status == 204
    assert (await api.member.get(f"{V2}/subnets/{subnet['id']}")).status == 404
    assert await _names(api.member, "networks") == []


async def test_what_is_another_project_s_isn_t_there(api: Api) -> None:
    network = await _network(api.member)
    subnet = (await _subnet(api.member, network["id"])).json["subnet"]
    port = (await _port(api.member, network["id"])).json["port"]
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
    assert (await _subnet(api.other, network["id"], "10.1.0.0/24")).status == 404
    assert (await _port(api.other, network["id"])).status == 404
    assert await _names(api.other, "networks") == []
    assert await _names(api.other, "ports") == []
    assert await _names(api.other, "subnets") == []


async def test_a_shared_network_is_everybody_s_to_use_and_its_owner_s_to_change(api: Api) -> None:
    assert (await api.member.post(f"{V2}/networks", {"network": {"name": "x", "shared": True}})).status == 403
    network = await _network(api.admin, name="common", shared=True)
    await _subnet(api.admin, network["id"])
    assert await _names(api.member, "networks", "?shared=True") == ["common"]
    port = await _port(api.member, network["id"], name="mine")
    assert port.status == 201
    assert await _names(api.other, "ports") == []
    assert (await api.member.delete(f"{V2}/networks/{network['id']}")).status == 403
    update = {"network": {"name": "stolen"}}
    assert (await api.member.put(f"{V2}/networks/{network['id']}", update)).status == 403
    assert (await _subnet(api.member, network["id"], "10.1.0.0/24")).status == 403
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
        ({"provider:network_type": "vlan"}, 400),
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
    network = await _network(api.admin, project_id=api.project, **{"provider:segmentation_id": 7})
    assert (network["project_id"], network["provider:segmentation_id"]) == (api.project, 7)
    assert await _names(api.member, "networks") == ["blue"]
    reply = await api.admin.post(f"{V2}/networks", {"network": {"project_id": "none"}})
    assert reply.status == 400


async def test_networks_and_ports_are_changed(api: Api) -> None:
    network = await _network(api.member)
    path = f"{V2}/networks/{network['id']}"
    changed = (await api.member.put(path, {"network": {"name": "green"}})).json["network"]
    assert (changed["name"], changed["revision_number"]) == ("green", 2)
    assert (await api.member.put(path, {"network": {"project_id": "x"}})).status == 400
    assert (await api.member.put(path, {})).status == 400
    subnet = (await _subnet(api.member, network["id"])).json["subnet"]
    path = f"{V2}/subnets/{subnet['id']}"
    body: Any = {"name": "s", "dns_nameservers": ["9.9.9.9"], "gateway_ip": None}
    changed = (await api.member.put(path, {"subnet": body})).json["subnet"]
    assert (changed["name"], changed["dns_nameservers"], changed["gateway_ip"]) == ("s", ["9.9.9.9"], None)
    assert (await api.member.put(path, {"subnet": {"cidr": "10.9.0.0/24"}})).status == 400
    port = (await _port(api.member, network["id"])).json["port"]
    path = f"{V2}/ports/{port['id']}"
    body = {"name": "p", "security_groups": [], "fixed_ips": [{"ip_address": "10.0.0.9"}], "device_id": "x"}
    changed = (await api.member.put(path, {"port": body})).json["port"]
    assert (changed["name"], changed["security_groups"], changed["device_id"]) == ("p", [], "x")
    assert changed["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.9"}]
    assert (await api.member.put(path, {"port": {"mac_address": "fa:16:3e:00:00:01"}})).status == 400
    assert (await api.member.put(path, {"port": {"mac_address": port["mac_address"]}})).status == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"gateway_ip": None}, 201),
        ({"gateway_ip": "10.0.0.7", "enable_dhcp": False}, 201),
        ({"allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.9"}]}, 201),
        ({"host_routes": [{"destination": "10.7.0.0/16", "nexthop": "10.0.0.3"}]}, 201),
        ({"cidr": "10.0.0.0/33"}, 400),
        ({"cidr": "fd00::/64"}, 400),
        ({"cidr": "no"}, 400),
        ({"cidr": None}, 400),
        ({"ip_version": 6}, 400),
        ({"gateway_ip": "10.9.0.1"}, 400),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.5"}]}, 400),
        ({"subnetpool_id": "x"}, 400),
        ({"dns_nameservers": ["x" * 65]}, 400),
        ({"network_id": "none"}, 404),
        ({"unknown": 1}, 400),
    ],
)
async def test_what_may_be_said_of_a_new_subnet(api: Api, fields: Any, status: int) -> None:
    network = await _network(api.member)
    body = {"network_id": network["id"], "cidr": "10.0.0.0/24", **fields}
    assert (await api.member.post(f"{V2}/subnets", {"subnet": body})).status == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"fixed_ips": [{"ip_address": "10.0.0.77"}]}, 201),
        ({"mac_address": "fa:16:3e:00:00:01", "binding:vnic_type": "normal", "binding:profile": {}}, 201),
        ({"port_security_enabled": False}, 201),
        ({"fixed_ips": []}, 400),
        ({"fixed_ips": [{}]}, 400),
        ({"fixed_ips": [{"ip_address": "10.9.0.1"}]}, 400),
        ({"fixed_ips": [{"ip_address": "10.0.0.1"}]}, 409),
        ({"fixed_ips": [{"subnet_id": "none"}]}, 404),
        ({"mac_address": "no"}, 400),
        ({"security_groups": ["none"]}, 404),
        ({"device_owner": "compute:nova"}, 400),
        ({"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]}, 400),
        ({"binding:vnic_type": "direct"}, 400),
        ({"binding:host_id": "h"}, 400),
        ({"network_id": "none"}, 404),
        ({"status": "ACTIVE"}, 400),
    ],
)
async def test_what_may_be_said_of_a_new_port(api: Api, fields: Any, status: int) -> None:
    network = await _network(api.member)
    await _subnet(api.member, network["id"])
    reply = await api.member.post(f"{V2}/ports", {"port": {"network_id": network["id"], **fields}})
    assert reply.status == status, reply.body


async def test_several_are_made_together_or_none(api: Api) -> None:
    body = {"networks": [{"name": "a"}, {"name": "b"}]}
    reply = await api.member.post(f"{V2}/networks", body)
    assert [network["name"] for network in reply.json["networks"]] == ["a", "b"]
    broken = {"networks": [{"name": "c"}, {"name": "d", "mtu": 1}]}
    assert (await api.member.post(f"{V2}/networks", broken)).status == 400
    assert await _names(api.member, "networks") == ["a", "b"]
    assert (await api.member.post(f"{V2}/networks", {"networks": []})).status == 400
    assert (await api.member.post(f"{V2}/networks", {})).status == 400


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?name=a", ["a"]),
        ("?name=a&name=c", ["a", "c"]),
        ("?admin_state_up=false", ["b"]),
        ("?status=ACTIVE&sort_key=name&sort_dir=desc", ["c", "b", "a"]),
        ("?router:external=True", []),
        ("?router%3Aexternal=False&sort_key=name", ["a", "b", "c"]),
        ("?tags=x", []),
        ("?not-tags=x&name=a", ["a"]),
        ("?limit=1", ["a"]),
        ("?is_default=true", []),
        ("?provider:network_type=vxlan", []),
    ],
)
async def test_filters_and_order(api: Api, query: str, names: list[str]) -> None:
    for name in "abc":
        await _network(api.member, name=name, admin_state_up=name != "b")
    assert await _names(api.member, "networks", query) == names


@pytest.mark.parametrize(
    "query",
    [
        *("colour=red", "limit=x", "limit=-1", "marker=none", "sort_key=x", "sort_key=name&sort_dir=up"),
        *("page_reverse=true", "sort_dir=asc"),
    ],
)
async def test_a_query_that_can_t_be_is_400(api: Api, query: str) -> None:
    await _network(api.member)
    assert (await api.member.get(f"{V2}/networks?{query}")).status == 400


async def test_pages_follow_one_another(api: Api) -> None:
    for name in "abcde":
        await _network(api.member, name=name)
    seen, path = [], f"{V2}/networks?limit=2"
    while path:
        page = (await api.member.get(path)).json
        seen += [network["name"] for network in page["networks"]]
        links = page.get("networks_links", [])
        path = links[0]["href"].removeprefix("http://cloud.example") if links else ""
    assert seen == list("abcde")


async def test_fields_are_chosen(api: Api) -> None:
    network = await _network(api.member)
    assert (await api.member.get(f"{V2}/networks?fields=id&fields=nope")).json["networks"] == [{"id": network["id"]}]
    shown = (await api.member.get(f"{V2}/networks/{network['id']}?fields=name")).json["network"]
    assert shown == {"name": "blue"}


async def test_ports_are_found_by_device_and_address(api: Api) -> None:
    network = await _network(api.member)
    await _subnet(api.member, network["id"])
    await _port(api.member, network["id"], name="a", device_id="d1", fixed_ips=[{"ip_address": "10.0.0.50"}])
    await _port(api.member, network["id"], name="b", device_id="d2")
    assert await _names(api.member, "ports", "?device_id=d1") == ["a"]
    assert await _names(api.member, "ports", "?fixed_ips=ip_address%3D10.0.0.50") == ["a"]
    assert await _names(api.member, "ports", "?fixed_ips=ip_address_substr%3D0.0.5") == ["a"]
    assert await _names(api.member, "ports", "?fixed_ips=x") == []
    assert "binding:host_id" in (await api.admin.get(f"{V2}/ports")).json["ports"][0]
    assert "binding:host_id" not in (await api.member.get(f"{V2}/ports")).json["ports"][0]


# --- security groups -------------------------------------------------------------------------------------------------


async def test_a_project_finds_its_default_group_and_makes_others(api: Api) -> None:
    assert await _names(api.member, "security-groups") == ["default"]
    made = await api.member.post(f"{V2}/security-groups", {"security_group": {"name": "web", "description": "w"}})
    group = made.json["security_group"]
    assert {(rule["direction"], rule["ethertype"]) for rule in group["security_group_rules"]} == {
        ("egress", "IPv4"),
        ("egress", "IPv6"),
    }
    assert await _names(api.member, "security-groups", "?name=web") == ["web"]
    path = f"{V2}/security-groups/{group['id']}"
    assert (await api.member.put(path, {"security_group": {"name": "www"}})).json["security_group"]["name"] == "www"
    assert (await api.member.delete(path)).status == 204
    assert (await api.member.get(path)).status == 404
    default = (await api.member.get(f"{V2}/security-groups?name=default")).json["security_groups"][0]
    assert (await api.member.delete(f"{V2}/security-groups/{default['id']}")).status == 409


async def test_rules_are_made_listed_and_deleted(api: Api) -> None:
    made = await api.member.post(f"{V2}/security-groups", {"security_group": {"name": "web"}})
    group = made.json["security_group"]["id"]
    wanted = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
    wanted |= {"port_range_min": 22, "port_range_max": 22}
    path = f"{V2}/security-group-rules"
    rule = (await api.member.post(path, {"security_group_rule": wanted})).json["security_group_rule"]
    assert (rule["ethertype"], rule["port_range_min"], rule["remote_ip_prefix"]) == ("IPv4", 22, None)
    assert (await api.member.post(path, {"security_group_rule": wanted})).status == 409
    listed = (await api.member.get(f"{path}?security_group_id={group}&direction=ingress")).json
    assert [row["id"] for row in listed["security_group_rules"]] == [rule["id"]]
    assert (await api.member.delete(f"{path}/{rule['id']}")).status == 204
    assert (await api.member.get(f"{path}/{rule['id']}")).status == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"protocol": 6}, 201),
        ({"protocol": "icmp", "port_range_min": 8}, 201),
        ({"remote_ip_prefix": "10.0.0.5/8"}, 201),
        ({"protocol": None, "port_range_min": None, "remote_group_id": None}, 201),
        ({"direction": "sideways"}, 400),
        ({"protocol": "carrier-pigeon"}, 400),
        ({"protocol": 256}, 400),
        ({"protocol": "tcp", "port_range_min": 5, "port_range_max": 4}, 400),
        ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 65536}, 400),
        ({"port_range_min": 5, "port_range_max": 6}, 400),
        ({"remote_ip_prefix": "nowhere"}, 400),
        ({"remote_ip_prefix": "fd00::/8"}, 400),
        ({"ethertype": "IPv5"}, 400),
        ({"remote_group_id": "none"}, 404),
        ({"remote_address_group_id": "x"}, 400),
        ({"security_group_id": "none"}, 404),
    ],
)
async def test_what_may_be_said_of_a_new_rule(api: Api, fields: Any, status: int) -> None:
    made = await api.member.post(f"{V2}/security-groups", {"security_group": {"name": "web"}})
    wanted = {"security_group_id": made.json["security_group"]["id"], "direction": "ingress", **fields}
    reply = await api.member.post(f"{V2}/security-group-rules", {"security_group_rule": wanted})
    assert reply.status == status, reply.body


# --- the rest --------------------------------------------------------------------------------------------------------


async def test_quotas_are_seen_by_their_project_and_set_by_admins(api: Api) -> None:
    path = f"{V2}/quotas/{api.project}"
    assert (await api.member.get(path)).json["quota"]["network"] == 100
    assert (await api.other.get(path)).status == 403
    assert (await api.member.put(path, {"quota": {"network": 500}})).status == 403
    assert (await api.admin.put(path, {"quota": {"network": 1}})).json["quota"]["network"] == 1
    assert (await api.admin.put(path, {"quota": {"network": -2}})).status == 400
    assert (await api.admin.put(f"{V2}/quotas/none", {"quota": {"network": 1}})).status == 404
    await _network(api.member)
    over = await api.member.post(f"{V2}/networks", {"network": {"name": "two"}})
    assert over.json["NeutronError"]["type"] == "OverQuota"
    details = (await api.member.get(f"{path}/details.json")).json["quota"]
    assert details["network"] == {"limit": 1, "used": 1, "reserved": 0}
    assert [row["project_id"] for row in (await api.admin.get(f"{V2}/quotas")).json["quotas"]] == [api.project]
    assert (await api.member.get(f"{path}/default")).json["quota"]["network"] == 100
    assert (await api.admin.delete(path)).status == 204
    assert (await api.member.get(path)).json["quota"]["network"] == 100


async def test_extensions_are_those_that_are_there(api: Api) -> None:
    aliases = {row["alias"] for row in (await api.member.get(f"{V2}/extensions")).json["extensions"]}
    assert {"security-group", "quotas"} <= aliases
    assert "router" not in aliases
    assert (await api.member.get(f"{V2}/extensions/quotas")).status == 200
    missing = await api.member.get(f"{V2}/extensions/external-gateway-multihoming")
    assert (missing.status, missing.json["NeutronError"]["type"]) == (404, "ExtensionNotFound")


async def test_what_isn_t_offered_is_empty_and_says_so(api: Api) -> None:
    for name in ("routers", "floatingips", "subnetpools"):
        assert (await api.member.get(f"{V2}/{name}")).json == {name: []}
        assert (await api.member.get(f"{V2}/{name}/x")).status == 404
        refused = await api.member.post(f"{V2}/{name}", {})
        assert refused.status == 400
        assert "offered" in refused.json["NeutronError"]["message"]


async def test_workers_show_as_agents_and_clusters_as_zones(api: Api) -> None:
    agents = (await api.admin.get(f"{V2}/agents")).json["agents"]
    assert [(agent["availability_zone"], agent["alive"]) for agent in agents] == [("default", True)]
    assert (await api.admin.get(f"{V2}/agents/{agents[0]['id']}")).status == 200
    assert (await api.admin.get(f"{V2}/agents/none")).status == 404
    assert (await api.member.get(f"{V2}/agents")).status == 403
    zones = (await api.member.get(f"{V2}/availability_zones")).json["availability_zones"]
    assert [(zone["name"], zone["state"]) for zone in zones] == [("default", "available")]


async def test_versions(api: Api) -> None:
    assert (await api.nobody.get("/network")).json["versions"][0]["id"] == "v2.0"
    assert {row["name"] for row in (await api.nobody.get(f"{V2}/")).json["resources"]} >= {"network", "port"}

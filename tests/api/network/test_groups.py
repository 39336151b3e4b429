"""Security groups and rules."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.network.making import V2, names_of


async def test_a_project_finds_its_default_group_and_makes_others(api: Api) -> None:
    assert await names_of(api.member, "security-groups") == ["default"]
    made = await api.member.post(f"{V2}/security-groups", {"security_group": {"name": "web", "description": "w"}})
    group = made.json["security_group"]
    assert {(rule["direction"], rule["ethertype"]) for rule in group["security_group_rules"]} == {
        ("egress", "IPv4"),
        ("egress", "IPv6"),
    }
    assert await names_of(api.member, "security-groups", "?name=web") == ["web"]
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


@pytest.mark.parametrize(("hints", "status"), [(["default"], 201), (["nowhere"], 400), (["a", "b"], 400), ("a", 400)])
async def test_a_group_is_made_in_a_zone_that_is_there_and_stays(api: Api, hints: Any, status: int) -> None:
    wanted = {"name": "g", "availability_zone_hints": hints}
    reply = await api.member.post(f"{V2}/security-groups", {"security_group": wanted})
    assert reply.status == status
    if status == 201:
        group = reply.json["security_group"]
        assert group["availability_zones"] == ["default"]
        moved = {"security_group": {"availability_zone_hints": ["default"]}}
        assert (await api.member.put(f"{V2}/security-groups/{group['id']}", moved)).status == 400

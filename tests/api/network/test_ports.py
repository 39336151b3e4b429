"""Ports."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.network.making import V2, made_network, made_port, made_subnet, names_of


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
    network = await made_network(api.member)
    await made_subnet(api.member, network["id"])
    reply = await api.member.post(f"{V2}/ports", {"port": {"network_id": network["id"], **fields}})
    assert reply.status == status, reply.body


async def test_ports_are_found_by_device_and_address(api: Api) -> None:
    network = await made_network(api.member)
    await made_subnet(api.member, network["id"])
    await made_port(api.member, network["id"], name="a", device_id="d1", fixed_ips=[{"ip_address": "10.0.0.50"}])
    await made_port(api.member, network["id"], name="b", device_id="d2")
    assert await names_of(api.member, "ports", "?device_id=d1") == ["a"]
    assert await names_of(api.member, "ports", "?fixed_ips=ip_address%3D10.0.0.50") == ["a"]
    assert await names_of(api.member, "ports", "?fixed_ips=ip_address_substr%3D0.0.5") == ["a"]
    assert await names_of(api.member, "ports", "?fixed_ips=x") == []
    assert "binding:host_id" in (await api.admin.get(f"{V2}/ports")).json["ports"][0]
    assert "binding:host_id" not in (await api.member.get(f"{V2}/ports")).json["ports"][0]


async def test_only_the_owner_of_a_network_has_ports_that_could_harm_others_on_it(api: Api) -> None:
    provider = {"provider:network_type": "flat", "provider:physical_network": "public"}
    wan = (await made_network(api.admin, shared=True, **provider))["id"]
    pool = [{"start": "10.0.0.100", "end": "10.0.0.199"}]
    assert (await made_subnet(api.admin, wan, allocation_pools=pool)).status == 201
    for fields, status in (
        ({"port_security_enabled": False}, 403),
        ({"mac_address": "fa:16:3e:00:00:99"}, 403),
        ({"fixed_ips": [{"ip_address": "10.0.0.9"}]}, 403),
        ({"fixed_ips": [{"ip_address": "no address"}]}, 400),
        ({"fixed_ips": [{"ip_address": "10.0.0.109"}]}, 201),
        ({"port_security_enabled": True}, 201),
    ):
        assert (await made_port(api.member, wan, **fields)).status == status, fields
    port = (await made_port(api.member, wan)).json["port"]
    path = f"{V2}/ports/{port['id']}"
    for change in (
        {"port_security_enabled": False, "security_groups": []},
        {"fixed_ips": [{"ip_address": "10.0.0.9"}]},
    ):
        assert (await api.member.put(path, {"port": change})).status == 403
    same = {"mac_address": port["mac_address"], "fixed_ips": port["fixed_ips"], "name": "p"}
    assert (await api.member.put(path, {"port": same})).status == 200
    harmful = {"port_security_enabled": False, "fixed_ips": [{"ip_address": "10.0.0.9"}]}
    assert (await made_port(api.admin, wan, **harmful)).status == 201
    own = (await made_network(api.member))["id"]
    await made_subnet(api.member, own)
    assert (await made_port(api.member, own, mac_address="fa:16:3e:00:00:98", **harmful)).status == 201

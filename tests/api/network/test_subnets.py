"""Subnets."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.network.making import V2, made_network


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
    network = await made_network(api.member)
    body = {"network_id": network["id"], "cidr": "10.0.0.0/24", **fields}
    assert (await api.member.post(f"{V2}/subnets", {"subnet": body})).status == status

"""Which version a call is in."""

import pytest

from freehold.api.compute import microversion as compute
from freehold.api.volume import microversion as volume
from tests.api.conftest import Api

OLDER = "x-openstack-nova-api-version"


@pytest.mark.parametrize(
    ("headers", "status", "told"),
    [
        ({}, 200, "2.1"),
        ({"openstack-api-version": "compute 2.50"}, 200, "2.50"),
        ({"openstack-api-version": "COMPUTE latest"}, 200, str(compute.HIGHEST)),
        ({OLDER: "2.50"}, 200, "2.50"),
        ({OLDER: "2.50", "openstack-api-version": "compute 2.60"}, 200, "2.60"),
        ({OLDER: "2.50", "openstack-api-version": "volume 3.60"}, 200, "2.50"),
        ({OLDER: "9.9"}, 406, "2.1"),
        ({OLDER: ""}, 400, "2.1"),
        ({"openstack-api-version": "compute 2.x"}, 400, "2.1"),
    ],
)
async def test_a_service_has_its_own_and_may_have_an_older_header(
    api: Api, headers: dict[str, str], status: int, told: str
) -> None:
    reply = await api.member.ask("GET", "/compute/v2.1/flavors", headers=headers)
    assert reply.status == status
    assert (reply.headers["openstack-api-version"], reply.headers[OLDER]) == (f"compute {told}", told)
    assert reply.headers["vary"] == "OpenStack-API-Version, X-OpenStack-Nova-API-Version"


async def test_a_service_without_an_older_header_passes_it_over(api: Api) -> None:
    reply = await api.member.ask("GET", "/volume/v3/types", headers={OLDER: "9.9"})
    assert (reply.status, reply.headers["openstack-api-version"]) == (200, f"volume {volume.LOWEST}")
    assert OLDER not in reply.headers

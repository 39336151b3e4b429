"""Where clients look for what there is."""

from tests.api.conftest import Api
from tests.api.volume.conftest import V3


async def test_extensions_are_listed(api: Api) -> None:
    rows = (await api.member.get(f"{V3}/extensions")).json["extensions"]
    assert {"os-volume-actions", "os-quota-sets"} <= {row["alias"] for row in rows}


async def test_filters_are_listed(api: Api) -> None:
    path = f"{V3}/resource_filters"
    assert (await api.member.get(path)).status == 404
    rows = (await api.member.get(path, openstack_api_version="volume 3.33")).json["resource_filters"]
    assert {row["resource"] for row in rows} == {"volume", "snapshot"}
    (row,) = (await api.member.get(f"{path}?resource=volume", openstack_api_version="volume latest")).json[
        "resource_filters"
    ]
    assert {"name", "status", "metadata", "bootable", "availability_zone"} <= set(row["filters"])

"""Status: who owns what, and how old our knowledge of it is."""

from tests.api.conftest import Api


async def test_owners_are_listed_with_where_their_logs_stand(api: Api) -> None:
    owners = (await api.admin.get("/freehold/v1/owners")).json["owners"]
    assert {owner["role"] for owner in owners} == {"registrar", "image", "network"}
    before = {owner["store"]: owner["seq"] for owner in owners}
    await api.admin.post("/network/v2.0/networks", {"network": {"name": "one more"}})
    after = (await api.admin.get("/freehold/v1/owners")).json["owners"]
    grown = {owner["role"] for owner in after if owner["seq"] > before[owner["store"]]}
    assert grown == {"network"}
    assert all(owner["age_s"] is not None for owner in after)


async def test_status_is_for_admins(api: Api) -> None:
    assert (await api.member.get("/freehold/v1/owners")).status == 403
    assert (await api.member.get("/freehold/v1/hosts")).status == 403


async def test_hosts_are_listed(api: Api) -> None:
    assert (await api.admin.get("/freehold/v1/hosts")).json == {"hosts": []}

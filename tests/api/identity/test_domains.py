"""The one domain."""

from tests.api.conftest import Api

V3 = "/identity/v3"


async def test_there_is_one_domain(api: Api) -> None:
    assert [d["id"] for d in (await api.member.get(f"{V3}/domains")).json["domains"]] == ["default"]
    assert (await api.member.get(f"{V3}/domains/default")).json["domain"]["name"] == "Default"
    assert (await api.member.get(f"{V3}/domains/other")).status == 404
    assert (await api.admin.post(f"{V3}/domains", {"domain": {"name": "x"}})).status == 501
    assert (await api.admin.post(f"{V3}/projects", {"project": {"name": "x", "domain_id": "other"}})).status == 400

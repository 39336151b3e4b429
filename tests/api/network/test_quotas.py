"""Quotas."""

from tests.api.conftest import Api
from tests.api.network.making import V2, made_network


async def test_quotas_are_seen_by_their_project_and_set_by_admins(api: Api) -> None:
    path = f"{V2}/quotas/{api.project}"
    assert (await api.member.get(path)).json["quota"]["network"] == 100
    assert (await api.other.get(path)).status == 403
    assert (await api.member.put(path, {"quota": {"network": 500}})).status == 403
    assert (await api.admin.put(path, {"quota": {"network": 1}})).json["quota"]["network"] == 1
    assert (await api.admin.put(path, {"quota": {"network": -2}})).status == 400
    assert (await api.admin.put(f"{V2}/quotas/none", {"quota": {"network": 1}})).status == 404
    await made_network(api.member)
    over = await api.member.post(f"{V2}/networks", {"network": {"name": "two"}})
    assert (over.status, over.json["NeutronError"]["type"]) == (409, "OverQuota")
    details = (await api.member.get(f"{path}/details.json")).json["quota"]
    assert details["network"] == {"limit": 1, "used": 1, "reserved": 0}
    assert [row["project_id"] for row in (await api.admin.get(f"{V2}/quotas")).json["quotas"]] == [api.project]
    assert (await api.member.get(f"{path}/default")).json["quota"]["network"] == 100
    assert (await api.admin.delete(path)).status == 204
    assert (await api.member.get(path)).json["quota"]["network"] == 100

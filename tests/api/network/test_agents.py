"""Workers as agents, and what isn't offered."""

from tests.api.conftest import Api
from tests.api.network.making import V2


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

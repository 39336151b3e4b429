"""Filters, fields, order, pages and bulk bodies."""

import pytest

from tests.api.conftest import Api
from tests.api.network.making import V2, made_network, names_of


async def test_several_are_made_together_or_none(api: Api) -> None:
    body = {"networks": [{"name": "a"}, {"name": "b"}]}
    reply = await api.member.post(f"{V2}/networks", body)
    assert [network["name"] for network in reply.json["networks"]] == ["a", "b"]
    broken = {"networks": [{"name": "c"}, {"name": "d", "mtu": 1}]}
    assert (await api.member.post(f"{V2}/networks", broken)).status == 400
    assert await names_of(api.member, "networks") == ["a", "b"]
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
        await made_network(api.member, name=name, admin_state_up=name != "b")
    assert await names_of(api.member, "networks", query) == names


@pytest.mark.parametrize(
    "query",
    [
        *("colour=red", "limit=x", "limit=-1", "marker=none", "sort_key=x", "sort_key=name&sort_dir=up"),
        *("page_reverse=true", "sort_dir=asc"),
    ],
)
async def test_a_query_that_can_t_be_is_400(api: Api, query: str) -> None:
    await made_network(api.member)
    assert (await api.member.get(f"{V2}/networks?{query}")).status == 400


async def test_pages_follow_one_another(api: Api) -> None:
    for name in "abcde":
        await made_network(api.member, name=name)
    seen, path = [], f"{V2}/networks?limit=2"
    while path:
        page = (await api.member.get(path)).json
        seen += [network["name"] for network in page["networks"]]
        links = page.get("networks_links", [])
        path = links[0]["href"].removeprefix("http://cloud.example") if links else ""
    assert seen == list("abcde")


async def test_fields_are_chosen(api: Api) -> None:
    network = await made_network(api.member)
    assert (await api.member.get(f"{V2}/networks?fields=id&fields=nope")).json["networks"] == [{"id": network["id"]}]
    shown = (await api.member.get(f"{V2}/networks/{network['id']}?fields=name")).json["network"]
    assert shown == {"name": "blue"}

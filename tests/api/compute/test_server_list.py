"""Pages of servers, joined from what was made of each when it was shown last."""

from typing import Any

import pytest

from freehold.api.call import AS_OF
from freehold.api.compute import server_list
from tests.api.asgi import Client
from tests.api.compute.conftest import V21, Compute

NETWORK = "/network/v2.0"


async def shown(compute: Compute, client: Client) -> list[Any]:
    """The project's list in detail, which must say of each server what is said of it alone when it is made anew."""
    reply = await client.get(f"{V21}/servers/detail")
    assert reply.status == 200, reply.body
    compute.api.cloud.view.fragments.clear()
    for server in reply.json["servers"]:
        assert server == await compute.server(server["id"], client)
    assert (await client.get(f"{V21}/servers/detail")).json == reply.json
    short = (await client.get(f"{V21}/servers")).json["servers"]
    assert [(one["id"], one["name"]) for one in short] == [(one["id"], one["name"]) for one in reply.json["servers"]]
    return list(reply.json["servers"])


async def all_shown(compute: Compute) -> list[Any]:
    """The same, in two versions, to its members and to the admin."""
    for client in (compute.oldest, compute.admin):
        await shown(compute, client)
    return await shown(compute, compute.member)


async def test_a_page_shows_what_is_now_whatever_was_made_of_it_before(compute: Compute) -> None:
    member = compute.member
    first, second = await compute.running(), await compute.running()
    await all_shown(compute)
    for path, status in ((f"{V21}/servers/{first}", 200), (f"{V21}/servers/{first}/metadata", 200)):
        body = {"server": {"name": "other"}} if path.endswith(first) else {"metadata": {"a": "b"}}
        reply = await (member.put(path, body) if path.endswith(first) else member.post(path, body))
        assert reply.status == status, reply.body
        await all_shown(compute)
    assert {one["name"] for one in await all_shown(compute)} == {"other", "web"}
    for action, status in (("os-stop", "SHUTOFF"), ("os-start", "ACTIVE")):
        assert (await compute.act(second, action)).status == 202
        for client in (compute.oldest, member):  # something is made of it while it changes
            await client.get(f"{V21}/servers/detail")
        await compute.settled(second, status)
        assert {one["id"]: one["status"] for one in await all_shown(compute)} == {first: "ACTIVE", second: status}
    made = (await member.post(f"{NETWORK}/security-groups", {"security_group": {"name": "wall"}})).json
    group = made["security_group"]["id"]
    await all_shown(compute)
    (port, *_) = (await member.get(f"{NETWORK}/ports?device_id={first}")).json["ports"]
    assert (await member.put(f"{NETWORK}/ports/{port['id']}", {"port": {"security_groups": [group]}})).status == 200
    groups = {one["id"]: one["security_groups"] for one in await all_shown(compute)}
    assert groups[first] == [{"name": "wall"}]
    renamed = {"security_group": {"name": "gate"}}
    assert (await member.put(f"{NETWORK}/security-groups/{group}", renamed)).status == 200
    groups = {one["id"]: one["security_groups"] for one in await all_shown(compute)}
    assert groups[first] == [{"name": "gate"}]
    assert (await member.delete(f"{V21}/servers/{first}")).status == 204
    await compute.gone(first)
    assert [one["id"] for one in await all_shown(compute)] == [second]


async def test_nobody_is_given_what_was_made_for_another(compute: Compute) -> None:
    guest = await compute.running()
    as_admin = await shown(compute, compute.admin)
    (as_member,) = await shown(compute, compute.member)
    assert "OS-EXT-SRV-ATTR:host" not in as_member
    assert guest in {one["id"] for one in as_admin} or as_admin == []
    assert (await compute.other.get(f"{V21}/servers/detail")).json["servers"] == []


@pytest.mark.parametrize("query", ["?limit=1", "?limit=2", "?limit=1000", ""])
async def test_pages_follow_on_one_another(compute: Compute, query: str) -> None:
    guests = [await compute.create() for _ in range(3)]
    found: list[str] = []
    path: str | None = f"{V21}/servers/detail{query}"
    while path is not None:
        reply = await compute.member.get(path)
        found += [one["id"] for one in reply.json["servers"]]
        links = [one["href"] for one in reply.json.get("servers_links", [])]
        path = links[0][links[0].index("/compute") :] if links else None
    assert found == guests[::-1]
    reply = await compute.member.get(f"{V21}/servers/detail?marker=unheard-of")
    assert reply.status == 400 and "marker" in reply.json["badRequest"]["message"]


async def test_the_past_is_made_anew(compute: Compute) -> None:
    guest = await compute.running()
    then = compute.pass_s(100)
    await shown(compute, compute.member)
    await compute.member.put(f"{V21}/servers/{guest}", {"server": {"name": "later"}})
    await shown(compute, compute.member)
    reply = await compute.member.ask("GET", f"{V21}/servers/detail", b"", {AS_OF: then})
    assert [one["name"] for one in reply.json["servers"]] == ["web"]


@pytest.mark.parametrize("most", [0, 32])
async def test_only_few_hosts_are_asked_before_a_list_is_filtered(
    compute: Compute, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    guest = await compute.running()
    asked, view = list[tuple[str, set[str] | None]](), compute.api.cloud.view
    fresh = view.fresh

    async def noted(roles: Any, shards: Any = (0,), hosts: Any = None) -> None:
        asked.extend((role, None if hosts is None else set(hosts)) for role in roles)
        await fresh(roles, shards, hosts)

    monkeypatch.setattr(view, "fresh", noted)
    monkeypatch.setattr(server_list, "HOSTS_ASKED_MAX", most)
    reply = await compute.member.get(f"{V21}/servers?status=ACTIVE")
    assert [one["id"] for one in reply.json["servers"]] == [guest]
    its = compute.hosts[await compute.host_of(guest)].id
    assert ("host", {its} if most else set()) in asked and ("host", None) not in asked

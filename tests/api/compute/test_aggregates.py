"""Host aggregates in Nova's words, and what they do to where guests are put."""

from typing import Any

import pytest

from freehold.vocabulary.aggregate import METADATA_MAX
from tests.api.asgi import Reply
from tests.api.compute.conftest import V21, Compute
from tests.api.compute.test_host_needs import flavor, message
from tests.api.native.test_requests import urn_of
from tests.api.native.test_why import left_out, why

AGGREGATES = f"{V21}/os-aggregates"


async def make(compute: Compute, name: str = "fast") -> int:
    reply = await compute.admin.post(AGGREGATES, {"aggregate": {"name": name, "availability_zone": None}})
    assert reply.status == 200, reply.body
    return int(reply.json["aggregate"]["id"])


async def act(compute: Compute, key: int, action: str, given: Any) -> Reply:
    return await compute.admin.post(f"{AGGREGATES}/{key}/action", {action: given})


async def add(compute: Compute, key: int, *hosts: str) -> None:
    for host in hosts:
        reply = await act(compute, key, "add_host", {"host": host})
        assert reply.status == 200, reply.body


async def say(compute: Compute, key: int, **metadata: str | None) -> Reply:
    reply = await act(compute, key, "set_metadata", {"metadata": metadata})
    assert reply.status == 200, reply.body
    return reply


async def shown(compute: Compute, key: int) -> Any:
    reply = await compute.admin.get(f"{AGGREGATES}/{key}")
    assert reply.status == 200, reply.body
    return reply.json["aggregate"]


async def test_the_life_of_an_aggregate(compute: Compute) -> None:
    made = (await compute.admin.post(AGGREGATES, {"aggregate": {"name": " fast "}})).json["aggregate"]
    assert made | {"id": 0, "uuid": "", "created_at": ""} == {
        "id": 0,
        "uuid": "",
        "name": "fast",
        "availability_zone": None,
        "created_at": "",
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    key = made["id"]
    assert await shown(compute, key) == made | {"hosts": [], "metadata": {}} == await shown(compute, made["uuid"])
    await add(compute, key, "host1", compute.hosts[0].id)
    reply = await say(compute, key, ssd="true", tier="gold")
    assert reply.json["aggregate"]["metadata"] == {"ssd": "true", "tier": "gold"}
    assert (await say(compute, key, tier=None, gone=None)).json["aggregate"]["metadata"] == {"ssd": "true"}
    reply = await compute.admin.put(f"{AGGREGATES}/{key}", {"aggregate": {"name": "faster"}})
    after = reply.json["aggregate"]
    assert (after["name"], after["hosts"], after["metadata"]) == ("faster", ["host1", "host0"], {"ssd": "true"})
    assert after["updated_at"] and (await compute.admin.get(AGGREGATES)).json == {"aggregates": [after]}
    reply = await compute.admin.delete(f"{AGGREGATES}/{key}")
    assert reply.status == 400 and "Reason: not empty" in message(reply)
    for host in ("host0", "host1"):
        assert (await act(compute, key, "remove_host", {"host": host})).status == 200
    assert (await compute.admin.delete(f"{AGGREGATES}/{key}")).status == 200
    assert (await compute.admin.get(f"{AGGREGATES}/{key}")).status == 404
    assert (await compute.admin.get(AGGREGATES)).json == {"aggregates": []}


@pytest.mark.parametrize(
    ("action", "given", "status", "said"),
    [
        ("add_host", {"host": "host9"}, 404, "no host host9"),
        ("add_host", {"host": "host0"}, 409, "already has host host0"),
        ("add_host", {"host": ""}, 400, "host"),
        ("add_host", {}, 400, "host"),
        ("add_host", {"host": "host1", "more": 1}, 400, "more"),
        ("remove_host", {"host": "host1"}, 404, "Cannot remove host host1"),
        ("set_metadata", {"metadata": {"a": 1}}, 400, "metadata"),
        ("set_metadata", {"metadata": {"a/b": "c"}}, 400, "metadata"),
        ("set_metadata", {"metadata": {"": "c"}}, 400, "metadata"),
        ("set_metadata", {"metadata": {"a": "x" * 256}}, 400, "metadata"),
        ("set_metadata", {"metadata": {"availability_zone": "z"}}, 400, "a zone is a cluster"),
        ("set_metadata", {"metadata": {f"{n}": "x" for n in range(METADATA_MAX + 1)}}, 400, "at most 128"),
        ("lose_host", {"host": "host0"}, 400, "lose_host"),
    ],
)
async def test_actions_that_cannot_be_done(compute: Compute, action: str, given: Any, status: int, said: str) -> None:
    key = await make(compute)
    await add(compute, key, "host0")
    before = await shown(compute, key)
    reply = await act(compute, key, action, given)
    assert reply.status == status and said in message(reply), reply.body
    assert await shown(compute, key) == before


@pytest.mark.parametrize("body", [{}, {"add_host": {"host": "host0"}, "remove_host": {"host": "host0"}}, [], "x"])
async def test_one_action_at_a_time(compute: Compute, body: Any) -> None:
    reply = await compute.admin.post(f"{AGGREGATES}/{await make(compute)}/action", body)
    assert reply.status == 400 and list(reply.json) == ["badRequest"]


@pytest.mark.parametrize(
    ("method", "given", "status", "said"),
    [
        ("post", {"name": "fast"}, 409, "exists already"),
        ("post", {"name": ""}, 400, "name"),
        ("post", {"name": "  "}, 400, "blank"),
        ("post", {"name": "x" * 256}, 400, "name"),
        ("post", {}, 400, "name"),
        ("post", {"name": "new", "availability_zone": "z"}, 400, "aggregate_instance_extra_specs:PROPERTY"),
        ("post", {"name": "new", "hosts": []}, 400, "hosts"),
        ("put", {}, 400, "is to be given"),
        ("put", {"name": "slow"}, 409, "exists already"),
        ("put", {"availability_zone": "z"}, 400, "a zone is a cluster"),
    ],
)
async def test_what_an_aggregate_cannot_be(compute: Compute, method: str, given: Any, status: int, said: str) -> None:
    key, _ = await make(compute), await make(compute, "slow")
    before = (await compute.admin.get(AGGREGATES)).json
    path = AGGREGATES if method == "post" else f"{AGGREGATES}/{key}"
    reply = await getattr(compute.admin, method)(path, {"aggregate": given})
    assert reply.status == status and said in message(reply), reply.body
    assert (await compute.admin.get(AGGREGATES)).json == before


async def test_that_it_makes_no_zone_may_be_said(compute: Compute) -> None:
    key = await make(compute)
    reply = await compute.admin.put(f"{AGGREGATES}/{key}", {"aggregate": {"availability_zone": None}})
    assert reply.status == 200 and reply.json["aggregate"]["availability_zone"] is None


@pytest.mark.parametrize("key", ["fast", "0", "-1", "99999999999999999999", "%00", "x" * 300])
async def test_an_aggregate_that_is_none(compute: Compute, key: str) -> None:
    await make(compute)
    action = {"add_host": {"host": "host0"}}
    asked = [
        await compute.admin.get(f"{AGGREGATES}/{key}"),
        await compute.admin.put(f"{AGGREGATES}/{key}", {"aggregate": {"name": "x"}}),
        await compute.admin.delete(f"{AGGREGATES}/{key}"),
        await compute.admin.post(f"{AGGREGATES}/{key}/action", action),
        await compute.admin.post(f"{AGGREGATES}/{key}/images", {"cache": []}),
    ]
    assert [reply.status for reply in asked] == [404] * 5
    assert all(list(reply.json) == ["itemNotFound"] for reply in asked)


async def test_what_changes_with_the_versions(compute: Compute) -> None:
    key = await make(compute)
    older, newer = compute.at("2.40", compute.admin), compute.at("2.41", compute.admin)
    assert "uuid" not in (await older.get(f"{AGGREGATES}/{key}")).json["aggregate"]
    assert "uuid" in (await newer.get(f"{AGGREGATES}/{key}")).json["aggregate"]
    body = {"cache": [{"id": compute.image}]}
    assert (await compute.at("2.80", compute.admin).post(f"{AGGREGATES}/{key}/images", body)).status == 404
    reply = await compute.at("2.81", compute.admin).post(f"{AGGREGATES}/{key}/images", body)
    assert reply.status == 400 and "ahead of their first use" in message(reply)


async def test_only_an_admin_may(compute: Compute) -> None:
    key = await make(compute)
    asked = [
        await compute.member.get(AGGREGATES),
        await compute.member.post(AGGREGATES, {"aggregate": {"name": "x"}}),
        await compute.member.get(f"{AGGREGATES}/{key}"),
        await compute.member.put(f"{AGGREGATES}/{key}", {"aggregate": {"name": "x"}}),
        await compute.member.delete(f"{AGGREGATES}/{key}"),
        await compute.member.post(f"{AGGREGATES}/{key}/action", {"add_host": {"host": "host0"}}),
        await compute.member.post(f"{AGGREGATES}/{key}/images", {}),
    ]
    assert {reply.status for reply in asked} == {403}


async def test_a_flavor_takes_its_servers_to_an_aggregate(compute: Compute) -> None:
    key = await make(compute)
    await add(compute, key, "host1")
    await say(compute, key, ssd="true")
    wanting = await flavor(compute, **{"aggregate_instance_extra_specs:ssd": "true"})
    for _ in range(3):
        assert await compute.host_of(await compute.running(flavorRef=wanting)) == 1
    await say(compute, key, ssd="false")
    reply = await compute.member.post(f"{V21}/servers", compute.wanted(flavorRef=wanting))
    fault = (await compute.settled(reply.json["server"]["id"], "ERROR"))["fault"]
    assert "(2 in no host aggregate with ssd=true)" in fault["message"]
    assert left_out(await why(compute, urn_of(reply))) == {"aggregate": 2}


async def test_hosts_are_kept_for_a_project(compute: Compute) -> None:
    key = await make(compute)
    await add(compute, key, "host0")
    await say(compute, key, filter_tenant_id=compute.api.project)
    kept = await make(compute, "for another")
    await add(compute, kept, "host1")
    await say(compute, kept, filter_tenant_id="f" * 32)
    guest, urn = await _running(compute)
    assert await compute.host_of(guest) == 0
    assert left_out(await why(compute, urn)) == {"tenant": 1}
    await say(compute, key, filter_tenant_id="e" * 32)
    fault = (await compute.settled(await compute.create(), "ERROR"))["fault"]
    assert "(2 kept for other projects)" in fault["message"]
    await act(compute, kept, "remove_host", {"host": "host1"})
    assert await compute.host_of(await compute.running()) == 1


async def _running(compute: Compute) -> tuple[str, str]:
    reply = await compute.member.post(f"{V21}/servers", compute.wanted())
    guest = str(reply.json["server"]["id"])
    await compute.settled(guest)
    return guest, urn_of(reply)


async def test_a_host_that_is_retired_is_in_no_aggregate(compute: Compute) -> None:
    key = await make(compute)
    await add(compute, key, "host0", "host1")
    assert (await compute.admin.delete(f"{V21}/os-services/{compute.hosts[0].id}")).status == 204
    assert (await shown(compute, key))["hosts"] == ["host1"]
    assert (await compute.admin.get(AGGREGATES)).json["aggregates"][0]["hosts"] == ["host1"]
    assert (await act(compute, key, "add_host", {"host": "host0"})).status == 404
    assert (await act(compute, key, "remove_host", {"host": "host1"})).status == 200
    assert (await compute.admin.delete(f"{AGGREGATES}/{key}")).status == 200

"""``Prefer: wait``: the answer waits as far as it was asked to, says how far it got, and holds nobody up."""

import asyncio
from typing import Any

import pytest

from freehold.api.admission import Lane
from freehold.api.server import Server
from tests.api.asgi import Reply
from tests.api.compute.conftest import V21, Compute
from tests.owners import turns

LONG = {"prefer": "wait=60"}


async def create(compute: Compute, query: str = "", prefer: str = "wait=60", **fields: Any) -> Reply:
    return await compute.member.ask("POST", f"{V21}/servers{query}", compute.wanted(**fields), {"prefer": prefer})


def boots_in(compute: Compute, boot_s: float) -> None:
    for hypervisor in compute.hypervisors:
        hypervisor.boot_s = boot_s


async def test_until_it_is_active(compute: Compute) -> None:
    reply = await create(compute)
    server = reply.json["server"]
    assert (reply.status, reply.headers["preference-applied"]) == (201, "wait=60, until=active")
    assert (server["status"], len(server["addresses"]["shared"])) == ("ACTIVE", 1) and server["adminPass"]
    assert reply.headers["location"].endswith(server["id"]) and "monitor" in reply.headers["link"]


async def test_until_it_has_its_address_while_it_still_boots(compute: Compute) -> None:
    boots_in(compute, 600.0)
    reply = await create(compute, "?until=addressed")
    server = reply.json["server"]
    assert (reply.status, reply.headers["preference-applied"]) == (201, "wait=60, until=addressed")
    assert server["status"] == "BUILD" and server["addresses"]["shared"][0]["addr"].startswith("10.20.0.")


async def test_at_the_end_of_the_wait_it_is_as_without(compute: Compute) -> None:
    boots_in(compute, 600.0)
    reply = await create(compute, prefer="wait=1")
    assert (reply.status, reply.headers["preference-applied"]) == (202, "wait=1, until=addressed")


@pytest.mark.parametrize("stage", ["admitted", "scheduled"])
async def test_until_a_stage_that_shows_nothing_yet(compute: Compute, stage: str) -> None:
    boots_in(compute, 600.0)
    reply = await create(compute, f"?until={stage}")
    assert reply.status in (201, 202)
    stages = ["admitted", "scheduled", "addressed"]
    got = reply.headers["preference-applied"].partition("until=")[2]
    assert stages.index(got) >= stages.index(stage)


async def test_several_at_once_have_all_come_as_far(compute: Compute) -> None:
    reply = await create(compute, min_count=3)
    assert (reply.status, reply.headers["link"].count("monitor")) == (201, 3)
    servers = (await compute.member.get(f"{V21}/servers/detail")).json["servers"]
    assert [server["status"] for server in servers] == ["ACTIVE"] * 3


async def test_one_that_fails_is_told_at_once(compute: Compute) -> None:
    for name in ("host0", "host1"):
        reply = await compute.admin.put(f"/freehold/v1/hosts/{name}", {"host": {"enabled": False, "reason": "t"}})
        assert reply.status == 200, reply.body
    reply = await create(compute)
    assert (reply.status, reply.headers["preference-applied"]) == (202, "wait=60, until=failed")
    assert reply.json["server"]["status"] == "ERROR" and "No valid host" in reply.json["server"]["fault"]["message"]


async def test_the_same_key_again_waits_for_the_same_guest(compute: Compute) -> None:
    body, headers = compute.wanted(), {"idempotency-key": "k", **LONG}
    first = await compute.member.ask("POST", f"{V21}/servers", body, headers)
    again = await compute.member.ask("POST", f"{V21}/servers", body, headers)
    assert first.status == again.status == 201
    assert first.json["server"]["id"] == again.json["server"]["id"] and first.headers["link"] == again.headers["link"]


async def test_a_stage_that_is_none(compute: Compute) -> None:
    reply = await create(compute, "?until=tomorrow")
    assert reply.status == 400 and "admitted, scheduled, addressed, active" in reply.json["badRequest"]["message"]
    assert (await compute.member.get(f"{V21}/servers")).json["servers"] == []


async def test_an_action_until_it_is_done(compute: Compute) -> None:
    guest = await compute.running()
    path = f"{V21}/servers/{guest}/action"
    reply = await compute.member.ask("POST", path, {"os-stop": None}, LONG)
    assert (reply.status, reply.headers["preference-applied"]) == (200, "wait=60, until=done")
    assert reply.json["server"]["status"] == "SHUTOFF"
    reply = await compute.member.ask("POST", path, {"os-start": None}, LONG)
    assert (reply.status, reply.json["server"]["status"]) == (200, "ACTIVE")


async def test_a_delete_until_nothing_is_left(compute: Compute) -> None:
    guest = await compute.running()
    reply = await compute.member.ask("DELETE", f"{V21}/servers/{guest}", b"", LONG)
    assert (reply.status, reply.headers["preference-applied"]) == (204, "wait=60, until=done")
    assert (await compute.member.get(f"{V21}/servers/{guest}")).status == 404


async def test_who_waits_holds_no_place_among_the_calls(compute: Compute) -> None:
    boots_in(compute, 600.0)
    server = compute.member.app
    assert isinstance(server, Server)
    waiting = [asyncio.create_task(create(compute)) for _ in range(5)]
    await compute.until(lambda: waits(server), lambda count: count == 5)
    assert server.calls.served == 0
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert server.waits.served == server.calls.served == 0


async def waits(server: Server) -> int:
    return server.waits.served


async def test_without_room_to_wait_the_answer_comes_at_once(compute: Compute) -> None:
    server = compute.member.app
    assert isinstance(server, Server)
    server.waits._lane = Lane(calls_max=1, share_max=1, waiting_max=0, wait_s=0)
    await server.waits.enter("another")
    boots_in(compute, 600.0)
    reply = await create(compute)
    assert reply.status == 202 and "preference-applied" not in reply.headers


async def test_when_the_process_ends_nobody_waits_any_longer(compute: Compute) -> None:
    boots_in(compute, 600.0)
    waiting = asyncio.create_task(create(compute))
    server = compute.member.app
    assert isinstance(server, Server)
    await compute.until(lambda: waits(server), lambda count: count == 1)
    compute.api.cloud.view.news.end()
    assert (await waiting).status == 202
    await turns()

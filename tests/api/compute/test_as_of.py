"""Servers as of a moment: what the owners had then, whole or refused."""

import pytest

from tests.api.asgi import Client, Reply
from tests.api.compute.conftest import V21, Compute


async def then(client: Client, path: str, moment: str) -> Reply:
    return await client.get(f"{V21}{path}", freehold_as_of=moment)


async def names(client: Client, moment: str, path: str = "/servers") -> list[str]:
    reply = await then(client, path, moment)
    assert reply.status == 200, reply.body
    return [server["name"] for server in reply.json["servers"]]


async def test_a_server_is_shown_as_it_was(compute: Compute) -> None:
    before = compute.pass_s(100)
    guest = await compute.running(name="web")
    as_web = compute.pass_s(100)
    await compute.member.put(f"{V21}/servers/{guest}", {"server": {"name": "db"}})
    await compute.act(guest, "os-stop")
    await compute.settled(guest, "SHUTOFF")
    as_db = compute.pass_s(100)
    await compute.member.delete(f"{V21}/servers/{guest}")
    await compute.gone(guest)
    gone = compute.pass_s(100)

    reply = await then(compute.member, f"/servers/{guest}", as_web)
    shown = reply.json["server"]
    assert (shown["name"], shown["status"], len(shown["addresses"]["shared"])) == ("web", "ACTIVE", 1)
    assert reply.headers["freehold-as-of"] == as_web.replace("Z", ".000Z")
    shown = (await then(compute.member, f"/servers/{guest}", as_db)).json["server"]
    assert (shown["name"], shown["status"]) == ("db", "SHUTOFF")
    for moment in (before, gone):
        assert (await then(compute.member, f"/servers/{guest}", moment)).status == 404
    assert [await names(compute.member, moment) for moment in (before, as_web, as_db, gone)] == [
        [],
        ["web"],
        ["db"],
        [],
    ]
    assert await names(compute.member, as_web, "/servers/detail?status=ACTIVE") == ["web"]
    assert await names(compute.member, as_db, "/servers/detail?status=ACTIVE") == []


async def test_a_moment_ago_looks_as_now_did(compute: Compute) -> None:
    guests = [await compute.running(name=f"g{n}") for n in range(3)]
    paths = [f"/servers/{guests[0]}", "/servers", "/servers/detail", "/servers/detail?limit=1&sort_key=display_name"]
    for client in (compute.member, compute.admin):
        for path in [*paths, "/servers/detail?all_tenants=1"] if client is compute.admin else paths:
            now = await client.get(f"{V21}{path}")
            moment = compute.pass_s(10)
            was = await then(client, path, moment)
            assert was.json == now.json, path
            assert (await then(client, path, moment)).body == was.body


async def test_pages_of_the_past(compute: Compute) -> None:
    for number in range(3):
        await compute.create(name=f"g{number}")
    moment = compute.pass_s(10)
    first = await then(compute.member, "/servers?limit=2", moment)
    assert [server["name"] for server in first.json["servers"]] == ["g2", "g1"]
    marker = first.json["servers"][-1]["id"]
    await compute.create(name="later")
    assert await names(compute.member, moment, f"/servers?limit=2&marker={marker}") == ["g0"]


async def test_the_past_of_others_is_theirs(compute: Compute) -> None:
    guest = await compute.running()
    moment = compute.pass_s(10)
    assert (await then(compute.other, f"/servers/{guest}", moment)).status == 404
    assert await names(compute.other, moment) == []
    assert (await then(compute.other, "/servers?all_tenants=1", moment)).status == 403


async def test_an_owner_that_cannot_be_asked_is_named(compute: Compute) -> None:
    guest = await compute.running()
    moment, host = compute.pass_s(10), await compute.host_of(guest)
    await compute.cables[host].cut()
    for path in (f"/servers/{guest}", "/servers", "/servers/detail"):
        reply = await then(compute.member, path, moment)
        assert reply.status == 503 and "retry-after" in reply.headers
        assert f"host host{host} can't be asked" in reply.json["serviceUnavailable"]["message"]
    assert await names(compute.other, moment) == [], "a host that has nothing of it isn't needed"
    await compute.cables[host].mend()
    assert await names(compute.member, moment) == ["web"]


async def test_one_cannot_go_back_past_the_horizon(compute: Compute) -> None:
    moment = compute.pass_s(100)
    await compute.running()
    moments = [moment, compute.pass_s(100)]
    registrar = compute.api.registrar
    await registrar.compact(tail=1)
    await compute.create(name="later")
    reply = await then(compute.member, "/servers", moments[0])
    assert reply.status == 410 and reply.json["gone"]["code"] == 410
    message = reply.json["gone"]["message"]
    assert "registrar" in message and " or later" in message
    back_to = message.split("ask for ")[1].split(" or later")[0]
    assert (await then(compute.member, "/servers", back_to)).status == 200
    assert await names(compute.member, moments[1]) == ["web"]


async def test_a_position_is_a_moment(compute: Compute) -> None:
    await compute.running()
    owners = (await compute.admin.get("/freehold/v1/owners")).json["owners"]
    (registrar,) = (owner for owner in owners if owner["role"] == "registrar")
    position = f"position {registrar['store']}:{registrar['seq']}"
    compute.pass_s(10)
    await compute.create(name="later")
    reply = await then(compute.member, "/servers", position)
    assert [server["name"] for server in reply.json["servers"]] == ["web"]
    assert reply.headers["freehold-as-of"].startswith(f"{position}; 20")
    for wrong in (f"position {registrar['store']}:999999", f"position {'0' * 36}:1", "position 7"):
        assert (await then(compute.member, "/servers", wrong)).status == 400


@pytest.mark.parametrize("moment", ["2051-01-01T00:00:00Z", "1950-01-01", "yesterday", ""])
async def test_a_moment_that_cannot_be(compute: Compute, moment: str) -> None:
    reply = await then(compute.member, "/servers", moment)
    assert reply.status == 400 and reply.json["badRequest"]["code"] == 400


@pytest.mark.parametrize("path", ["/flavors", "/servers/x/ips", "/servers?changes-since=2026-01-01"])
async def test_what_has_no_past_says_so(compute: Compute, path: str) -> None:
    assert (await then(compute.member, path, compute.pass_s(10))).status == 400

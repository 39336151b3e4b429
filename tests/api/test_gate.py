"""Who is sent away at the gate, and that it is told what it would be told further in."""

import asyncio
import json
from dataclasses import replace

import pytest
from starlette.types import Receive, Scope, Send

from freehold.api import backlog
from freehold.api.admission import Limits, of_project
from freehold.api.cloud import Cloud
from freehold.api.gate import ENTERED, Let, Refused
from freehold.api.server import Server, application
from freehold.vocabulary.errors import Busy
from freehold.vocabulary.shards import Shards
from tests.api.asgi import Client
from tests.api.conftest import Api
from tests.api.test_admission import LANE
from tests.owners import turns

SERVERS = "/compute/v2.1/servers"


def headers(client: Client) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in client.headers.items()]


def served(cloud: Cloud, client: Client) -> tuple[Server, Client]:
    """A new API process, and the client as it asks there."""
    server = application(cloud)
    return server, replace(client, app=server)


def told(refused: Let | Refused) -> tuple[int, dict[str, str], bytes]:
    assert isinstance(refused, Refused)
    lines = (line.partition(": ") for line in refused.head.decode().splitlines())
    return refused.status, {name: value for name, _, value in lines}, refused.body


@pytest.fixture
def no_room(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registrar has said that it takes no more."""
    monkeypatch.setattr(backlog, "PAUSE_S", 3600.0)
    api.cloud.backlog.has_room(0, 0)


@pytest.mark.parametrize("version", ["", "compute 2.96", "compute latest", "compute none"])
@pytest.mark.usefixtures("no_room")
async def test_the_refusal_is_that_of_the_usual_way(api: Api, version: str) -> None:
    server, member = served(api.cloud, api.member)
    if version:
        member = replace(member, headers={**member.headers, "openstack-api-version": version})
    if version == "compute none":  # what is wrong with a request isn't looked for at the gate
        usual = await replace(member, headers=api.member.headers).post(SERVERS, {})
    else:
        usual = await member.post(SERVERS, {})
    status, head, body = told(server.gate.asked(headers(member)))
    assert (usual.status, usual.body) == (503, body) == (status, body)
    ids = head.pop("x-openstack-request-id"), usual.headers.pop("x-openstack-request-id")
    assert head == usual.headers and int(head["retry-after"]) >= 1
    assert len(set(ids)) == 2 and {len(one) for one in ids} == {len("req-") + 36}


@pytest.mark.usefixtures("no_room")
async def test_each_refusal_has_a_request_id_of_its_own(api: Api) -> None:
    server, member = served(api.cloud, api.member)
    ids = {told(server.gate.asked(headers(member)))[1]["x-openstack-request-id"] for _ in range(5)}
    assert len(ids) == server.gate.refused == server.lanes["guests"].refused == 5


@pytest.mark.usefixtures("no_room")
async def test_what_was_prepared_for_one_is_told_no_other(api: Api) -> None:
    """Another version, or another reason."""
    gate, plain = application(api.cloud).gate, headers(api.member)
    newer = [*plain, (b"openstack-api-version", b"compute 2.96")]
    older = [*plain, (b"x-openstack-nova-api-version", b"2.50")]
    versions = [told(gate.asked(given))[1]["x-openstack-nova-api-version"] for given in (plain, newer, older, plain)]
    assert versions == ["2.1", "2.96", "2.50", "2.1"]
    with pytest.raises(Busy), api.cloud.backlog.asking(0):
        raise Busy("another reason")
    assert b"another reason" in told(gate.asked(plain))[2]


async def test_only_what_asks_for_guests_concerns_it(api: Api) -> None:
    gate = served(api.cloud, api.member)[0].gate
    theirs = [(b"POST", b"/compute/v2.1/servers"), (b"POST", b"/compute/v2.1/servers/")]
    others = [
        (b"GET", b"/compute/v2.1/servers"),
        (b"DELETE", b"/compute/v2.1/servers/1"),
        (b"POST", b"/compute/v2.1/servers/1/action"),
        (b"POST", b"/compute/v2.1/servers2"),
        (b"POST", b"/identity/v3/auth/tokens"),
    ]
    assert [gate.concerns(*one) for one in theirs] == [True] * 2
    assert [gate.concerns(*one) for one in others] == [False] * 5


async def test_a_project_at_its_share_is_told_429_and_others_are_let_through(api: Api) -> None:
    server, member = served(replace(api.cloud, limits=Limits(guests=LANE)), api.member)
    other = replace(api.other, app=server)
    for client in (member, other):
        assert (await client.get(SERVERS)).status == 200  # its token is known from now on
    for _ in range(LANE.share_max):
        await server.guests.enter(of_project(api.project))
    waiting = [asyncio.ensure_future(server.guests.enter(of_project(api.project))) for _ in range(LANE.share_max)]
    await turns()
    status, head, body = told(server.gate.asked(headers(member)))
    assert (status, json.loads(body)["overLimit"]["code"]) == (429, 429) and int(head["retry-after"]) >= 1
    assert isinstance(server.gate.asked(headers(other)), Let)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(server.gate.asked(headers(member)), Let), "nobody of it waits any more"


async def test_who_is_on_the_way_has_a_place(api: Api) -> None:
    """Many requests are read at once, before any of them is begun to be served."""
    lane = replace(LANE, calls_max=1, waiting_max=1)
    server, member = served(replace(api.cloud, limits=Limits(guests=lane)), api.member)
    first, second, third = (server.gate.asked(headers(member)) for _ in range(3))
    assert isinstance(first, Let) and isinstance(second, Let)
    assert told(third)[0] == 503
    assert server.gate.arrived({"extensions": {ENTERED: first}}) == 0
    assert isinstance(server.gate.asked(headers(member)), Let)


async def test_a_place_that_was_taken_at_the_gate_isnt_taken_twice(api: Api) -> None:
    server, member = served(api.cloud, api.member)
    api.cloud.backlog.has_room(0, 1)
    let = server.gate.asked(headers(member))

    async def entered(scope: Scope, receive: Receive, send: Send) -> None:
        await server({**scope, "extensions": {ENTERED: let}}, receive, send)

    reply = await replace(member, app=entered).post(SERVERS, {})
    assert reply.status == 400, "it came as far as its body"
    assert told(server.gate.asked(headers(member)))[0] == 503


async def test_of_several_shards_only_the_one_that_is_busy_refuses_and_only_whom_it_knows(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PAUSE_S", 3600.0)
    shards = Shards(64)
    cloud = replace(api.cloud, shards=shards)
    server, member = served(cloud, api.member)
    other = replace(api.other, app=server)
    mine = shards.of(api.project)
    cloud.backlog.has_room(mine, 0)
    assert server.gate.asked(headers(member)) == Let(None), "its token wasn't seen yet"
    for client in (member, other):
        assert (await client.get("/compute/v2.1/flavors")).status == 200
    assert told(server.gate.asked(headers(member)))[0] == 503
    let = server.gate.asked(headers(other))
    assert isinstance(let, Let) and let.shard not in (None, mine)

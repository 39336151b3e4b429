"""A noisy project takes its own share and no more, and whoever is sent away is told when to come again."""

import asyncio
from dataclasses import replace

import pytest

from freehold.api.admission import Admission, Lane, Limits
from freehold.api.cloud import Cloud
from freehold.api.server import Server, application
from freehold.vocabulary.errors import FreeholdError
from tests.api.asgi import Client
from tests.api.conftest import Api
from tests.owners import turns

LANE = Lane(calls_max=3, share_max=2, waiting_max=2, wait_s=0.05)


def entering(admission: Admission, who: str) -> "asyncio.Task[None]":
    return asyncio.ensure_future(admission.enter(who))


async def refused(admission: Admission, who: str) -> str:
    with pytest.raises(FreeholdError) as caught:
        await asyncio.wait_for(admission.enter(who), 5)
    return str(getattr(caught.value, "status", type(caught.value).__name__))


async def test_a_project_at_its_share_is_told_so_while_another_is_served() -> None:
    admission = Admission(LANE, "requests")
    await admission.enter("noisy")
    await admission.enter("noisy")
    assert await refused(admission, "noisy") == "429"
    await asyncio.wait_for(admission.enter("quiet"), 5)
    assert (admission.served, admission.waiting, admission.refused) == (3, 0, 1)


async def test_who_has_room_where_the_process_has_none_is_told_that() -> None:
    admission = Admission(LANE, "requests")
    for who in ("a", "b", "c"):
        await admission.enter(who)
    assert await refused(admission, "d") == "Unavailable"


async def test_who_waits_is_let_in_when_one_leaves_the_quietest_project_first() -> None:
    admission = Admission(replace(LANE, wait_s=5), "requests")
    for who in ("a", "a", "b"):
        await admission.enter(who)
    again, fresh = entering(admission, "b"), entering(admission, "c")
    await turns()
    admission.leave("a")
    await asyncio.wait_for(fresh, 5)
    assert not again.done()
    admission.leave("a")
    await asyncio.wait_for(again, 5)


async def test_only_so_many_wait() -> None:
    admission = Admission(replace(LANE, wait_s=5), "requests")
    for who in ("a", "b", "c"):
        await admission.enter(who)
    waiting = [entering(admission, "d"), entering(admission, "e")]
    await turns()
    assert await asyncio.wait_for(refused(admission, "f"), 1) == "Unavailable"
    for task in waiting:
        task.cancel()


async def test_one_project_s_waiting_calls_leave_others_their_place_in_the_queue() -> None:
    admission = Admission(replace(LANE, waiting_max=10, wait_s=5), "requests")
    for who in ("a", "b", "c"):
        await admission.enter(who)
    noisy = [entering(admission, "noisy") for _ in range(8)]
    await turns()
    assert admission.waiting == LANE.share_max
    quiet = entering(admission, "quiet")
    await turns()
    admission.leave("a")
    await turns()
    admission.leave("b")
    await asyncio.wait_for(quiet, 5)
    await asyncio.gather(*noisy[2:], return_exceptions=True)
    for task in noisy:
        task.cancel()


async def test_who_goes_away_while_it_waits_leaves_nothing_behind() -> None:
    admission = Admission(replace(LANE, wait_s=5), "requests")
    for who in ("a", "b", "c"):
        await admission.enter(who)
    waiting = entering(admission, "d")
    await turns()
    waiting.cancel()
    await turns()
    assert admission.waiting == 0
    let_in = entering(admission, "d")
    await turns()
    admission.leave("a")
    let_in.cancel()  # at the very moment it is let in
    await asyncio.gather(let_in, return_exceptions=True)
    admission.leave("b")
    admission.leave("c")
    assert (admission.served, admission.waiting) == (0, 0)


class Busy:
    """An API whose calls are all taken by a project."""

    def __init__(self, cloud: Cloud, lane: Lane) -> None:
        self.server = application(replace(cloud, limits=Limits(lane, lane)))
        assert isinstance(self.server, Server)
        self.calls, self.transfers = self.server.calls, self.server.transfers

    def as_seen_by(self, client: Client) -> Client:
        return replace(client, app=self.server)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/compute/v2.1/flavors", ("overLimit", "code")),
        ("/identity/v3/auth/projects", ("error", "code")),
        ("/image/v2/images", ("code",)),
    ],
)
async def test_429_comes_in_each_service_s_format_with_retry_after(api: Api, path: str, fault: tuple[str, ...]) -> None:
    busy = Busy(api.cloud, LANE)
    for _ in range(LANE.share_max):
        await busy.calls.enter(f"project {api.project}")
    reply = await busy.as_seen_by(api.member).get(path)
    told = reply.json
    for name in fault:
        told = told[name]
    assert (reply.status, told) == (429, 429)
    assert int(reply.headers["retry-after"]) >= 1
    assert (await busy.as_seen_by(api.other).get(path)).status in (200, 403)  # the other project isn't held back


async def test_neutron_s_429_and_the_503_of_a_full_process(api: Api) -> None:
    busy = Busy(api.cloud, LANE)
    for _ in range(LANE.share_max):
        await busy.calls.enter(f"project {api.project}")
    reply = await busy.as_seen_by(api.member).get("/network/v2.0/networks")
    assert (reply.status, reply.json["NeutronError"]["type"]) == (429, "HTTPTooManyRequests")
    await busy.calls.enter("a third")
    reply = await busy.as_seen_by(api.other).get("/network/v2.0/networks")
    assert (reply.status, int(reply.headers["retry-after"]) >= 1) == (503, True)


async def test_transfers_don_t_keep_calls_waiting_and_every_call_gives_its_place_back(api: Api) -> None:
    busy = Busy(api.cloud, LANE)
    for who in ("a", "b", "c"):
        await busy.transfers.enter(who)
    member = busy.as_seen_by(api.member)
    for path in ("/image/v2/images", "/image/v2/none", "/image/v2/images/none"):
        assert (await member.get(path)).status in (200, 404)
    assert busy.calls.served == 0
    assert (await member.get("/image/v2/images/none/file")).status == 503


async def test_requests_for_servers_keep_nobody_waiting_and_wait_for_nobody(api: Api) -> None:
    """They have a lane of their own."""
    servers, server = "/compute/v2.1/servers", application(replace(api.cloud, limits=Limits(calls=LANE, guests=LANE)))
    member = replace(api.member, app=server)
    for _ in range(LANE.share_max):
        await server.guests.enter(f"project {api.project}")
    assert (await member.post(servers, {})).json["overLimit"]["code"] == 429
    assert (await member.get(servers)).status == 200
    assert (await member.delete(f"{servers}/none")).status == 404
    for _ in range(LANE.share_max):
        server.guests.leave(f"project {api.project}")
        await server.calls.enter(f"project {api.project}")
    assert (await member.get(servers)).status == 429
    assert (await member.post(servers, {})).status == 400

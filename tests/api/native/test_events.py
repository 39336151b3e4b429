"""Streams of events: what happens, as it happens; gone on with anywhere; cut off, ended, or begun anew with a word."""

from typing import Any

import pytest

from freehold.api.admission import Lane
from freehold.api.native import events
from freehold.api.server import Server
from freehold.bus import subjects
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.store.database import put
from freehold.views import missed, news, questions
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import NoRoom
from freehold.vocabulary.guest import GuestState
from tests.api.compute.conftest import V21, Compute
from tests.api.native.test_requests import REQUESTS, create
from tests.owners import a_guest, replace_all
from tests.reading import EVENTS, Reader, reading


async def test_a_project_is_told_what_happens_in_it(compute: Compute) -> None:
    async with reading(compute.member) as reader, reading(compute.other) as stranger:
        guest, urn = await create(compute)
        await reader.seen("request.active")
        await compute.settled(guest)
        await compute.act(guest, "os-stop")
        await reader.seen("request.done")
        await compute.member.delete(f"{V21}/servers/{guest}")
        await reader.seen("guest.deleted")
        told = reader.types
    assert stranger.events == []
    assert told.index("request.admitted") < told.index("request.scheduled") < told.index("request.active")
    assert {"guest.building", "guest.active", "guest.addressed", "guest.stopped", "request.deleting"} <= set(told)
    assert len({event["id"] for event in reader.events}) == len(reader.events)
    about = [event for event in reader.events if event["type"] == "freehold.request.active"]
    assert about[0]["subject"] == f"request/{urn}" and about[0]["data"]["guest"] == guest
    assert all(event["source"] == f"/freehold/projects/{compute.api.project}" for event in reader.events)


async def test_a_requests_stream_begins_with_how_it_stands_and_ends_with_it(compute: Compute) -> None:
    slow(*compute.hypervisors)
    _, urn = await create(compute)
    async with reading(compute.member, f"{REQUESTS}/{urn}/events") as reader:
        assert reader.types[0] == "request.state" and reader.events[0]["data"]["urn"] == urn
        slow(*compute.hypervisors, boot_s=0.0)
        await create(compute)
        assert (await compute.member.delete(f"{REQUESTS}/{urn}")).status == 202
        await reader.over()
    assert reader.types[-1] == "request.failed" and reader.events[-1]["data"]["id"] == urn
    async with reading(compute.member, f"{REQUESTS}/{urn}/events") as reader:
        await reader.over()
    assert reader.types == ["request.state"]


def slow(*hypervisors: SimulatedHypervisor, boot_s: float = 600.0) -> None:
    for hypervisor in hypervisors:
        hypervisor.boot_s = boot_s


async def test_a_guests_stream_is_of_that_guest(compute: Compute) -> None:
    guest, other = await compute.running(), await compute.running()
    async with reading(compute.member, f"/freehold/v1/guests/{guest}/events") as reader:
        await compute.act(other, "os-stop")
        await compute.act(guest, "os-stop")
        await reader.seen("guest.stopped")
    assert reader.types[0] == "guest.state"
    assert {event["data"].get("guest", event["data"]["id"]) for event in reader.events[1:]} == {guest}


@pytest.mark.parametrize("path", [f"{REQUESTS}/urn:x/events", "/freehold/v1/guests/x/events"])
async def test_of_what_is_not_there(compute: Compute, path: str) -> None:
    assert (await compute.member.get(path)).status == 404


async def test_of_anothers(compute: Compute) -> None:
    guest = await compute.running()
    assert (await compute.other.get(f"/freehold/v1/guests/{guest}/events")).status == 404
    assert (await compute.api.nobody.get(EVENTS)).status == 401


# --- going on


async def test_who_comes_back_goes_on_exactly_there(compute: Compute) -> None:
    async with reading(compute.member) as witness:
        async with reading(compute.member) as reader:
            first = await compute.running()
            await reader.seen("request.active")
        before, last = list(reader.events), reader.last
        second = await compute.running()
        await compute.act(first, "os-stop")
        await compute.member.delete(f"{V21}/servers/{second}")
        await witness.seen("guest.deleted")
        await witness.seen("request.done", 2)
        async with reading(compute.member, last=last) as reader:
            await reader.until(lambda reader: len(before) + len(reader.events) >= len(witness.events))
            third = await compute.running()
            await reader.seen("request.active", 2)
            await compute.act(third, "os-stop")
            await reader.seen("guest.stopped", 2)
            await witness.seen("guest.stopped", 2)
            await witness.until(lambda reader: reader.types.count("request.done") == 3)
            await reader.until(lambda reader: len(before) + len(reader.events) >= len(witness.events))
        whole = [event["id"] for event in [*before, *reader.events]]
        assert len(whole) == len(set(whole)) and set(whole) == {event["id"] for event in witness.events}
        assert {event["id"]: event for event in reader.events}.items() <= {e["id"]: e for e in witness.events}.items()


async def test_from_every_id_there_is_exactly_the_rest(compute: Compute) -> None:
    async with reading(compute.member) as reader:
        start = reader.last
        for hypervisor in compute.hypervisors:
            hypervisor.fail("make_disk", NoRoom("not here"))
        guests = [await compute.create() for _ in range(6)]
        await reader.seen("request.active", 4)
        await reader.until(lambda reader: reader.types.count("request.active") + reader.types.count("guest.error") == 6)
        assert "request.refused" in reader.types
        guests = [guest for guest in guests if (await compute.server(guest))["status"] == "ACTIVE"]
        await compute.settled(guests[0])
        await compute.member.delete(f"{V21}/servers/{guests[0]}")
        await reader.seen("guest.deleted")
        await reader.seen("request.done")
        await reader.until(lambda reader: reader.types.count("guest.active") >= reader.types.count("request.active"))
    ids = {event["id"] for event in reader.events}
    for count, last in enumerate([start, *reader.ids]):
        known = {event["id"] for event in reader.events[:count]}
        async with reading(compute.member, last=last) as again:
            await again.until(lambda again, known=known: len(again.events) >= len(ids) - len(known))
        told = [event["id"] for event in again.events]
        assert sorted(told) == sorted(ids - known), (count, again.types)


@pytest.mark.parametrize("last", ["nonsense", "many", "AQA", "%", "é"])
async def test_who_cannot_go_on_is_told_so_and_given_the_state(compute: Compute, last: str) -> None:
    guest = await compute.running()
    slow(*compute.hypervisors)
    _, urn = await create(compute)
    client = compute.member
    async with reading(client, f"{EVENTS}?last_event_id={last}") as reader:
        await reader.seen("feed.complete")
        assert reader.types[0] == "feed.behind" and "can't go on" in reader.events[0]["data"]["reason"]
        states = {
            event["data"]["id"]: event["data"]["status"] for event in reader.events if "guest.state" in event["type"]
        }
        assert states[guest] == "ACTIVE" and len(states) == 2
        assert [e["data"]["urn"] for e in reader.events if e["type"] == "freehold.request.state"] == [urn]
        assert reader.types.index("feed.complete") == 4
        last = reader.last
    async with reading(client, last=last) as reader:
        await compute.act(guest, "os-stop")
        await reader.seen("guest.stopped")
    assert "feed.behind" not in reader.types


async def test_what_is_older_than_the_horizon_is_not_gone_on_from(compute: Compute) -> None:
    async with reading(compute.member) as reader:
        last = reader.last
    await compute.running()
    await compute.api.registrar.compact(tail=1)
    async with reading(compute.member, last=last) as reader:
        await reader.seen("feed.complete")
    assert reader.types == ["feed.behind", "guest.state", "feed.complete"]
    assert "older than is still known" in reader.events[0]["data"]["reason"]


async def test_an_owner_that_cannot_be_asked_is_not_waited_for(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ASK_DEADLINE_S", 0.05)
    async with reading(compute.member) as reader:
        guest = await compute.running()
        await reader.seen("request.active")
        last = reader.last
    await compute.act(guest, "os-stop")
    await compute.settled(guest, "SHUTOFF")
    await compute.cables[await compute.host_of(guest)].cut()
    async with reading(compute.member, last=last) as reader:
        await reader.over()
    assert reader.types == ["feed.cut"] and "Come back" in reader.events[0]["data"]["reason"], "it was heard just now"
    assert reader.last == ""
    monkeypatch.setattr(missed, "SILENT_S", 0.0)
    async with reading(compute.member, last=last) as reader:
        await reader.seen("feed.complete")
    assert reader.types[0] == "feed.behind" and reader.events[1]["data"]["status"] == "SHUTOFF"


async def test_readers_that_come_back_at_once_ask_an_owner_once(compute: Compute) -> None:
    async with reading(compute.member) as reader:
        last = reader.last
    guest = await compute.running()
    host = subjects.owner(compute.hosts[await compute.host_of(guest)].owner)
    asked: list[str] = []
    bus: Any = compute.api.cloud.bus
    ask = bus.ask

    async def noted(subject: str, body: bytes, deadline_s: float) -> bytes:
        asked.append(subject)
        return bytes(await ask(subject, body, deadline_s))

    bus.ask = noted
    readers = [Reader(compute.member.app) for _ in range(20)]
    for one in readers:
        one.open(EVENTS, compute.member.headers | {"last-event-id": last})
    for one in readers:
        await one.seen("guest.active")
    assert asked.count(host) < 5
    for one in readers:
        await one.leave()


async def test_an_owner_that_begins_anew_is_told_with_the_state(compute: Compute) -> None:
    guest = await compute.running()
    host = compute.hosts[await compute.host_of(guest)]
    async with reading(compute.member) as reader:
        state = Position(epoch="another", seq=1)
        view: Any = compute.api.cloud.view
        replace_all(view, host.owner, state, host.complete(("", "")).rows)
        await reader.seen("feed.complete")
    assert reader.types == ["feed.behind", "guest.state", "feed.complete"]


async def test_what_a_host_tells_of_a_guest_it_was_not_given_is_told_to_nobody(compute: Compute) -> None:
    guest = await compute.running()
    number = await compute.host_of(guest)
    liar = compute.hosts[1 - number]
    async with reading(compute.member) as reader:
        lie = a_guest(guest, liar.id, 9, GuestState.CRASHED, project=compute.api.project, cluster="default")
        await liar.commit([put(guest, lie)], "lie")
        await compute.act(guest, "os-stop")
        await reader.seen("guest.stopped")
    assert "guest.error" not in reader.types


# --- ends


async def test_a_stream_ends_with_its_token(compute: Compute) -> None:
    async with reading(compute.member) as reader:
        token = compute.member.headers["x-auth-token"]
        reply = await compute.member.delete("/identity/v3/auth/tokens", x_subject_token=token)
        assert reply.status == 204, reply.body
        await reader.over()
    assert reader.types == ["feed.cut"]


async def test_a_stream_ends_when_its_token_expires(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BEAT_S", 0.05)
    async with reading(compute.member) as reader:
        await reader.until(lambda reader: reader.comments >= 1)
        compute.api.clock.ahead_s += 7 * 24 * 3600
        await reader.over()
    assert reader.types[-1] == "feed.cut"


async def test_a_slow_reader_is_cut_off_told_so_and_may_go_on(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "QUEUED_MAX", 3)
    async with reading(compute.member) as reader:
        reader.took.clear()
        await compute.running()
        await compute.running()
        reader.took.set()
        await reader.over()
    assert reader.types[-1] == "feed.cut" and "too slowly" in reader.events[-1]["data"]["reason"]
    monkeypatch.setattr(news, "QUEUED_MAX", 1000)
    async with reading(compute.member, last=reader.last) as again:
        await again.until(lambda again: [*reader.types, *again.types].count("request.active") == 2)
    told = [event["id"] for event in (*reader.events, *again.events)]
    assert len(told) == len(set(told))


async def test_where_nothing_happens_the_place_moves_on_all_the_same(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BEAT_S", 0.05)
    async with reading(compute.other) as reader:
        first = reader.last
        await compute.running()
        await reader.until(lambda reader: reader.last != first and reader.comments >= 2)
    assert reader.events == []


async def test_when_the_process_ends_readers_are_told_to_come_back(compute: Compute) -> None:
    async with reading(compute.member) as reader:
        compute.api.cloud.view.news.end()
        await reader.over()
    assert reader.types == ["feed.cut"] and "Come back" in reader.events[0]["data"]["reason"]


async def test_only_so_many_read_and_who_leaves_makes_room(compute: Compute) -> None:
    server = compute.member.app
    assert isinstance(server, Server)
    server.streams._lane = Lane(calls_max=1, share_max=1, waiting_max=0, wait_s=0)
    async with reading(compute.member):
        assert server.calls.served == 0
        assert (await compute.member.get(EVENTS)).status == 429
        assert (await compute.other.get(EVENTS)).status == 503
    async with reading(compute.other) as reader:
        assert reader.status == 200
    assert server.streams.served == 0 and not compute.api.cloud.view.news._listening

"""changes-since: a poller misses nothing, not even what a host wrote while it was cut off."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from freehold.api.server import application
from freehold.bus import subjects, talk
from freehold.store.database import Store
from freehold.views.cloud import CloudView
from freehold.vocabulary.envelope import Hello, Position
from tests.api.asgi import Client
from tests.api.compute.conftest import V21, Compute

SOON_S = 300
"""More than the margin by which a process may learn of something late."""


async def changed(compute: Compute, since: str, client: Client | None = None, more: str = "") -> dict[str, Any]:
    """Status by name of what has changed since."""
    reply = await (client or compute.member).get(f"{V21}/servers/detail?changes-since={since}{more}")
    assert reply.status == 200, reply.body
    return {server["name"]: server["status"] for server in reply.json["servers"]}


@asynccontextmanager
async def another(compute: Compute, folder: Path) -> AsyncIterator[Client]:
    """Another API process with a view of its own that starts from nothing, as the member."""
    cloud = compute.api.cloud
    view = CloudView(cloud.bus, cloud.clock, folder / "another", "boot")
    await view.open()
    client = Client(application(replace(cloud, view=view)), compute.member.headers)
    await compute.until(lambda: client.get(f"{V21}/servers"), lambda reply: reply.status == 200)
    yield client
    await view.close()


async def test_what_changed_is_shown_and_nothing_else(compute: Compute) -> None:
    first = await compute.running(name="first")
    since = compute.pass_s(SOON_S)
    assert await changed(compute, since) == {}
    await compute.running(name="second")
    assert await changed(compute, since) == {"second": "ACTIVE"}
    await compute.act(first, "os-stop")
    await compute.settled(first, "SHUTOFF")
    assert await changed(compute, since) == {"first": "SHUTOFF", "second": "ACTIVE"}
    assert await changed(compute, "2051-01-01T00:00:00Z") == {}


async def test_a_poller_sees_what_a_host_did_while_it_was_cut_off(compute: Compute) -> None:
    guest = await compute.running()
    host = await compute.host_of(guest)
    compute.pass_s(SOON_S)
    await compute.cables[host].cut()
    stood = compute.hosts[host].position()
    compute.hypervisors[host].crash(guest)
    await compute.until(_position(compute.hosts[host]), lambda position: position != stood)
    changed_at = compute.pass_s(SOON_S)
    since = compute.pass_s(SOON_S)
    assert await changed(compute, since) == {}, "nobody here has heard of it"
    compute.pass_s(SOON_S)
    await compute.cables[host].mend()
    await talk.say(compute.api.cloud.bus, subjects.hello("host"), Hello())
    shown = await compute.settled(guest, "ERROR")
    assert shown["updated"] < changed_at < since, "it happened long before"
    assert await changed(compute, since) == {"web": "ERROR"}


def _position(store: Store) -> Callable[[], Awaitable[Position]]:
    async def position() -> Position:
        return store.position()

    return position


async def test_going_from_process_to_process_misses_nothing(compute: Compute, tmp_path: Path) -> None:
    since, seen = compute.pass_s(SOON_S), set()
    async with another(compute, tmp_path) as second:
        for number in range(6):
            await compute.create(name=f"g{number}")
            seen |= set(await changed(compute, since, (compute.member, second)[number % 2]))
            since = compute.pass_s(2)
    assert seen == {f"g{number}" for number in range(6)}


async def test_what_is_gone_is_shown_as_deleted(compute: Compute) -> None:
    for name in ("a", "b", "c"):
        await compute.running(name=name)
    since = compute.pass_s(SOON_S)
    (gone,) = [server["id"] for server in (await compute.member.get(f"{V21}/servers?name=b")).json["servers"]]
    await compute.member.delete(f"{V21}/servers/{gone}")
    await compute.gone(gone)
    assert await changed(compute, since) == {"b": "DELETED"}
    (shown,) = (await compute.member.get(f"{V21}/servers/detail?changes-since={since}")).json["servers"]
    assert shown["OS-EXT-STS:vm_state"] == "deleted" and shown["OS-SRV-USG:terminated_at"] is not None
    listed = [server["name"] for server in (await compute.member.get(f"{V21}/servers")).json["servers"]]
    assert listed == ["c", "a"]
    assert await changed(compute, since, compute.other) == {}
    assert (await compute.member.get(f"{V21}/servers/{gone}")).status == 404
    assert await changed(compute, compute.pass_s(SOON_S)) == {}


async def test_pages_go_on_behind_one_that_is_gone(compute: Compute) -> None:
    since = compute.pass_s(10)
    ids = {name: await compute.running(name=name) for name in ("a", "b", "c")}
    await compute.member.delete(f"{V21}/servers/{ids['b']}")
    await compute.gone(ids["b"])
    found: list[str] = []
    for _ in range(3):
        marker = f"&marker={ids[found[-1]]}" if found else ""
        found += await changed(compute, since, more=f"&limit=1{marker}")
    assert found == ["c", "b", "a"]
    assert list(await changed(compute, since, more="&sort_key=display_name&sort_dir=asc")) == ["a", "b", "c"]


async def test_a_new_view_shows_more_never_less(compute: Compute, tmp_path: Path) -> None:
    await compute.running(name="a")
    gone = await compute.running(name="b")
    compute.pass_s(SOON_S)
    since = compute.pass_s(SOON_S)
    await compute.member.delete(f"{V21}/servers/{gone}")
    await compute.gone(gone)
    assert await changed(compute, since) == {"b": "DELETED"}
    async with another(compute, tmp_path) as client:
        assert await changed(compute, since, client) == {"a": "ACTIVE", "b": "DELETED"}


async def test_an_answer_says_until_when_it_is_whole(compute: Compute) -> None:
    guest = await compute.running()
    host = await compute.host_of(guest)

    async def until() -> str:
        reply = await compute.member.get(f"{V21}/servers?changes-since=2026-01-01")
        return reply.headers["freehold-changes-until"]

    before = await until()
    later = compute.pass_s(100)
    assert before < later < await until()
    await compute.cables[host].cut()
    compute.api.clock.waited_s += 60
    stands = await until()
    compute.pass_s(100)
    assert await until() == stands, "what the silent host does isn't known"
    assert "freehold-changes-until" not in (await compute.member.get(f"{V21}/servers")).headers


async def test_a_window(compute: Compute) -> None:
    first = compute.pass_s(SOON_S)
    await compute.running(name="early")
    middle = compute.pass_s(SOON_S)
    await compute.running(name="late")
    last = compute.pass_s(10)
    assert await changed(compute, first, more=f"&changes-before={middle}") == {"early": "ACTIVE"}
    assert set(await changed(compute, first, more=f"&changes-before={last}")) == {"early", "late"}
    reply = await compute.member.get(f"{V21}/servers?changes-since={last}&changes-before={middle}")
    assert reply.status == 400


async def test_an_admin_may_ask_for_what_is_gone(compute: Compute) -> None:
    await compute.running(name="stays")
    gone = await compute.running(name="goes")
    await compute.member.delete(f"{V21}/servers/{gone}")
    await compute.gone(gone)

    async def names(client: Client, deleted: str) -> list[str]:
        reply = await client.get(f"{V21}/servers?all_tenants=1&deleted={deleted}")
        return [server["name"] for server in reply.json["servers"]]

    assert await names(compute.admin, "true") == ["goes"]
    assert await names(compute.admin, "false") == ["stays"]

"""Requests by URN: told with every answer, shown with their stages, listed in pages, cancelled while it is possible."""

from typing import Any

import pytest

from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.store.database import put
from freehold.vocabulary.errors import NoRoom
from freehold.vocabulary.guest import Action
from tests.api.asgi import Reply
from tests.api.compute.conftest import V21, Compute

REQUESTS = "/freehold/v1/requests"
FOREVER_S = 600.0


def urn_of(reply: Reply) -> str:
    """The URN that an answer's Link leads to; its id is that of the answer's request id."""
    urn = reply.headers["link"].partition(f"{REQUESTS}/")[2].partition(">")[0]
    assert reply.headers["x-openstack-request-id"] == "req-" + urn.removeprefix("urn:freehold:request:")
    return urn


async def shown(compute: Compute, urn: str) -> Any:
    reply = await compute.member.get(f"{REQUESTS}/{urn}")
    assert reply.status == 200, reply.body
    return reply.json["request"]


async def create(compute: Compute) -> tuple[str, str]:
    """The guest and the URN of a new server."""
    reply = await compute.member.post(f"{V21}/servers", compute.wanted())
    assert reply.status == 202, reply.body
    return reply.json["server"]["id"], urn_of(reply)


def slow(*hypervisors: SimulatedHypervisor, boot_s: float = FOREVER_S) -> None:
    for hypervisor in hypervisors:
        hypervisor.boot_s = boot_s


async def test_a_create_is_shown_from_its_admission_to_its_end(compute: Compute) -> None:
    guest, urn = await create(compute)
    ended = await compute.until(lambda: shown(compute, urn), lambda request: request["outcome"] is not None)
    assert (ended["action"], ended["outcome"], ended["stage"], ended["guest"]) == ("create", "done", "active", guest)
    stages = [stage["stage"] for stage in ended["stages"]]
    assert stages[0] == "admitted" and stages[-1] == "active" and {"scheduled", "addressed"} <= set(stages)
    times = [stage["time"] for stage in ended["stages"]]
    assert times == sorted(times)
    server = await compute.server(guest)
    assert ended["server"]["addresses"] == [server["addresses"]["shared"][0]["addr"]]
    assert (ended["attempts"], ended["refusals"], ended["fault"]) == (1, [], None)
    assert ended["server"]["status"] == "ACTIVE" and ended["deadline"] > ended["created"]


async def test_the_address_is_shown_while_the_guest_still_boots(compute: Compute) -> None:
    slow(*compute.hypervisors)
    _, urn = await create(compute)
    booting = await compute.until(lambda: shown(compute, urn), lambda request: request["server"]["addresses"])
    assert booting["server"]["status"] == "BUILD" and booting["outcome"] is None


async def test_why_hosts_refused_is_shown_without_their_figures(compute: Compute) -> None:
    for hypervisor in compute.hypervisors:
        hypervisor.fail("make_disk", NoRoom("host7.rack3 has no room"))
    guest, urn = await create(compute)
    ended = await compute.until(lambda: shown(compute, urn), lambda request: request["outcome"] is not None)
    assert ended["outcome"] == "failed" and ended["attempts"] == 3 and ended["fault"]["code"] == "NoRoom"
    assert [refusal["attempt"] for refusal in ended["refusals"]] == [1, 2]
    assert "rack3" not in str(ended["refusals"])
    assert (await compute.server(guest))["status"] == "ERROR"


async def test_by_the_id_that_openstack_clients_show(compute: Compute) -> None:
    _, urn = await create(compute)
    reply = await compute.member.get(f"{REQUESTS}/req-{urn.rpartition(':')[2]}")
    assert reply.json["request"]["urn"] == urn


async def test_what_was_done_to_a_guest_is_a_request(compute: Compute) -> None:
    guest = await compute.running()
    reply = await compute.act(guest, "os-stop")
    assert reply.status == 202 and reply.headers["location"].endswith(f"{REQUESTS}/{urn_of(reply)}")
    ended = await compute.until(lambda: shown(compute, urn_of(reply)), lambda request: request["outcome"] is not None)
    assert (ended["action"], ended["outcome"], ended["guest"]) == ("stop", "done", guest)
    assert [stage["stage"] for stage in ended["stages"]] == ["started", "done"]
    (listed, *_) = (await compute.member.get(f"{V21}/servers/{guest}/os-instance-actions")).json["instanceActions"]
    assert listed["request_id"] == reply.headers["x-openstack-request-id"]


async def test_a_delete_is_a_request_that_outlives_its_guest(compute: Compute) -> None:
    guest = await compute.running()
    reply = await compute.member.delete(f"{V21}/servers/{guest}")
    assert reply.status == 204
    await compute.gone(guest)
    ended = await compute.until(lambda: shown(compute, urn_of(reply)), lambda request: request["outcome"] is not None)
    assert (ended["action"], ended["outcome"], ended["server"]) == ("delete", "done", None)


@pytest.mark.parametrize("name", ["urn:freehold:request:00000000-0000-4000-8000-000000000000", "x", "req-", "%00"])
async def test_what_is_not_there_is_not_found(compute: Compute, name: str) -> None:
    assert (await compute.member.get(f"{REQUESTS}/{name}")).status == 404
    assert (await compute.member.delete(f"{REQUESTS}/{name}")).status == 404


async def test_another_projects_is_not_found_and_an_admin_sees_it(compute: Compute) -> None:
    _, urn = await create(compute)
    assert (await compute.other.get(f"{REQUESTS}/{urn}")).status == 404
    assert (await compute.other.delete(f"{REQUESTS}/{urn}")).status == 404
    assert (await compute.admin.get(f"{REQUESTS}/{urn}")).status == 200
    assert (await compute.api.nobody.get(f"{REQUESTS}/{urn}")).status == 401


async def test_what_a_host_tells_of_a_guest_it_was_not_given_is_no_request(compute: Compute) -> None:
    guest = await compute.running()
    liar = compute.hosts[1 - await compute.host_of(guest)]
    urn = "urn:freehold:request:00000000-0000-4000-8000-00000000000a"
    lie = Action(guest=guest, project=compute.api.project, urn=urn, action="stop", user="x", deed=99, started=1)
    await liar.commit([put(f"{guest}/{urn}", lie)], "lie")
    await compute.until(lambda: known(compute, urn), bool)
    assert (await compute.member.get(f"{REQUESTS}/{urn}")).status == 404
    assert urn not in await listed(compute)


async def known(compute: Compute, urn: str) -> str:
    return compute.api.cloud.view.action_of(urn)


# --- lists


async def listed(compute: Compute, query: str = "") -> list[str]:
    reply = await compute.member.get(f"{REQUESTS}{query}")
    assert reply.status == 200, reply.body
    return [request["urn"] for request in reply.json["requests"]]


async def test_a_list_is_of_the_project_the_newest_first(compute: Compute) -> None:
    guest, first = await create(compute)
    await compute.settled(guest)
    stopped = urn_of(await compute.act(guest, "os-stop"))
    _, last = await create(compute)
    assert await listed(compute) == [last, stopped, first]
    assert await listed(compute, "?action=stop") == [stopped]
    assert await listed(compute, f"?guest={guest}") == [stopped, first]
    assert first in await listed(compute, "?outcome=done")
    assert (await compute.other.get(REQUESTS)).json == {"requests": []}
    everybodys = (await compute.admin.get(f"{REQUESTS}?all_projects=1")).json["requests"]
    assert {request["urn"] for request in everybodys} == {first, stopped, last}
    assert (await compute.member.get(f"{REQUESTS}?all_projects=1")).status == 403


async def test_pages_neither_skip_nor_double(compute: Compute) -> None:
    urns = [(await create(compute))[1] for _ in range(5)]
    found: list[str] = []
    path = f"{REQUESTS}?limit=2"
    while path:
        page = (await compute.member.get(path)).json
        found += [request["urn"] for request in page["requests"]]
        path = page.get("links", [{"href": ""}])[0]["href"].removeprefix("http://cloud.example")
    assert found == urns[::-1]


@pytest.mark.parametrize("query", ["outcome=maybe", "limit=x", "marker=nobody", "colour=red", "all_projects=perhaps"])
async def test_a_list_that_cannot_be(compute: Compute, query: str) -> None:
    assert (await compute.member.get(f"{REQUESTS}?{query}")).status == 400


# --- cancelling


async def test_a_build_is_cancelled_and_nothing_is_left(compute: Compute) -> None:
    slow(*compute.hypervisors, boot_s=1.0)  # a launch that has begun is waited for
    guest, urn = await create(compute)
    await compute.until(lambda: shown(compute, urn), lambda request: request["stage"] == "building")
    reply = await compute.member.delete(f"{REQUESTS}/{urn}")
    assert reply.status == 202 and reply.json["request"]["urn"] == urn
    await compute.gone(guest)
    ended = await shown(compute, urn)
    assert (ended["outcome"], ended["server"]) == ("failed", None) and "deleted" in ended["fault"]["message"]
    removal = await compute.until(lambda: shown(compute, urn_of(reply)), lambda request: request["outcome"] is not None)
    assert (removal["action"], removal["outcome"]) == ("delete", "done")
    assert [await hypervisor.guests() for hypervisor in compute.hypervisors] == [{}, {}]


async def test_what_has_ended_is_not_cancelled(compute: Compute) -> None:
    guest = await compute.running()
    (urn,) = await listed(compute)
    reply = await compute.member.delete(f"{REQUESTS}/{urn}")
    assert reply.status == 409 and "Delete the server" in reply.json["error"]["message"]
    assert (await compute.server(guest))["status"] == "ACTIVE"


async def test_what_a_host_has_on_disk_is_not_cancelled(compute: Compute) -> None:
    guest = await compute.running()
    for urn in (
        urn_of(await compute.act(guest, "os-stop")),
        urn_of(await compute.member.delete(f"{V21}/servers/{guest}")),
    ):
        reply = await compute.member.delete(f"{REQUESTS}/{urn}")
        assert reply.status in (404, 409)  # an action goes with its guest


async def test_a_second_cancel_is_told_that_it_is_under_way_or_over(compute: Compute) -> None:
    slow(*compute.hypervisors)
    _, urn = await create(compute)
    await compute.until(lambda: shown(compute, urn), lambda request: request["stage"] == "building")
    assert (await compute.member.delete(f"{REQUESTS}/{urn}")).status == 202
    assert (await compute.member.delete(f"{REQUESTS}/{urn}")).status == 409

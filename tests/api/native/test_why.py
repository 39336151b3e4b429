"""Why a guest was put where it is, or nowhere."""

from typing import Any

from freehold.api.native.why import MEANS
from freehold.vocabulary.choice import Filter
from tests.api.compute.conftest import V21, Compute
from tests.api.native.test_requests import REQUESTS, create, urn_of


async def why(compute: Compute, urn: str) -> Any:
    reply = await compute.admin.get(f"{REQUESTS}/{urn}/why")
    assert reply.status == 200, reply.body
    return reply.json["why"]


def left_out(told: Any) -> dict[str, int]:
    return {one["filter"]: one["hosts"] for one in told["left_out"] if one["hosts"]}


async def test_a_guest_that_runs_could_be_on_any_host_with_room(compute: Compute) -> None:
    guest, urn = await create(compute)
    await compute.settled(guest)
    told = await why(compute, urn)
    assert told["guest"] == guest and told["host"] in {store.id for store in compute.hosts}
    assert (told["hosts"], told["fit"], len(told["best"])) == (len(compute.hosts),) * 3
    assert told["refusals"] == [] and left_out(told) == {}
    assert all(one["means"] for one in told["left_out"])


async def test_of_one_that_fits_nowhere_it_is_said_what_every_host_lacks(compute: Compute) -> None:
    flavor = {"name": "huge", "vcpus": 1, "ram": 1 << 24, "disk": 1}
    made = (await compute.admin.post(f"{V21}/flavors", {"flavor": flavor})).json["flavor"]["id"]
    quota = {"quota_set": {"ram": -1}}
    assert (await compute.admin.put(f"{V21}/os-quota-sets/{compute.api.project}", quota)).status == 200
    reply = await compute.member.post(f"{V21}/servers", compute.wanted(flavorRef=made))
    assert reply.status == 202, reply.body
    told = await why(compute, urn_of(reply))
    assert (told["fit"], told["best"], left_out(told)) == (0, [], {"memory": len(compute.hosts)})


async def test_it_is_for_admins_and_for_what_makes_a_guest(compute: Compute) -> None:
    guest, urn = await create(compute)
    await compute.settled(guest)
    assert (await compute.member.get(f"{REQUESTS}/{urn}/why")).status == 403
    assert (await compute.admin.get(f"{REQUESTS}/unheard-of/why")).status == 404
    stopped = urn_of(await compute.act(guest, "os-stop"))
    reply = await compute.admin.get(f"{REQUESTS}/{stopped}/why")
    assert reply.status == 409 and "something else" in reply.json["error"]["message"]
    await compute.settled(guest, "SHUTOFF")
    await compute.member.delete(f"{V21}/servers/{guest}")
    await compute.gone(guest)
    assert (await compute.admin.get(f"{REQUESTS}/{urn}/why")).status == 404


def test_of_each_thing_that_leaves_hosts_out_people_are_told_what_it_means() -> None:
    assert set(MEANS) == set(Filter)

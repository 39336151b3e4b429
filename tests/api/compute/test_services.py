"""Services: hosts are drained, taken up again and retired by the words of OpenStack."""

from typing import Any

import pytest

from freehold.vocabulary.host import Host, Retirement
from tests.api.asgi import Reply
from tests.api.compute.conftest import V21, Compute
from tests.api.compute.test_host_view import silence

SERVICES = f"{V21}/os-services"


async def services(compute: Compute) -> dict[str, Any]:
    return {one["host"]: one for one in (await compute.admin.get(SERVICES)).json["services"]}


async def put(compute: Compute, host: int, **body: Any) -> Reply:
    return await compute.admin.put(f"{SERVICES}/{compute.hosts[host].id}", body)


def message(reply: Reply) -> str:
    (fault,) = reply.json.values()
    return str(fault["message"])


async def test_disabled_with_a_reason_and_enabled_again(compute: Compute) -> None:
    reply = await put(compute, 0, status="disabled", disabled_reason="new disks")
    assert reply.status == 200
    service = reply.json["service"]
    assert (service["status"], service["disabled_reason"], service["host"]) == ("disabled", "new disks", "host0")
    assert (await services(compute))["host0"] | {"updated_at": service["updated_at"]} == service
    hypervisors = (await compute.admin.get(f"{V21}/os-hypervisors/detail")).json["hypervisors"]
    assert {one["hypervisor_hostname"]: one["service"]["disabled_reason"] for one in hypervisors} == {
        "host0": "new disks",
        "host1": None,
    }
    record = compute.hosts[0].read_as(Host, compute.hosts[0].id)
    assert record is not None and not record.enabled, "the host has it on its disk"
    reply = await put(compute, 0, status="enabled")
    assert (reply.json["service"]["status"], reply.json["service"]["disabled_reason"]) == ("enabled", None)


async def test_new_guests_go_elsewhere(compute: Compute) -> None:
    guest = await compute.running()
    there = await compute.host_of(guest)
    await put(compute, there, status="disabled")
    assert {await compute.host_of(await compute.running()) for _ in range(2)} == {1 - there}
    assert (await compute.server(guest))["status"] == "ACTIVE"
    await put(compute, 1 - there, status="disabled")
    await compute.settled(await compute.create(), "ERROR")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "No updates were requested"),
        ({"disabled_reason": "x"}, "requires that status is 'disabled'"),
        ({"status": "enabled", "disabled_reason": "x"}, "requires that status is 'disabled'"),
        ({"status": "away"}, "Invalid"),
        ({"status": "disabled", "disabled_reason": ""}, "disabled_reason"),
        ({"status": "disabled", "disabled_reason": "x" * 256}, "disabled_reason"),
        ({"status": "disabled", "disabled_reason": "two\nlines"}, "on one line"),
        ({"status": "disabled", "more": 1}, "more"),
        ({"forced_down": "perhaps"}, "forced_down"),
    ],
)
async def test_what_makes_no_sense_changes_nothing(compute: Compute, body: Any, said: str) -> None:
    reply = await put(compute, 0, **body)
    assert reply.status == 400 and said in message(reply)
    assert (await services(compute))["host0"]["status"] == "enabled"


@pytest.mark.parametrize(
    ("version", "key", "status"),
    [
        ("2.53", "enable", 400),
        ("2.53", "17", 400),
        ("2.53", "00000000-0000-4000-8000-000000000000", 404),
        ("2.52", "17", 404),
        ("2.10", "force-down", 404),
        ("2.1", "lose", 404),
    ],
)
async def test_a_service_that_is_none(compute: Compute, version: str, key: str, status: int) -> None:
    admin = compute.at(version, compute.admin)
    body = {"status": "disabled"} if version == "2.53" else {"host": "host0", "binary": "nova-compute"}
    assert (await admin.put(f"{SERVICES}/{key}", body)).status == status


async def test_the_older_words(compute: Compute) -> None:
    admin = compute.at("2.52", compute.admin)
    who = {"host": "host1", "binary": "nova-compute"}
    reply = await admin.put(f"{SERVICES}/disable", who)
    assert reply.json == {"service": who | {"status": "disabled"}}
    reply = await admin.put(f"{SERVICES}/disable-log-reason", who | {"disabled_reason": "fans"})
    assert reply.json == {"service": who | {"status": "disabled", "disabled_reason": "fans"}}
    assert (await services(compute))["host1"]["disabled_reason"] == "fans"
    reply = await admin.put(f"{SERVICES}/enable", who)
    assert reply.json == {"service": who | {"status": "enabled"}}
    assert (await admin.put(f"{SERVICES}/disable-log-reason", who)).status == 400
    assert (await admin.put(f"{SERVICES}/enable", who | {"disabled_reason": "x"})).status == 400
    assert (await admin.put(f"{SERVICES}/disable", who | {"host": "host9"})).status == 404
    assert (await admin.put(f"{SERVICES}/disable", who | {"binary": "nova-conductor"})).status == 404


async def test_a_host_that_does_not_answer_is_named(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.workers.scheduler.worker.COMMAND_DEADLINE_S", 0.2)
    await compute.cables[0].cut()
    reply = await put(compute, 0, status="disabled")
    assert reply.status == 503 and "Host host0 doesn't answer" in message(reply)


async def test_only_an_admin_may(compute: Compute) -> None:
    path = f"{SERVICES}/{compute.hosts[0].id}"
    assert (await compute.member.put(path, {"status": "disabled"})).status == 403
    assert (await compute.member.delete(path)).status == 403


# --- deleting


async def delete(compute: Compute, host: int) -> Reply:
    return await compute.admin.delete(f"{SERVICES}/{compute.hosts[host].id}")


async def test_a_host_with_guests_stays(compute: Compute) -> None:
    guest = await compute.running()
    there = await compute.host_of(guest)
    reply = await delete(compute, there)
    assert reply.status == 409
    assert "Unable to delete compute service that is hosting instances. 1 guest is deeded" in message(reply)
    assert f"host{there}" in await services(compute)


async def test_a_deleted_one_is_gone_everywhere_and_takes_nothing(compute: Compute) -> None:
    assert (await delete(compute, 0)).status == 204
    assert set(await services(compute)) == {"host1"}
    hypervisors = (await compute.admin.get(f"{V21}/os-hypervisors")).json["hypervisors"]
    assert [one["hypervisor_hostname"] for one in hypervisors] == ["host1"]
    owners = (await compute.admin.get("/freehold/v1/owners")).json["owners"]
    assert [owner["name"] for owner in owners if owner["role"] == "host"] == ["host1"]
    record = compute.hosts[0].read_as(Host, compute.hosts[0].id)
    assert record is not None and record.retired
    assert (await delete(compute, 0)).status == 404
    for _ in range(2):
        assert await compute.host_of(await compute.running()) == 1


async def test_in_older_versions_by_its_number(compute: Compute) -> None:
    admin = compute.at("2.52", compute.admin)
    numbers = {one["host"]: one["id"] for one in (await admin.get(SERVICES)).json["services"]}
    assert (await admin.delete(f"{SERVICES}/{compute.hosts[0].id}")).status == 400
    assert (await admin.delete(f"{SERVICES}/{numbers['host0']}")).status == 204
    assert set(await services(compute)) == {"host1"}


async def test_a_host_that_is_down_goes_if_nothing_is_deeded_to_it(compute: Compute) -> None:
    guest = await compute.running()
    down = await silence(compute, guest, 40)
    reply = await delete(compute, down)
    assert reply.status == 409 and "Evacuate them first" in message(reply)
    await compute.cables[down].mend()


async def test_a_host_that_is_down_and_empty_is_let_go(compute: Compute) -> None:
    guest = await compute.running()
    down = await silence(compute, guest, 40)
    await compute.cables[1 - down].cut()
    compute.api.clock.waited_s += 40
    assert (await delete(compute, 1 - down)).status == 204
    record = compute.api.cloud.view.get(Retirement, compute.hosts[1 - down].id)
    assert record is not None and record.dead

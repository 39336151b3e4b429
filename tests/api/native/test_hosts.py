"""Freehold's own way to drain and retire hosts: by name, and with what became of the machine's passport."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.vocabulary.codec import encode
from freehold.vocabulary.envelope import Done, Entry, Owner, Position
from freehold.vocabulary.host import Retirement
from freehold.vocabulary.machine import Bar, DirectoryQuestion, Machine
from freehold.vocabulary.word import Word
from tests.api.compute.conftest import V21, Compute

HOSTS = "/freehold/v1/hosts"
DIRECTORY = Owner(store="00000000-0000-4000-8000-0000000000dd", role="directory", cluster="c")


async def test_drained_by_name_and_taken_up_by_id(compute: Compute) -> None:
    reply = await compute.admin.put(f"{HOSTS}/host0", {"host": {"enabled": False, "reason": "fans"}})
    told = reply.json["host"]
    assert (reply.status, told["enabled"], told["disabled_reason"], told["guests"]) == (200, False, "fans", 0)
    shown = {host["name"]: (host["enabled"], host["disabled_reason"]) for host in await hosts(compute)}
    assert shown == {"host0": (False, "fans"), "host1": (True, "")}
    reply = await compute.admin.put(f"{HOSTS}/{compute.hosts[0].id}", {"host": {"enabled": True}})
    assert reply.json["host"]["enabled"] and reply.json["host"]["disabled_reason"] == ""


async def hosts(compute: Compute) -> list[Any]:
    return list((await compute.admin.get(HOSTS)).json["hosts"])


async def test_what_a_host_is(compute: Compute) -> None:
    for name in ("b", "a"):
        made = await compute.admin.post(f"{V21}/os-aggregates", {"aggregate": {"name": name}})
        path = f"{V21}/os-aggregates/{made.json['aggregate']['id']}/action"
        assert (await compute.admin.post(path, {"add_host": {"host": "host1"}})).status == 200
    told = (await compute.admin.get(f"{HOSTS}/host1")).json["host"]
    assert (told["id"], told["architecture"], told["hypervisor_types"]) == (
        compute.hosts[1].id,
        "x86_64",
        ["qemu", "kvm"],
    )
    assert told["aggregates"] == ["a", "b"] and "COMPUTE_IMAGE_TYPE_RAW" in told["traits"]
    assert (await compute.admin.get(f"{HOSTS}/{compute.hosts[0].id}")).json["host"]["aggregates"] == []
    assert (await compute.admin.get(f"{HOSTS}/host9")).status == 404
    assert (await compute.member.get(f"{HOSTS}/host1")).status == 403


async def test_a_host_that_is_none(compute: Compute) -> None:
    assert (await compute.admin.put(f"{HOSTS}/host9", {"host": {"enabled": True}})).status == 404
    assert (await compute.admin.delete(f"{HOSTS}/host9")).status == 404
    assert (await compute.admin.put(f"{HOSTS}/host0", {"host": {}})).status == 400
    assert (await compute.admin.delete(f"{HOSTS}/host0?dead=perhaps")).status == 400
    assert (await compute.member.delete(f"{HOSTS}/host0")).status == 403


async def test_a_retired_host_is_listed_as_such(compute: Compute) -> None:
    reply = await compute.admin.delete(f"{HOSTS}/host0")
    assert reply.json["host"]["machine"] == "It has no passport."
    (gone,) = (await compute.admin.get("/freehold/v1/retired-hosts")).json["hosts"]
    assert (gone["name"], gone["id"], gone["dead"]) == ("host0", compute.hosts[0].id, False)
    assert [host["name"] for host in await hosts(compute)] == ["host1"]


async def test_one_that_is_gone_is_let_go_without_its_word(compute: Compute) -> None:
    await compute.cables[0].cut()
    assert (await compute.admin.delete(f"{HOSTS}/host0?dead=true")).status == 200
    record = compute.api.cloud.view.get(Retirement, compute.hosts[0].id)
    assert record is not None and record.dead


# --- its passport


async def with_machine(compute: Compute, *stores: str, roles: tuple[str, ...] = ("host",)) -> list[Bar]:
    """A directory that has let a machine in, and what it is asked."""
    machine = Machine(
        id="m1", name="rack-7", roles=roles, cluster="c", stores=stores, key=b"k", enrolled=1, expires_ms=2**50
    )
    asked: list[Bar] = []

    def tell(seq: int, machine: Machine) -> None:
        entry = Entry(seq, 1, "machine", machine.id, encode(machine), "t", b"")
        compute.api.cloud.view.apply(DIRECTORY, Position(epoch="e", seq=seq), [entry])  # type: ignore[attr-defined]

    async def answer(question: Any) -> Word:
        asked.append(question)
        tell(2, replace(machine, barred=5))
        return Done(store=DIRECTORY.store, position=Position(epoch="e", seq=2), key="m1")

    tell(1, machine)
    await talk.serve(compute.api.cloud.bus, subjects.ASK_DIRECTORY, DirectoryQuestion, answer, "directory")
    return asked


async def test_its_machine_is_barred(compute: Compute) -> None:
    asked = await with_machine(compute, compute.hosts[0].id, "00000000-0000-4000-8000-00000000000f")
    reply = await compute.admin.delete(f"{HOSTS}/host0")
    assert reply.json["host"]["machine"] == "barred" and asked == [Bar(machine="m1")]


@pytest.mark.parametrize(("roles", "both"), [(("host", "network"), False), (("host",), True)])
async def test_a_machine_that_is_something_else_too_is_not(
    compute: Compute, roles: tuple[str, ...], both: bool
) -> None:
    stores = [store.id for store in compute.hosts[: 2 if both else 1]]
    asked = await with_machine(compute, *stores, roles=roles)
    reply = await compute.admin.delete(f"{HOSTS}/host0")
    assert "Its machine rack-7 isn't barred: it has other roles, or other hosts" in reply.json["host"]["machine"]
    assert not asked


async def test_the_host_is_retired_though_the_directory_is_away(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_machine(compute, compute.hosts[0].id)
    monkeypatch.setattr("freehold.api.host_orders.DEADLINE_S", 2.0)
    monkeypatch.setattr(subjects, "ASK_DIRECTORY", "freehold.ask.nobody")
    reply = await compute.admin.delete(f"{HOSTS}/host0")
    assert reply.status == 200 and "isn't barred yet" in reply.json["host"]["machine"]

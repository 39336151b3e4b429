"""Hosts that leave: what a shard of the registrar refuses, what it ends, and what it says no more."""

from typing import Any

import pytest

from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Done, Heartbeat, Owner, Position
from freehold.vocabulary.errors import Conflict, Unavailable
from freehold.vocabulary.host import Retire, RetireHost, Retirement
from freehold.vocabulary.request import DeedPage, DeedsOf, Stage
from tests.owners import turns
from tests.workers.registrar.bench import Bench, beyond


async def retire(bench: Bench, host: str = "h1", **how: Any) -> Done:
    question = RetireHost(urn="urn:order", host=host, name="rack-7", user="op", **how)
    return await talk.ask(bench.bus, subjects.ask_shard(0), question, Done, 30)


def retired(bench: Bench, host: str = "h1") -> Retirement | None:
    return bench.store.read_as(Retirement, host)


async def deeded(bench: Bench, host: str = "h1") -> str:
    """A guest with a deed to the host, which has shown nothing of it."""
    guest = await bench.guest()
    await bench.deed(guest.guest, host=host)
    return guest.guest


async def running(bench: Bench) -> str:
    guest = await deeded(bench)
    bench.tell_running(guest)
    assert bench.admission(guest).stage is Stage.ACTIVE
    return guest


async def test_the_host_is_asked_and_then_it_is_so(bench: Bench) -> None:
    done = await retire(bench)
    assert [type(one) for one in bench.deletes] == [Retire]
    record = retired(bench)
    assert record is not None and (record.name, record.user, record.dead) == ("rack-7", "op", False)
    assert done.position == bench.store.position()
    await retire(bench)
    assert len(bench.deletes) == 1, "a second time asks nobody"


async def test_a_look_changes_nothing(bench: Bench) -> None:
    await retire(bench, only_look=True)
    assert retired(bench) is None and not bench.deletes


async def test_what_is_on_its_way_there_is_refused_and_sent_again(bench: Bench) -> None:
    guest = await deeded(bench)
    await retire(bench)
    admission = bench.admission(guest)
    assert (admission.stage, admission.refused_hosts, admission.refused_deed) == (Stage.ADMITTED, ("h1",), 1)
    assert "rack-7 is retired" in admission.refused[0].message
    await turns()
    assert bench.sent[-1].refused == ("h1",) and bench.sent[-1].deed is None


async def test_a_host_that_refuses_is_not_retired(bench: Bench) -> None:
    bench.host_answers = False
    with pytest.raises(Unavailable, match="gone fishing"):
        await retire(bench)
    assert retired(bench) is None


async def test_a_guest_that_was_seen_there_keeps_it(bench: Bench) -> None:
    guest = await running(bench)
    with pytest.raises(Conflict, match=r"1 guest is deeded to host rack-7\. Delete them first") as caught:
        await retire(bench)
    assert caught.value.names == (guest,)
    assert not bench.deletes and retired(bench) is None


async def test_a_dead_host_is_not_asked(bench: Bench) -> None:
    bench.host_answers = False
    await retire(bench, dead=True)
    record = retired(bench)
    assert record is not None and record.dead and not bench.deletes


async def test_a_dead_host_keeps_all_that_it_may_have(bench: Bench) -> None:
    guest = await deeded(bench)
    with pytest.raises(Conflict, match="Evacuate them first") as caught:
        await retire(bench, dead=True)
    assert caught.value.names == (guest,)
    assert retired(bench) is None and bench.admission(guest).stage is Stage.SCHEDULED


async def test_it_gets_no_deed_any_more_and_is_not_cleared(bench: Bench) -> None:
    await retire(bench)
    guest = await bench.guest()
    with pytest.raises(Conflict, match="host h1 is retired"):
        await bench.deed(guest.guest)
    assert bench.admission(guest.guest).deed is None
    with pytest.raises(Conflict, match="host h1 is retired"):
        await bench.ask(DeedsOf(host="h1"), DeedPage)
    await bench.ask(DeedsOf(host="h2"), DeedPage)
    assert (await bench.deed(guest.guest, host="h2")).host == "h2"


async def test_it_is_known_after_a_restart(bench: Bench) -> None:
    await retire(bench)
    await bench.close()
    await bench.open()
    with pytest.raises(Conflict, match="host h1 is retired"):
        await bench.ask(DeedsOf(host="h1"), DeedPage)


async def test_a_host_of_a_cluster_with_a_bus_server_of_its_own_is_asked_there(bench: Bench) -> None:
    asked = await beyond(bench)
    owner = Owner(store="h1", role="host", cluster="c")
    bench.sink.heard(Heartbeat(owner=owner, position=Position(epoch="e"), time=1, name="h1"))
    await retire(bench)
    assert [type(one) for one in asked] == [Retire] and not bench.deletes

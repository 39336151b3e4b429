"""Hosts that are fenced, and guests that leave them: what a shard refuses, what it gives, and what ends."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Heartbeat, Owner, OwnerQuestion, Position, Stands
from freehold.vocabulary.errors import Conflict, Unavailable
from freehold.vocabulary.fence import Evacuate, FenceHost, FenceStands, UnfenceHost
from freehold.vocabulary.guest import Labels
from freehold.vocabulary.host import Fenced
from freehold.vocabulary.request import DeedPage, DeedsOf, GiveUp, IntentList, Intents, RecordDeed, Stage
from tests.owners import a_deed, until
from tests.workers.registrar.bench import FULL, Bench, beyond

HEARD_S = 15


async def fence(bench: Bench, host: str = "h1", term: int = 1, **how: Any) -> FenceStands:
    question = FenceHost(urn="urn:f", host=host, name="rack-7", user="op", evidence="plug", term=term, **how)
    return await talk.ask(bench.bus, subjects.ask_shard(0), question, FenceStands, 30)


async def fenced(bench: Bench) -> str:
    """A guest that runs on h1, which is fenced."""
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    bench.tell_running(guest)
    bench.clock.move(HEARD_S + 1)
    await fence(bench)
    return guest


async def unfence(bench: Bench, term: int = 0) -> FenceStands:
    question = UnfenceHost(urn="urn:u", host="h1", name="rack-7", user="op", term=term)
    return await talk.ask(bench.bus, subjects.ask_shard(0), question, FenceStands, 30)


async def evacuate(bench: Bench, guest: str, term: int = 1) -> str:
    question = Evacuate(guest=guest, host="h1", term=term, user="op", labels=Labels(name="new name"))
    return (await bench.ask(question, Done)).key


async def next_deed(bench: Bench, guest: str, number: int = 2, host: str = "h2") -> Deed:
    deed = a_deed(guest, number, host, bench.admission(guest).moving or bench.admission(guest).urn)
    return await bench.ask(RecordDeed(deed=deed), Deed)


def hear(bench: Bench, host: str = "h1") -> None:
    owner = Owner(store=host, role="host", cluster="c")
    bench.sink.heard(Heartbeat(owner=owner, position=Position(epoch="e"), time=1, name=host))


async def test_a_host_that_answers_is_not_fenced_though_nothing_is_heard_of_it(bench: Bench) -> None:
    """An order may be old: an API process stood still with it, and the host has been let in since."""

    async def stands(question: OwnerQuestion) -> Position:
        assert isinstance(question, Stands)
        return Position(epoch="e")

    hear(bench)
    bench.clock.move(HEARD_S + 1)
    served = await talk.serve(
        bench.bus, subjects.owner(Owner(store="h1", role="host", cluster="c")), OwnerQuestion, stands, "owner"
    )
    with pytest.raises(Conflict, match=r"isn't off\. It answers\. Switch it off"):
        await fence(bench)
    await fence(bench, force=True, only_look=True)
    await served.close()
    await fence(bench)


async def test_a_host_that_is_heard_is_not_fenced(bench: Bench) -> None:
    with pytest.raises(Conflict, match="isn't known yet"):
        await fence(bench)
    bench.clock.move(HEARD_S + 1)
    hear(bench)
    bench.clock.move(4)
    with pytest.raises(Conflict, match="It was heard 4 s ago"):
        await fence(bench)
    assert (await fence(bench, force=True)).stands


async def test_a_look_changes_nothing(bench: Bench) -> None:
    bench.clock.move(HEARD_S + 1)
    seen = await fence(bench, only_look=True)
    assert (seen.term, seen.stands) == (1, False)


async def test_it_gets_no_deed_and_is_not_cleared(bench: Bench) -> None:
    bench.clock.move(HEARD_S + 1)
    await fence(bench)
    guest = (await bench.guest()).guest
    with pytest.raises(Conflict, match="is fenced"):
        await bench.deed(guest)
    with pytest.raises(Conflict, match="is fenced"):
        await bench.ask(DeedsOf(host="h1"), DeedPage)
    assert (await bench.ask(Intents(host="h1", guests=()), IntentList)).fenced
    assert not (await bench.ask(Intents(host="h2", guests=()), IntentList)).fenced


async def test_a_guest_leaves_by_the_next_deed_as_it_was_last(bench: Bench) -> None:
    guest = await fenced(bench)
    made = bench.admission(guest).urn
    urn = await evacuate(bench, guest)
    before = bench.admission(guest)
    assert (before.moving, before.stage, before.deed and before.deed.host) == (urn, Stage.ACTIVE, "h1")
    sent = await bench.sent_again(2)
    assert (sent.urn, sent.deed, sent.number, sent.refused, sent.action) == (urn, None, 2, ("h1",), "evacuate")
    assert (await next_deed(bench, guest)).host == "h2"
    after = bench.admission(guest)
    assert (after.urn, after.made_urn, after.moving, after.left) == (urn, made, "", ("h1",))
    assert (after.stage, after.labels.name) == (Stage.SCHEDULED, "new name")
    bench.tell_running(guest, "h2", 2)
    assert bench.request(urn).finished and bench.request(urn).fault is None


async def test_nothing_leaves_a_host_that_is_not_fenced_or_is_heard(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    bench.tell_running(guest)
    with pytest.raises(Conflict, match="isn't fenced"):
        await evacuate(bench, guest)
    bench.clock.move(HEARD_S + 1)
    await fence(bench)
    await evacuate(bench, guest)
    hear(bench)
    with pytest.raises(Conflict, match="fenced, but not off"):
        await next_deed(bench, guest)
    assert bench.admission(guest).deed == a_deed(guest, 1, "h1", bench.admission(guest).urn)


async def test_a_guest_that_nobody_has_room_for_stays(bench: Bench) -> None:
    guest = await fenced(bench)
    urn = await evacuate(bench, guest)
    await bench.ask(GiveUp(urn=urn, guest=guest, deed=0, fault=FULL), Done)
    admission = bench.admission(guest)
    assert (admission.moving, admission.stage) == ("", Stage.ACTIVE) and admission.live_deed() == admission.deed
    assert bench.request(urn).fault == FULL


async def test_a_delete_ends_by_the_fence_and_is_remembered(bench: Bench) -> None:
    guest = await fenced(bench)
    await bench.delete(guest)
    assert bench.gone(guest)
    bench.worker.records.forget_ended(2**62)
    (intent,) = (await bench.ask(Intents(host="h1", guests=(guest,)), IntentList)).intents
    assert intent.ended, "as long as the fence stands"


async def test_a_delete_that_waited_for_the_host_ends(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    bench.host_answers = False
    await bench.delete(guest)
    assert not bench.gone(guest)
    bench.clock.move(HEARD_S + 1)
    await fence(bench)
    assert bench.gone(guest)


async def test_it_is_let_in_when_it_knows(bench: Bench) -> None:
    guest = await fenced(bench)
    urn = await evacuate(bench, guest)
    bench.host_answers = False
    with pytest.raises(Unavailable):
        await unfence(bench)
    bench.host_answers = True
    assert (await unfence(bench)).lifted
    assert isinstance(bench.deletes[-1], Fenced)
    fault = bench.request(urn).fault
    assert bench.admission(guest).moving == "" and fault is not None and "let in again" in fault.message
    with pytest.raises(Conflict):
        await next_deed(bench, guest)
    assert not (await unfence(bench)).lifted


async def test_an_order_of_an_earlier_fence_is_refused(bench: Bench) -> None:
    guest = await fenced(bench)
    await unfence(bench)
    with pytest.raises(Conflict, match="since this was ordered"):
        await fence(bench)
    await fence(bench, term=2)
    with pytest.raises(Conflict, match="since this was ordered"):
        await evacuate(bench, guest)


async def test_a_fence_is_not_lifted_by_who_meant_the_one_before(bench: Bench) -> None:
    await fenced(bench)
    assert (await unfence(bench, term=1)).lifted
    await fence(bench, term=2)
    with pytest.raises(Conflict, match="fenced again since this was ordered"):
        await unfence(bench, term=1)
    assert (await unfence(bench, term=2)).lifted
    assert not (await unfence(bench, term=2)).lifted


async def test_a_host_that_is_heard_though_it_is_fenced_is_told(bench: Bench) -> None:
    await fenced(bench)
    hear(bench)
    await bench.moving(lambda: any(isinstance(asked, Fenced) for asked in bench.deletes))


async def test_a_host_of_a_cluster_with_a_bus_server_of_its_own_is_told_there(bench: Bench) -> None:
    told = await beyond(bench)
    await fenced(bench)
    hear(bench)
    await until(lambda: len(told) == 1)
    assert (await unfence(bench)).lifted
    assert [type(one) for one in told] == [Fenced, Fenced] and not bench.deletes


async def test_a_guest_has_left_a_host_until_it_is_seen_there_again(bench: Bench) -> None:
    """Given to it once more, it is neither an old copy nor in anybody's way when that host's disk is put back."""
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    before = bench.admission(guest)
    bench.worker.records.moved(before, replace(before, left=("h1",)), before.urn, bench.worker._means.clock.now())
    (intent,) = (await bench.ask(Intents(host="h1", guests=(guest,)), IntentList)).intents
    assert intent.left
    bench.tell_running(guest, "h1", 1)
    (intent,) = (await bench.ask(Intents(host="h1", guests=(guest,)), IntentList)).intents
    assert not intent.left and bench.admission(guest).left == ("h1",)

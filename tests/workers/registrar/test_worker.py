"""The registrar as its peers meet it, over the bus: the ledger, the deeds, and what it goes on with after a stop."""

import asyncio

import pytest

from freehold.bus import subjects, talk
from freehold.runtime.chance import SeededChance, new_id
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Owner, Position, Row
from freehold.vocabulary.errors import BadRequest, Busy, Conflict, Forbidden, NotFound, QuotaExceeded
from freehold.vocabulary.guest import GuestState
from freehold.vocabulary.request import (
    Admission,
    Admit,
    Admitted,
    Build,
    DeedPage,
    DeedsOf,
    DeleteGuest,
    Intent,
    IntentList,
    Intents,
    Lost,
    RecordDeed,
    Stage,
)
from freehold.vocabulary.tenant import Quota
from freehold.vocabulary.units import unix_ms
from freehold.workers.registrar import worker as registrar
from freehold.workers.registrar.worker import GUESTS_AT_ONCE_MAX, WAITING_MS
from tests.owners import a_build, a_deed, a_guest, turns
from tests.workers.registrar.bench import FULL, Bench

TWO_GUESTS = Quota(project="p", instances=2)
UNKNOWN = new_id(SeededChance(7))


# --- admitting -------------------------------------------------------------------------------------------------------


async def test_a_guest_that_is_admitted_is_on_disk_and_on_its_way(bench: Bench) -> None:
    admitted = await bench.admit(deadline_s=60)
    assert admitted.position == bench.store.position() and admitted.store == bench.store.id and not admitted.again
    build = await bench.sent_again(1)
    assert (build.guest, build.urn, build.attempt, build.deed) == (admitted.guests[0], admitted.urn, 1, None)
    assert unix_ms(build.expires) - unix_ms(build.created) == 60_000
    request = bench.request(admitted.urn)
    assert request.stages == (("admitted", build.created),) and request.finished is None
    assert bench.admission(build.guest).stage is Stage.ADMITTED


async def test_guests_that_are_asked_for_at_once_have_a_line_each(bench: Bench) -> None:
    guests = (await bench.admit(3)).guests
    assert len({bench.admission(guest).urn for guest in guests}) == len(set(guests)) == 3
    await bench.sent_again(3)
    assert {build.guest for build in bench.sent} == set(guests)


async def test_one_key_is_one_guest(bench: Bench) -> None:
    first = await bench.admit(idempotency_key="k", body_digest="d")
    again = await bench.admit(idempotency_key="k", body_digest="d")
    assert again.again and (again.urn, again.guests) == (first.urn, first.guests)
    assert len(bench.store.scan(Admission)) == 1
    with pytest.raises(Conflict, match="new key"):
        await bench.admit(idempotency_key="k", body_digest="other")
    elsewhere = await bench.admit(project="q", idempotency_key="k", body_digest="other")
    assert not elsewhere.again and elsewhere.guests != first.guests


async def test_a_key_that_was_used_costs_no_quota(bench: Bench) -> None:
    await bench.save("p", Quota(project="p", instances=1))
    first = await bench.admit(idempotency_key="k")
    assert (await bench.admit(idempotency_key="k")).guests == first.guests


async def test_quota_is_for_all_that_is_asked_at_once_or_nothing(bench: Bench) -> None:
    await bench.save("p", TWO_GUESTS)
    with pytest.raises(QuotaExceeded, match="Requested 3, but already used 0 of 2 instances"):
        await bench.admit(3)
    assert not bench.store.scan(Admission)
    guests = (await bench.admit(2)).guests
    with pytest.raises(QuotaExceeded):
        await bench.admit()
    await bench.admit(project="q")
    await bench.delete(guests[0])
    await bench.admit()


async def test_a_guest_that_is_being_deleted_counts_until_its_host_has_said_so(bench: Bench) -> None:
    await bench.save("p", Quota(project="p", instances=1))
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    await bench.delete(guest)
    with pytest.raises(QuotaExceeded):
        await bench.admit()
    bench.tell_refusal(guest, deleted=True)
    await bench.admit()


async def test_quota_holds_for_the_cores_of_all_guests_together(bench: Bench) -> None:
    await bench.save("p", Quota(project="p", cores=3))
    await bench.admit(2)
    with pytest.raises(QuotaExceeded, match="cores"):
        await bench.admit(2)


@pytest.mark.parametrize("count", [0, GUESTS_AT_ONCE_MAX + 1])
async def test_how_many_may_be_asked_for_at_once(bench: Bench, count: int) -> None:
    with pytest.raises(BadRequest, match="1 to 1000"):
        await bench.admit(count)


async def test_past_so_many_builds_that_wait_for_hosts_no_more_are_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "WAITING_MAX", 3)
    admitted = await bench.admit(3, idempotency_key="k", body_digest="d")
    with pytest.raises(Busy):
        await bench.admit()
    again = await bench.admit(3, idempotency_key="k", body_digest="d")
    assert again.again and again.guests == admitted.guests, "what was promised stays so"
    first, second, _third = admitted.guests
    await bench.deed(first)
    with pytest.raises(Busy):
        await bench.admit()
    bench.tell_running(first)
    await bench.admit()
    with pytest.raises(Busy):
        await bench.admit()
    await bench.delete(second)
    await bench.admit()


async def test_with_each_admission_it_says_how_many_more_it_takes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "WAITING_MAX", 3)
    assert (await bench.admit(1, idempotency_key="k", body_digest="d")).room == 2
    assert (await bench.admit(5)).room == 0
    assert (await bench.admit(1, idempotency_key="k", body_digest="d")).room == 0


async def test_builds_that_wait_for_something_else_keep_no_others_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their host isn't heard, or there is no room."""
    monkeypatch.setattr(registrar, "WAITING_MAX", 3)
    await bench.admit(3)
    bench.clock.now_s += WAITING_MS / 1000 + 1
    await bench.admit(3)
    with pytest.raises(Busy):
        await bench.admit()


async def test_guests_of_two_projects_are_two_requests(bench: Bench) -> None:
    builds = (a_build(project="p"), a_build(project="q"))
    with pytest.raises(BadRequest, match="one project"):
        await bench.ask(Admit(builds=builds), Admitted)


# --- deeds -----------------------------------------------------------------------------------------------------------


async def test_the_first_deed_holds(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    first = await bench.deed(guest, host="h1")
    assert first.host == "h1"
    assert await bench.deed(guest, host="h2") == first
    assert bench.admission(guest).deed == first
    assert bench.request(first.urn).stages[-1][0] == "scheduled"


async def test_nobody_gets_a_deed_for_a_guest_that_is_gone(bench: Bench) -> None:
    with pytest.raises(Conflict):
        await bench.ask(RecordDeed(deed=a_deed(UNKNOWN)), Deed)
    guest = await bench.guest()
    await bench.delete(guest.guest)
    with pytest.raises(Conflict):
        await bench.ask(RecordDeed(deed=a_deed(guest.guest, 1, "h1", guest.urn)), Deed)


async def test_a_host_that_refused_is_named_in_the_next_attempt(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.sent_again(1)
    await bench.deed(guest)
    bench.tell_refusal(guest)
    await bench.moving(lambda: bench.sent[-1].attempt == 2)
    assert bench.sent[-1].refused == ("h1",) and bench.sent[-1].deed is None
    assert (await bench.deed(guest, 2, "h2")).number == 2
    await bench.moving(lambda: bench.sent[-1].deed is not None)
    assert bench.sent[-1].deed == bench.admission(guest).deed


async def test_a_host_is_believed_about_itself_alone(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest, host="h1")
    bench.tell_refusal(guest, host="h2")
    bench.tell("h2", a_guest(guest, "h1", urn=bench.admission(guest).urn))
    assert bench.admission(guest).stage is Stage.SCHEDULED
    bench.tell_running(guest)
    assert bench.admission(guest).stage is Stage.ACTIVE


async def test_a_request_ends_when_its_guest_runs(bench: Bench) -> None:
    guest = await bench.guest()
    await bench.deed(guest.guest)
    bench.tell_running(guest.guest, state=GuestState.FETCHING_IMAGE)
    assert bench.request(guest.urn).finished is None
    bench.tell_running(guest.guest)
    request = bench.request(guest.urn)
    assert [stage for stage, _ in request.stages] == ["admitted", "scheduled", "building", "active"]
    assert request.finished is not None and request.fault is None
    assert bench.worker.records.build(guest.guest) is None
    sent = len(bench.sent)
    await bench.later()
    assert guest.guest not in {build.guest for build in bench.sent[sent:]}


# --- giving up -------------------------------------------------------------------------------------------------------


async def test_a_build_that_is_given_up_has_failed_and_says_why(bench: Bench) -> None:
    guest = await bench.guest()
    await bench.give_up(guest.guest)
    assert (bench.admission(guest.guest).stage, bench.admission(guest.guest).fault) == (Stage.FAILED, FULL)
    assert bench.request(guest.urn).fault == FULL
    assert not bench.deletes, "no host could have it"


async def test_who_gives_up_late_changes_nothing(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    await bench.give_up(guest, deed=0)
    assert bench.admission(guest).stage is Stage.SCHEDULED
    bench.tell_running(guest)
    await bench.give_up(guest, deed=1)
    assert bench.admission(guest).stage is Stage.ACTIVE


async def test_a_host_with_a_deed_is_asked_to_refuse_what_was_given_up(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    await bench.give_up(guest, deed=1)
    await bench.moving(lambda: bench.deletes)
    assert (bench.deletes[0].guest, bench.deletes[0].deed) == (guest, 1)
    bench.tell_refusal(guest)
    asked = len(bench.deletes)
    await bench.later()
    assert len(bench.deletes) == asked and bench.admission(guest).stage is Stage.FAILED


async def test_a_guest_that_ran_too_late_for_its_request_is_there(bench: Bench) -> None:
    """Its host couldn't be heard until the deadline had passed: who was shown the guest meanwhile goes on with it."""
    guest = await bench.guest(deadline_s=30)
    await bench.deed(guest.guest)
    await bench.moving(lambda: bench.deletes)
    assert bench.admission(guest.guest).stage is Stage.FAILED and bench.deletes[0].unless_run
    bench.tell_running(guest.guest)
    late = bench.admission(guest.guest)
    assert (late.stage, late.fault) == (Stage.ACTIVE, None)
    assert bench.request(guest.urn).fault is not None, "what was said of the request stands"
    asked = len(bench.deletes)
    await bench.later()
    assert len(bench.deletes) == asked


async def test_a_build_past_its_deadline_has_failed(bench: Bench) -> None:
    guest = await bench.guest(deadline_s=30)
    await bench.moving(lambda: bench.admission(guest.guest).stage is Stage.FAILED)
    fault = bench.request(guest.urn).fault
    assert fault is not None and "deadline" in fault.message
    sent = len(bench.sent)
    await bench.later()
    assert guest.guest not in {build.guest for build in bench.sent[sent:]}


async def test_a_host_asks_about_itself_alone(bench: Bench) -> None:
    theirs = subjects.ask_ledger_as_host(0, "h1")
    assert await talk.ask(bench.bus, theirs, DeedsOf(host="h1"), DeedPage) == DeedPage(deeds=())
    with pytest.raises(Forbidden):
        await talk.ask(bench.bus, theirs, DeedsOf(host="h2"), DeedPage)
    with pytest.raises(BadRequest):
        await talk.ask(bench.bus, theirs, DeleteGuest(guest="g", project="", user="u"), Done)


# --- deleting --------------------------------------------------------------------------------------------------------


async def test_a_guest_nobody_can_have_is_deleted_at_once(bench: Bench) -> None:
    guest = await bench.guest()
    done = await bench.delete(guest.guest)
    assert bench.gone(guest.guest) and done.position == bench.store.position()
    assert bench.request(done.key).finished is not None
    create = bench.request(guest.urn)
    assert create.finished is not None and create.fault is not None and "deleted" in create.fault.message
    with pytest.raises(NotFound):
        await bench.delete(guest.guest)


async def test_a_delete_is_carried_until_the_host_has_said_so(bench: Bench) -> None:
    bench.host_answers = False
    guest = await bench.guest()
    await bench.deed(guest.guest)
    bench.tell_running(guest.guest)
    done = await bench.delete(guest.guest)
    await bench.moving(lambda: len(bench.deletes) >= 2)
    bench.host_answers = True
    await bench.moving(lambda: len(bench.deletes) >= 3)
    assert {(delete.urn, delete.deed) for delete in bench.deletes} == {(done.key, 1)}
    assert not bench.gone(guest.guest), "an answer is no evidence"
    bench.tell_refusal(guest.guest, deleted=True)
    assert bench.gone(guest.guest) and bench.request(done.key).finished is not None
    assert bench.request(guest.urn).fault is None, "it had run"


async def test_a_second_delete_is_the_first(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    assert (await bench.delete(guest)).key == (await bench.delete(guest)).key


async def test_a_guest_is_deleted_by_its_project_or_by_an_admin(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    with pytest.raises(NotFound):
        await bench.delete(guest, project="q")
    assert not bench.gone(guest)
    await bench.delete(guest, project="")
    assert bench.gone(guest)


async def test_a_tombstone_ends_a_guest_that_was_never_asked_to_go(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    bench.tell_running(guest)
    bench.tell_refusal(guest, deleted=True)
    assert bench.gone(guest), "this ledger is older than the delete"


# --- what a host asks before it starts anything ----------------------------------------------------------------------


async def test_intents_say_what_was_decided_while_a_host_was_away(bench: Bench) -> None:
    kept, doomed = (await bench.admit(2)).guests
    await bench.deed(kept)
    await bench.deed(doomed)
    urn = (await bench.delete(doomed)).key
    answer = await bench.ask(Intents(host="h1", guests=(doomed, UNKNOWN, kept)), IntentList)
    assert answer.intents == (
        Intent(guest=doomed, deed=bench.admission(doomed).deed, delete_urn=urn),
        Intent(guest=UNKNOWN),
        Intent(guest=kept, deed=bench.admission(kept).deed),
    )


async def test_a_host_is_told_that_a_build_has_failed_for_good(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    for failed in (False, True):
        (intent,) = (await bench.ask(Intents(host="h1", guests=(guest,)), IntentList)).intents
        assert intent.failed is failed
        await bench.give_up(guest, 1)


async def test_it_is_known_of_a_guest_that_it_was_deleted(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    await bench.delete(guest)
    bench.tell_refusal(guest, deleted=True)
    answer = await bench.ask(Intents(host="h1", guests=(guest, UNKNOWN)), IntentList)
    assert [intent.ended for intent in answer.intents] == [True, False]
    bench.tell("h1", a_guest(guest, "h1"))
    assert bench.gone(guest), "an old copy of its host's disk brought it back"


async def test_a_host_is_told_what_it_may_hold(bench: Bench) -> None:
    *held, sent, doomed, elsewhere = (await bench.admit(5)).guests
    for guest in (*held, sent, doomed):
        await bench.deed(guest, host="h1")
    await bench.deed(elsewhere, host="h2")
    for guest, host in ((held[0], "h1"), (held[1], "h1"), (elsewhere, "h2")):
        bench.tell_running(guest, host)
    await bench.delete(doomed)
    first, *others = sorted((*held, sent))
    page = await bench.ask(DeedsOf(host="h1"), DeedPage)
    assert [deed.guest for deed in page.deeds] == [first, *others] and not page.more
    assert page.unseen == {sent}, "its host has shown nothing of it so far"
    page = await bench.ask(DeedsOf(host="h1", after=first), DeedPage)
    assert [deed.guest for deed in page.deeds] == others


async def test_a_guest_that_its_host_has_lost_is_sent_there_until_it_is_shown(bench: Bench) -> None:
    back: list[Build] = []

    async def network(build: Build) -> None:
        back.append(build)

    await talk.hear(bench.bus, subjects.build_network("c"), Build, network)
    guest = await bench.guest()
    deed = await bench.deed(guest.guest)
    bench.tell_running(guest.guest)
    await bench.ask(Lost(host="h2", guests=(guest.guest,)), Done)
    assert not bench.admission(guest.guest).lost, "that is its own host's to say"
    await bench.ask(Lost(host="h1", guests=(UNKNOWN, guest.guest)), Done)
    await bench.moving(lambda: len(back) >= 2)
    assert {(build.guest, build.deed, build.restore) for build in back} == {(guest.guest, deed, True)}
    bench.tell_running(guest.guest)
    assert not bench.admission(guest.guest).lost
    sent = len(back)
    await bench.later()
    assert len(back) == sent


async def test_a_guest_that_this_ledger_has_lost_is_taken_in(bench: Bench) -> None:
    await bench.save("p", TWO_GUESTS)
    bench.tell("h2", a_guest(UNKNOWN, "h1"))
    assert bench.gone(UNKNOWN), "a host speaks for itself alone"
    bench.tell("h1", a_guest(UNKNOWN, "h1", 3))
    adopted = bench.admission(UNKNOWN)
    assert adopted.stage is Stage.ACTIVE and adopted.deed == a_deed(UNKNOWN, 3, "h1")
    with pytest.raises(QuotaExceeded):
        await bench.admit(2)


# --- stops and starts ------------------------------------------------------------------------------------------------


async def test_the_next_process_goes_on(bench: Bench) -> None:
    await bench.save("p", Quota(project="p", instances=4))
    building, placed, doomed, running = (await bench.admit(4, idempotency_key="k")).guests
    for guest in (placed, doomed, running):
        await bench.deed(guest)
    bench.tell_running(running)
    bench.host_answers = False
    urn = (await bench.delete(doomed)).key
    await bench.close()
    bench.sent.clear()
    bench.deletes.clear()
    await bench.open()
    await bench.moving(lambda: len({build.guest for build in bench.sent}) == 2 and bench.deletes)
    assert {build.guest: build.deed is not None for build in bench.sent} == {building: False, placed: True}
    assert {delete.urn for delete in bench.deletes} == {urn}
    with pytest.raises(QuotaExceeded):
        await bench.admit()
    assert (await bench.admit(4, idempotency_key="k")).again
    assert bench.sink.positions() == {"h1": Position(epoch="e", seq=1)}


async def test_news_that_led_to_nothing_may_come_again(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    bench.tell_running(guest)
    assert bench.sink.positions() == {}
    await bench.deed(guest)
    bench.tell_running(guest)
    assert bench.sink.positions()["h1"].seq == 2


async def test_what_is_absent_from_a_hosts_complete_state_is_not_ended(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    bench.tell_running(guest)
    empty: tuple[Row, ...] = ()
    bench.sink.replace(Owner(store="h1", role="host", cluster="c"), Position(epoch="f", seq=1), empty)
    assert bench.admission(guest).stage is Stage.ACTIVE


async def test_a_resent_build_is_what_was_asked(bench: Bench) -> None:
    await bench.admit()
    await bench.sent_again(3)
    assert all(build == bench.sent[0] for build in bench.sent)


async def test_nothing_is_said_before_it_is_durable(bench: Bench) -> None:
    placed, doomed, failed, early = (await bench.admit(4)).guests
    await bench.sent_again(4)
    await bench.deed(placed)
    await bench.deed(doomed)
    bench.disk.clear()
    asked = [
        asyncio.create_task(one)
        for one in (
            bench.admit(),
            bench.deed(early),
            bench.give_up(failed),
            bench.delete(doomed),
            bench.save("p", TWO_GUESTS),
        )
    ]
    await turns()
    assert not any(one.done() for one in asked) and len(bench.sent) == 4
    bench.disk.set()
    await asyncio.gather(*asked)
    await bench.sent_again(5)


async def test_a_repeat_waits_for_the_disk_as_the_first_did(bench: Bench) -> None:
    bench.disk.clear()
    asked = [asyncio.create_task(bench.admit(idempotency_key="k")) for _ in range(2)]
    await turns()
    assert not any(one.done() for one in asked)
    bench.disk.set()
    first, again = await asyncio.gather(*asked)
    assert first.guests == again.guests and (first.again, again.again) == (False, True)
    assert again.position.seq >= first.position.seq


async def test_what_comes_while_the_disk_is_waited_for_is_not_acted_on_before_it_is_there(bench: Bench) -> None:
    """Something else is on its way to the disk; what is asked for meanwhile comes after it."""
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    bench.disk.clear()
    saving = asyncio.create_task(bench.save("p", TWO_GUESTS))
    await turns()
    bench.worker._reconciler.wake(guest)
    asked = asyncio.create_task(bench.ask(Intents(host="h1", guests=(guest,)), IntentList))
    await turns()
    deleting = asyncio.create_task(bench.delete(guest))
    await turns()
    before, bench.disk = bench.disk, asyncio.Event()
    before.set()
    (intent,) = (await asked).intents
    await saving
    await turns()
    assert not intent.delete_urn and not bench.deletes and not deleting.done()
    bench.disk.set()
    await deleting
    await bench.moving(lambda: bench.deletes)


async def test_no_delete_is_carried_before_it_is_on_disk(bench: Bench) -> None:
    guest = (await bench.guest()).guest
    await bench.deed(guest)
    bench.tell_running(guest)
    bench.disk.clear()
    asking = asyncio.create_task(bench.delete(guest))
    await turns()
    assert not bench.deletes and not asking.done()
    bench.disk.set()
    await asking
    await bench.moving(lambda: [delete.guest for delete in bench.deletes] == [guest])

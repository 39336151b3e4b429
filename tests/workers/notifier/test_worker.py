"""The notifier from outside: owners write, receivers are told."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from msgspec.structs import replace
from standardwebhooks import Webhook as Verifier

from freehold.store.database import drop, put
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.guest import GuestState
from freehold.vocabulary.notification import (
    MISSED,
    Attempt,
    DeleteWebhook,
    Deliveries,
    DeliveriesOf,
    PingWebhook,
    RenewSecret,
    Resend,
    UpdateWebhook,
    Webhook,
    WebhookMade,
)
from freehold.vocabulary.tenant import Project
from tests.owners import until
from tests.workers.notifier.bench import OTHER_URL, URL, Answered, Bench, Failed

S = GuestState
DEAD = Failed("no connection")


async def test_a_project_is_told_what_happens_to_its_guests_in_order(bench: Bench) -> None:
    made = await bench.hook()
    await bench.admit("g")
    await bench.run("g", S.FETCHING_IMAGE, S.RUNNING, S.SHUTTING_DOWN, S.STOPPED)
    await bench.idle()
    types = bench.receivers[URL].types()
    assert [one for one in types if one.startswith("guest")] == [
        "guest.building",
        "guest.active",
        "guest.stopping",
        "guest.stopped",
    ]
    assert "request.admitted" in types
    told = bench.receivers[URL].got[0]
    signed = dict(told.headers)
    assert signed["webhook-id"] == bench.receivers[URL].bodies()[0]["id"]
    at = datetime.fromtimestamp(int(signed["webhook-timestamp"]), UTC)
    good = Verifier(made.secret.reveal()).sign(signed["webhook-id"], at, told.body.decode())
    assert signed["webhook-signature"] == good


async def test_nobody_is_told_of_another_projects_guests(bench: Bench) -> None:
    await bench.hook(URL, "p")
    await bench.hook(OTHER_URL, "q")
    feed = await bench.feed("q")
    await bench.subscribe(feed, "https://hooks.example/c")
    await bench.admit("g", "p")
    await bench.run("g", S.RUNNING)
    await bench.admit("h", "q")
    await bench.run("h", S.RUNNING, project="q")
    await bench.idle()
    for url, project in ((URL, "p"), (OTHER_URL, "q")):
        assert {body["source"] for body in bench.receivers[url].bodies()} == {f"/freehold/projects/{project}"}
    assert bench.receivers["https://hooks.example/c"].got
    assert all(b"projects/p" not in told.body for told in bench.receivers["https://hooks.example/c"].got)


async def test_a_host_cant_tell_of_what_the_ledger_has_not_given_it(bench: Bench) -> None:
    await bench.hook(URL, "p")
    await bench.run("stranger", S.RUNNING, project="p")
    await bench.admit("elsewhere", "p", host="another host")
    await bench.run("elsewhere", S.RUNNING, project="p")
    await bench.idle()
    assert [one for one in bench.receivers[URL].types() if one.startswith("guest")] == []


async def test_an_event_that_comes_before_the_ledgers_is_told_after_it_and_in_order(bench: Bench) -> None:
    await bench.hook()
    await bench.run("g", S.FETCHING_IMAGE, S.RUNNING)
    await bench.idle()
    assert bench.receivers[URL].got == []
    await bench.restart()
    await bench.admit("g")
    await bench.idle()
    await bench.run("g", S.STOPPED)
    await bench.idle()
    guests = [one for one in bench.receivers[URL].types() if one.startswith("guest")]
    assert guests == ["guest.building", "guest.active", "guest.stopped"]


async def test_filters_by_type_and_by_thing(bench: Bench) -> None:
    await bench.hook(URL, types=("freehold.guest.*",), about=("g",))
    await bench.hook(OTHER_URL, types=("freehold.request.admitted",))
    for guest in ("g", "h"):
        await bench.admit(guest)
        await bench.run(guest, S.RUNNING)
    await bench.idle()
    assert bench.receivers[URL].types() == ["guest.active"]
    assert bench.receivers[OTHER_URL].types() == ["request.admitted"] * 2


async def test_what_is_not_taken_is_sent_again_with_growing_pauses_and_the_same_id(bench: Bench) -> None:
    await bench.hook(types=("freehold.guest.*",))
    receiver = bench.receivers[URL]
    receiver.fates = [DEAD, Answered(500), Answered(302, location="http://127.0.0.1/")]
    await bench.admit("g")
    await bench.run("g", S.RUNNING)
    await bench.idle()
    tries = [(len(receiver.got), 0.0)]
    waited_s = 0.0
    while len(receiver.got) < 4:
        bench.clock.move(1.0)
        waited_s += 1.0
        await bench.idle()
        if len(receiver.got) > tries[-1][0]:
            tries.append((len(receiver.got), waited_s))
    gaps = [later[1] - earlier[1] for earlier, later in pairwise(tries)]
    assert 3 <= gaps[0] <= 8 and 10 <= gaps[1] <= 20 and 30 <= gaps[2] <= 60
    assert len({dict(told.headers)["webhook-id"] for told in receiver.got}) == 1


async def test_a_receiver_that_fails_for_a_day_is_given_up_with_a_reason(bench: Bench) -> None:
    made = await bench.hook(types=("freehold.guest.*",))
    bench.receivers[URL].always = DEAD
    await bench.admit("g")
    await bench.run("g", S.RUNNING)
    for _ in range(200):
        bench.clock.move(600.0)
        await bench.idle()
    hook = bench.store.read_as(Webhook, made.done.key)
    assert hook is not None and not hook.enabled
    assert "24 hours" in hook.reason or ("2" in hook.reason and "no connection" in hook.reason)
    tries = len(bench.receivers[URL].got)
    await bench.run("g", S.STOPPED)
    await bench.idle()
    assert len(bench.receivers[URL].got) == tries and tries < 20


async def test_one_that_is_gone_is_disabled_at_once_and_may_be_enabled_again(bench: Bench) -> None:
    made = await bench.hook(types=("freehold.guest.*",))
    receiver = bench.receivers[URL]
    receiver.fates = [Answered(410)]
    await bench.admit("g")
    await bench.run("g", S.RUNNING, S.STOPPED)
    await bench.idle()
    hook = bench.store.read_as(Webhook, made.done.key)
    assert hook is not None and not hook.enabled and "410" in hook.reason
    sent = len(receiver.got)
    await bench.run("g", S.RUNNING)
    await bench.idle()
    assert len(receiver.got) == sent
    await bench.ask(UpdateWebhook(webhook=replace(hook, enabled=True)))
    await bench.run("g", S.STOPPED)
    await bench.idle()
    assert receiver.types()[sent:] == [MISSED.removeprefix("freehold."), "guest.stopped"]


async def test_what_it_never_takes_keeps_the_others_from_it_only_for_a_moment(bench: Bench) -> None:
    await bench.hook(types=("freehold.guest.active",))
    receiver = bench.receivers[URL]
    for guest in ("poison", "g", "h"):
        await bench.admit(guest)
    receiver.fates = [Answered(400)]
    await bench.run("poison", S.RUNNING)
    await bench.idle()
    receiver.fates = []
    for guest in ("g", "h"):
        await bench.run(guest, S.RUNNING)
    await bench.idle()
    bench.clock.move(8.0)
    await bench.idle()
    assert {body["data"]["id"] for body in receiver.bodies()} >= {"g", "h"}


async def test_a_dead_receiver_keeps_no_other_waiting(bench: Bench) -> None:
    await bench.hook(URL, types=("freehold.guest.*",))
    await bench.hook(OTHER_URL, types=("freehold.guest.*",))
    bench.receivers[URL].always = DEAD
    await bench.admit("g")
    await bench.run("g", S.RUNNING, S.STOPPED, S.RUNNING, S.STOPPED)
    await bench.idle()
    assert len(bench.receivers[OTHER_URL].got) == 4
    assert len(bench.receivers[URL].got) == 1


async def test_what_waits_is_sent_after_a_restart_and_nothing_else(bench: Bench) -> None:
    await bench.hook(types=("freehold.guest.*",))
    receiver = bench.receivers[URL]
    await bench.admit("g")
    await bench.run("g", S.RUNNING)
    await bench.idle()
    receiver.always = DEAD
    await bench.run("g", S.STOPPED)
    await bench.idle()
    tries = len(receiver.got)
    receiver.always = Answered(204)
    await bench.restart(killed=True)
    await bench.idle()
    assert receiver.types()[tries:] == ["guest.stopped"]
    await bench.restart()
    await bench.idle()
    assert len(receiver.got) == tries + 1


async def test_what_happened_while_it_was_down_is_told_once(bench: Bench) -> None:
    await bench.hook(types=("freehold.guest.*",))
    await bench.admit("g")
    await bench.idle()
    await bench.worker.close()
    await bench.run("g", S.RUNNING, S.STOPPED)
    await bench.store.close()
    bench.worker, bench.store = await reopened(bench)
    await bench.idle()
    assert bench.receivers[URL].types() == ["guest.active", "guest.stopped"]


async def reopened(bench: Bench):  # type: ignore[no-untyped-def]
    from freehold.workers.notifier.worker import NotifierWorker
    from tests.owners import store_at
    from tests.workers.notifier.bench import delivery_to

    store = await store_at(bench.path / "notifier.db", bench.means, "notifier")
    worker = NotifierWorker(bench.means, store, delivery_to(bench.clock, bench.receivers))
    await worker.open()
    return worker, store


async def test_after_a_gap_in_a_log_it_tells_what_differs_and_that_something_was_missed(bench: Bench) -> None:
    await bench.hook(types=("freehold.guest.*",))
    for guest in ("g", "h"):
        await bench.admit(guest)
        await bench.run(guest, S.RUNNING)
    await bench.idle()
    told = len(bench.receivers[URL].got)
    await bench.worker.close()
    await bench.run("g", S.STOPPED, S.RUNNING, S.STOPPED)
    await bench.host.compact(tail=1)
    await bench.store.close()
    bench.worker, bench.store = await reopened(bench)
    await bench.idle()
    assert bench.worker.follower.resyncs == 1
    assert bench.receivers[URL].types()[told:] == ["guest.stopped", "events.missed"]


async def test_a_project_that_is_gone_is_told_nothing(bench: Bench) -> None:
    made = await bench.hook()
    await bench.ledger.commit([put("p", Project(id="p", name="p"))], "test")
    await bench.ledger.commit([drop("project", "p")], "test")
    await bench.idle()
    assert bench.store.read_as(Webhook, made.done.key) is None
    await bench.admit("g")
    await bench.idle()
    assert bench.receivers[URL].got == []


async def test_a_ping_says_what_came_of_it_at_once(bench: Bench) -> None:
    made = await bench.hook()
    question = PingWebhook(webhook=made.done.key, project="p")
    assert (await bench.ask(question, Attempt)).taken
    assert bench.receivers[URL].types() == ["ping"]
    bench.receivers[URL].always = DEAD
    attempt = await bench.ask(question, Attempt)
    assert not attempt.taken and attempt.reason == "no connection"


async def test_the_log_shows_what_was_tried_and_one_can_be_sent_again(bench: Bench) -> None:
    made = await bench.hook(types=("freehold.guest.*",))
    await bench.admit("g")
    await bench.run("g", S.RUNNING)
    await bench.idle()
    question = DeliveriesOf(webhook=made.done.key, project="p")
    await until(lambda: bench.worker.queues.targets() == [])
    (delivery,) = (await bench.ask(question, Deliveries)).deliveries
    assert delivery.type == "freehold.guest.active" and not delivery.waits and delivery.attempt.taken
    await bench.ask(Resend(webhook=made.done.key, project="p", delivery=delivery.id))
    await bench.idle()
    first, second = bench.receivers[URL].bodies()
    assert first == second
    with pytest.raises(NotFound):
        await bench.ask(Resend(webhook=made.done.key, project="p", delivery="99"))


async def test_another_project_has_no_part_in_it(bench: Bench) -> None:
    made = await bench.hook()
    for question in (
        DeleteWebhook(webhook=made.done.key, project="q"),
        PingWebhook(webhook=made.done.key, project="q"),
        DeliveriesOf(webhook=made.done.key, project="q"),
        RenewSecret(webhook=made.done.key, project="q"),
    ):
        with pytest.raises(NotFound):
            await bench.ask(question)


async def test_a_receiver_inside_is_refused(bench: Bench) -> None:
    for url in ("http://127.0.0.1/", "http://169.254.169.254/latest", "https://[::1]/", "ftp://hooks.example/"):
        with pytest.raises(BadRequest):
            await bench.hook(url)


async def test_after_a_change_of_the_secret_both_sign_for_a_day(bench: Bench) -> None:
    made = await bench.hook()
    fresh = await bench.ask(RenewSecret(webhook=made.done.key, project="p"), WebhookMade)
    assert fresh.secret != made.secret
    question = PingWebhook(webhook=made.done.key, project="p")
    await bench.ask(question, Attempt)
    bench.clock.move(25 * 3600.0)
    await bench.ask(question, Attempt)
    both, one = (dict(told.headers)["webhook-signature"].split() for told in bench.receivers[URL].got)
    assert len(both) == 2 and len(one) == 1


async def test_who_has_taken_nothing_yet_or_failed_last_is_sent_to_beside_the_others(bench: Bench) -> None:
    await bench.hook(types=("freehold.guest.*",))
    receiver = bench.receivers[URL]
    await bench.admit("g")
    receiver.fates = [Answered(200), DEAD]
    for state in (S.RUNNING, S.STOPPED):
        await bench.run("g", state)
        await bench.idle()
    bench.clock.move(10.0)
    await bench.idle()
    await bench.run("g", S.RUNNING)
    await bench.idle()
    assert [told.doubtful for told in receiver.got] == [True, False, True, False]

"""Whether a host takes guests: the rules as a table, and what its worker makes of them."""

import pytest

from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Conflict, Unavailable
from freehold.vocabulary.guest import GuestState, Start, Stop
from freehold.vocabulary.host import REASON_LETTERS_MAX, Drain, Host, Retire, Undrain
from freehold.workers.host.standing import RETIRED, ordered, refusal_sentence
from tests.owners import a_host
from tests.workers.host.bench import GUEST, OTHER, PROJECT, Bench, settled

NOW = 77
S = GuestState


def drain(reason: str = "") -> Drain:
    return Drain(urn="u", host="h", user="root", reason=reason)


UNDRAIN, RETIRE = Undrain(urn="u", host="h", user="root"), Retire(urn="u", host="h", user="root")
ENABLED = a_host("h")
DRAINED = a_host("h", enabled=False, disabled_reason="new disks")
GONE = a_host("h", enabled=False, disabled_reason=RETIRED, retired=5)


@pytest.mark.parametrize(
    ("host", "order", "guests", "after"),
    [
        (ENABLED, drain("new disks"), 3, DRAINED),
        (ENABLED, drain(), 0, a_host("h", enabled=False)),
        (DRAINED, drain("fans"), 3, a_host("h", enabled=False, disabled_reason="fans")),
        (DRAINED, UNDRAIN, 3, ENABLED),
        (ENABLED, UNDRAIN, 3, ENABLED),
        (ENABLED, RETIRE, 0, a_host("h", enabled=False, disabled_reason=RETIRED, retired=NOW)),
        (DRAINED, RETIRE, 0, a_host("h", enabled=False, disabled_reason=RETIRED, retired=NOW)),
        (GONE, RETIRE, 0, GONE),
    ],
)
def test_moves(host: Host, order: Drain | Undrain | Retire, guests: int, after: Host) -> None:
    assert ordered(host, order, guests, NOW) == after


@pytest.mark.parametrize(
    ("host", "order", "guests", "why"),
    [
        (ENABLED, RETIRE, 1, "has 1 guest. Drain it, have them deleted"),
        (DRAINED, RETIRE, 12, "has 12 guests"),
        (GONE, drain(), 0, "is retired, for good: start it over a new state folder"),
        (GONE, UNDRAIN, 0, "is retired, for good"),
    ],
)
def test_what_is_refused(host: Host, order: Drain | Undrain | Retire, guests: int, why: str) -> None:
    with pytest.raises(Conflict, match=why):
        ordered(host, order, guests, NOW)


@pytest.mark.parametrize("reason", ["x" * (REASON_LETTERS_MAX + 1), "two\nlines", "\x1b[31m"])
def test_a_reason_is_a_short_line(reason: str) -> None:
    with pytest.raises(BadRequest, match="on one line"):
        ordered(ENABLED, drain(reason), 0, NOW)
    assert ordered(ENABLED, drain("x" * REASON_LETTERS_MAX), 0, NOW).disabled_reason


def test_the_operators_words_are_not_for_tenants() -> None:
    assert refusal_sentence(DRAINED) == "Host h is drained and takes no new guests."
    assert "retired" in refusal_sentence(GONE)


# --- the worker


async def tell(bench: Bench, order: type[Drain] | type[Undrain] | type[Retire], **more: str) -> Done:
    return await bench.ask(order(urn="urn:order", host=bench.store.id, user="op", **more))


async def reopened(bench: Bench) -> None:
    await bench.kill()
    await bench.open()
    await bench.until(lambda: bench.worker.cleared)


async def test_a_drained_host_refuses_durably_and_goes_on_with_what_it_has(bench: Bench) -> None:
    await bench.running()
    done = await tell(bench, Drain, reason="new disks")
    assert done.position == bench.store.position() and not bench.host().enabled
    await bench.send(bench.build(OTHER))
    assert "is drained and takes no new guests" in bench.refusal(OTHER).fault.message
    assert bench.state(OTHER) is None
    who = {"guest": GUEST, "user": "u", "project": PROJECT}
    await bench.ask(Stop(urn="urn:stop", grace_s=0, **who))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await bench.ask(Start(urn="urn:start", **who))
    await bench.until(lambda: bench.state() is S.RUNNING)


async def test_it_stays_drained_through_its_next_start_until_it_is_taken_up_again(bench: Bench) -> None:
    await tell(bench, Drain, reason="new disks")
    await reopened(bench)
    assert (bench.host().enabled, bench.host().disabled_reason) == (False, "new disks")
    await tell(bench, Undrain)
    await reopened(bench)
    assert (bench.host().enabled, bench.host().disabled_reason) == (True, "")
    await bench.running()


async def test_an_order_that_changes_nothing_writes_nothing(bench: Bench) -> None:
    await tell(bench, Drain, reason="x")
    before = bench.store.position()
    await tell(bench, Drain, reason="x")
    assert bench.store.position() == before


async def test_a_host_with_guests_is_not_retired(bench: Bench) -> None:
    await bench.running()
    with pytest.raises(Conflict, match="has 1 guest"):
        await tell(bench, Retire)
    assert bench.host().enabled and not bench.host().retired


async def test_a_retired_host_takes_nothing_any_more_whatever_starts(bench: Bench) -> None:
    await bench.until(lambda: bench.worker.cleared)
    await tell(bench, Retire)
    first = bench.host().retired
    await bench.send(bench.build())
    assert "is retired" in bench.refusal().fault.message
    await reopened(bench)
    assert bench.host().retired == first
    await bench.send(bench.build(OTHER))
    assert "is retired" in bench.refusal(OTHER).fault.message
    with pytest.raises(Conflict, match="for good"):
        await tell(bench, Undrain)


async def test_a_host_that_cannot_know_its_guests_yet_is_not_retired(bench: Bench) -> None:
    await bench.kill()
    assert bench.registrar is not None
    await bench.registrar.close()
    await bench.open()
    await settled()
    with pytest.raises(Unavailable, match="waits for the registrar"):
        await tell(bench, Retire)
    await bench.open_registrar()


async def test_nor_is_one_that_runs_what_it_has_no_record_of(bench: Bench) -> None:
    await bench.running()
    await bench.kill()
    bench.lose_store()
    await bench.open()
    await bench.until(lambda: bench.worker.cleared)
    with pytest.raises(Conflict, match="runs 1 guests that it has no record of"):
        await talk.ask(
            bench.bus, subjects.ask_host(bench.store.id), Retire(urn="u", host=bench.store.id, user=""), Done
        )
    await bench.hypervisor.remove(GUEST)

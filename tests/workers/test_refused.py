"""A request that was refused is refused again, whoever asks and whatever has changed: for a day."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.store.database import Store
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import Conflict, FreeholdError, NoRoom, QuotaExceeded
from freehold.vocabulary.units import clock_time
from freehold.workers.refused import KEPT_MS, RefusedRequests
from tests.owners import means_of, store_at

NOW_MS = 10 * KEPT_MS
NOW = clock_time(NOW_MS)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = await store_at(tmp_path / "s.db", means_of())
    yield made
    await made.close()


@pytest.mark.parametrize("error", [Conflict("in use", names=("a", "b")), QuotaExceeded("too much"), NoRoom("full")])
async def test_it_is_refused_for_the_same_reason_also_by_the_next_process(tmp_path: Path, error: FreeholdError) -> None:
    first = await store_at(tmp_path / "s.db", means_of())
    RefusedRequests(first).keep("urn:1", error, NOW)
    await first.close()
    again = await store_at(tmp_path / "s.db", means_of())
    refused = RefusedRequests(again)
    with pytest.raises(type(error)) as caught:
        refused.check("urn:1")
    assert caught.value.fault() == error.fault()
    refused.check("urn:2")
    await again.close()


async def test_it_is_known_before_it_is_on_disk(store: Store) -> None:
    refused = RefusedRequests(store)
    refused.keep("urn:1", Conflict("in use"), NOW)
    with pytest.raises(Conflict):
        refused.check("urn:1")


async def test_a_question_without_a_urn_is_never_refused_for_that(store: Store) -> None:
    refused = RefusedRequests(store)
    refused.keep("", Conflict("in use"), NOW)
    refused.check("")
    assert not store.scan_private("refused_request")


async def test_nobody_else_is_told_of_it(store: Store) -> None:
    RefusedRequests(store).keep("urn:1", Conflict("in use"), NOW)
    await store.durable()
    assert not store.since(Position(epoch=store.epoch)).entries and not store.complete(("", "")).rows


async def test_it_is_let_go_of_after_a_day_and_not_before(store: Store) -> None:
    refused = RefusedRequests(store)
    for urn, ms in (("urn:old", NOW_MS - 1), ("urn:new", NOW_MS)):
        refused.keep(urn, Conflict("in use"), clock_time(ms))
    refused.forget(clock_time(NOW_MS + KEPT_MS))
    refused.check("urn:old")
    with pytest.raises(Conflict):
        refused.check("urn:new")

"""The registrar's rows: sums that keep step, and what follows from an admission that moves."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from freehold.store.database import Store, keep_private, put
from freehold.vocabulary.codec import encode
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import GuestSpec
from freehold.vocabulary.request import Admission, Build, Idempotency, Request, Stage
from freehold.vocabulary.tenant import Flavor, Quota, Resource
from freehold.workers.registrar.records import DELETED_FIRST, Records
from tests.owners import a_build, a_deed, means_of, store_at

FAULT = Fault(code="NoRoom", message="full")
FIRST = Idempotency(body_digest="d", guests=("g",), urn="urn:g")
BIG = Flavor(id="b", name="big", vcpus=4, ram_mib=2048, disk_gib=1)


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    store = await store_at(tmp_path / "s.db", means_of())
    yield Records(store)
    await store.close()


def build_of(guest: str, project: str = "p", flavor: Flavor | None = None) -> Build:
    build = a_build(guest=guest, urn=f"urn:{guest}", project=project, created=1)
    return build if flavor is None else replace(build, spec=GuestSpec(flavor=flavor, image=""))


def request_of(build: Build) -> Request:
    return Request(
        urn=build.urn, project=build.project, user="u", action="create", guest=build.guest, created=1, expires=2
    )


def admit(records: Records, *builds: Build, key: str = "") -> Position:
    return records.admit(builds, [request_of(build) for build in builds], key, FIRST)


def admission(records: Records, guest: str = "g") -> Admission:
    found = records.admission(guest)
    assert found is not None
    return found


def request(records: Records, urn: str = "urn:g") -> Request:
    found = records.request(urn)
    assert found is not None
    return found


async def test_a_guest_is_admitted_with_all_that_belongs_to_it(records: Records) -> None:
    build = build_of("g")
    await records.store.durable(admit(records, build, key="k"))
    assert records.build("g") == build and request(records).guest == "g"
    assert records.idempotency("p", "k") == FIRST
    assert records.idempotency("p", "other") is None and records.idempotency("q", "k") is None
    assert [one.guest for one in records.admissions()] == ["g"]
    told = b"".join(entry.value or b"" for entry in records.store.since(Position(epoch=records.store.epoch)).entries)
    assert b"body_digest" not in told, "a client's key is nobody else's"


async def test_without_a_key_none_is_kept(records: Records) -> None:
    admit(records, build_of("g"))
    assert records.idempotency("p", "") is None


async def test_defaults_hold_where_no_limit_was_set(records: Records) -> None:
    assert records.quota("p") == Quota(project="p")


async def test_a_stage_is_a_line_in_the_ledger(records: Records) -> None:
    admit(records, build_of("g"))
    before = admission(records)
    records.moved(before, replace(before, stage=Stage.SCHEDULED), "t", 5)
    records.moved(admission(records), replace(admission(records), attempts=2), "t", 6)
    assert request(records).stages == (("scheduled", 5),) and request(records).finished is None
    assert records.build("g") is not None


@pytest.mark.parametrize("stage", [Stage.ACTIVE, Stage.FAILED])
async def test_the_message_is_dropped_when_its_request_has_ended(records: Records, stage: Stage) -> None:
    admit(records, build_of("g"))
    before = admission(records)
    fault = FAULT if stage is Stage.FAILED else None
    records.moved(before, replace(before, stage=stage, fault=fault), "t", 5)
    assert records.build("g") is None
    assert (request(records).finished, request(records).fault) == (5, fault)


async def test_the_message_is_dropped_when_a_delete_was_taken(records: Records) -> None:
    admit(records, build_of("g"))
    before = admission(records)
    records.moved(before, replace(before, delete_urn="urn:d"), "urn:d", 5)
    assert records.build("g") is None and request(records).finished is None


async def test_a_guest_that_goes_ends_its_requests(records: Records) -> None:
    admit(records, build_of("g"))
    deleting = replace(request_of(build_of("g")), urn="urn:d", action="delete")
    doomed = replace(admission(records), delete_urn="urn:d")
    records.moved(admission(records), doomed, "urn:d", 4, [put("urn:d", deleting)])
    records.moved(doomed, None, "urn:d", 5)
    assert records.admission("g") is None and records.build("g") is None
    assert (request(records).finished, request(records).fault) == (5, DELETED_FIRST)
    assert (request(records, "urn:d").finished, request(records, "urn:d").fault) == (5, None)


async def test_a_request_that_had_ended_keeps_its_end(records: Records) -> None:
    admit(records, build_of("g"))
    before = admission(records)
    active = replace(before, stage=Stage.ACTIVE)
    records.moved(before, active, "t", 5)
    records.moved(active, None, "t", 9)
    assert (request(records).finished, request(records).fault) == (5, None)


async def test_positions_are_those_that_were_kept(records: Records) -> None:
    assert records.positions() == {}
    position = Position(epoch="e", seq=7)
    records.store.stage([keep_private("position", "h1", encode(position))], "news")
    assert records.positions() == {"h1": position}


MOVE = st.tuples(st.sampled_from("abcdef"), st.sampled_from("pq"), st.booleans(), st.sampled_from("xyz"))


@settings(max_examples=25)
@given(moves=st.lists(MOVE, max_size=16))
async def test_what_is_counted_is_the_sum_of_what_is_admitted(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, str, bool, str]]
) -> None:
    path = tmp_path_factory.mktemp("usage") / "s.db"
    store = await store_at(path, means_of())
    records = Records(store)
    for guest, project, big, host in moves:
        standing = records.admission(guest)
        if standing is None:
            admit(records, build_of(guest, project, BIG if big else None))
        elif big:
            number = 1 + (standing.deed.number if standing.deed else 0)
            deed = a_deed(guest, number, host, standing.urn)
            records.moved(standing, replace(standing, deed=deed, stage=Stage.SCHEDULED), "t", 1)
        elif standing.stage is Stage.SCHEDULED:
            records.moved(standing, replace(standing, stage=Stage.BUILDING), "t", 1)
        else:
            records.moved(standing, None, "t", 1)
        _check_sums(store, records)
    await store.close()
    again = await store_at(path, means_of())
    _check_sums(again, Records(again), started=True)
    await again.close()


def _check_sums(store: Store, records: Records, *, started: bool = False) -> None:
    there = store.scan(Admission)
    for host in "xyz":
        named = [one.guest for one in there if one.deed is not None and one.deed.host == host]
        assert [one.guest for one in records.deeded(host)] == sorted(named)
    waits = sum(one.stage in (Stage.ADMITTED, Stage.SCHEDULED) for one in there)
    assert records.waiting(0) == waits or (not started and records.waiting(0) < waits), "who is moved on waits no more"
    for project in "pq":
        held = [one.spec.flavor for one in there if one.project == project]
        assert {resource: amount for resource, amount in records.used(project).items() if amount} == {
            resource: amount
            for resource, amount in (
                (Resource.INSTANCES, len(held)),
                (Resource.CORES, sum(flavor.vcpus for flavor in held)),
                (Resource.RAM_MIB, sum(flavor.ram_mib for flavor in held)),
            )
            if amount
        }

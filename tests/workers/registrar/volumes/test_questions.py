"""What the API asks about volumes: admitted against the quota, carried to their owners, and refused for good."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.store.database import put
from freehold.vocabulary.errors import (
    BadRequest,
    Conflict,
    FreeholdError,
    NoRoom,
    NotFound,
    QuotaExceeded,
    Unavailable,
)
from freehold.vocabulary.tenant import Project
from freehold.vocabulary.units import unix_ms
from freehold.vocabulary.volume import (
    SIZE_GIB_MAX,
    GrowVolume,
    MakeVolume,
    RemoveSnapshot,
    RemoveVolume,
    Source,
    SourceKind,
    TakeSnapshot,
    VolumeLabels,
    VolumeSpec,
)
from freehold.vocabulary.volume_request import MAKING_DEADLINE_S, VolumeStage
from freehold.workers.registrar import tenancy
from tests.owners import turns
from tests.workers.registrar.volumes.bench import IMAGES, Bench, a_place, a_refusal, gone_refusal

S = VolumeStage
AWAY = Unavailable("It is away.")


# --- admitted --------------------------------------------------------------------------------------------------------


async def test_a_volume_is_admitted_and_that_is_on_disk(bench: Bench) -> None:
    bench.disk.clear()
    admitting = asyncio.create_task(bench.admit(3, labels=VolumeLabels(name="mine")))
    await turns()
    assert not admitting.done()
    bench.disk.set()
    answer = await admitting
    admission = bench.admission(answer.id)
    assert (answer.urn, answer.store, answer.again) == (admission.urn, bench.store.id, False)
    assert (admission.stage, admission.spec.size_gib, admission.labels.name) == (S.ADMITTED, 3, "mine")
    assert unix_ms(admission.expires) - unix_ms(admission.created) == MAKING_DEADLINE_S * 1000
    assert bench.used() == {"volumes": 1, "gigabytes": 3}


async def test_it_is_found_a_pool_and_made_without_anybody_asking_again(bench: Bench) -> None:
    identifier = (await bench.admit(3)).id
    await bench.until(lambda: bench.questions(MakeVolume))
    asked = bench.questions(MakeVolume, "s1")[0]
    assert (asked.volume, asked.number, asked.spec.size_gib) == (identifier, 1, 3)
    bench.tell_made(identifier)
    assert bench.admission(identifier).stage is S.ACTIVE


async def test_no_two_are_the_same(bench: Bench) -> None:
    answers = [await bench.admit() for _ in range(5)]
    assert len({one.id for one in answers}) == len({one.urn for one in answers}) == 5


@pytest.mark.parametrize(
    ("limits", "size_gib", "fits"),
    [
        ({"volumes": 2}, 1, True),
        ({"volumes": 1}, 1, False),
        ({"volumes": 0}, 1, False),
        ({"volumes": -1, "gigabytes": -1}, 5000, True),
        ({"gigabytes": 10}, 8, True),
        ({"gigabytes": 10}, 9, False),
        ({"per_volume_gigabytes": 5}, 5, True),
        ({"per_volume_gigabytes": 5}, 6, False),
        ({"per_volume_gigabytes": 0}, 1, False),
        ({"snapshots": 0}, 1, True),
    ],
)
async def test_quota_of_volumes(bench: Bench, limits: dict[str, int], size_gib: int, fits: bool) -> None:
    await bench.admit(2)
    await bench.limit(**limits)
    before = bench.used()
    if fits:
        await bench.admit(size_gib)
        return
    with pytest.raises(QuotaExceeded):
        await bench.admit(size_gib)
    assert bench.used() == before, "what was refused takes nothing"
    await bench.admit(1, project="another")


@pytest.mark.parametrize("size_gib", [-5, 0, SIZE_GIB_MAX + 1])
async def test_no_volume_has_less_than_a_gib_or_more_than_it_may(bench: Bench, size_gib: int) -> None:
    await bench.limit(volumes=-1, gigabytes=-1)
    before = bench.used()
    with pytest.raises(BadRequest, match=str(size_gib)):
        await bench.admit(size_gib)
    assert bench.used() == before


async def test_quota_of_snapshots(bench: Bench) -> None:
    volume = await bench.active(2)
    await bench.limit(snapshots=1, gigabytes=4, volumes=0)
    await bench.admit(2, snapshot_of=volume.id)
    assert bench.used() == {"volumes": 1, "snapshots": 1, "gigabytes": 4}
    with pytest.raises(QuotaExceeded):
        await bench.admit(2, snapshot_of=volume.id)


async def test_many_at_once_dont_go_over_the_quota(bench: Bench) -> None:
    await bench.limit(volumes=3)
    bench.disk.clear()
    asking = [asyncio.create_task(bench.admit()) for _ in range(6)]
    await turns()
    bench.disk.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(one, QuotaExceeded) for one in answers) == 3 and bench.used()["volumes"] == 3


async def test_a_project_that_is_being_deleted_gets_none(bench: Bench) -> None:
    await bench.store.commit([put("p", Project(id="p", name="p"))], "test")
    await bench.store.commit(tenancy.closed(bench.store, "p"), "test")
    with pytest.raises(Conflict, match="deleted"):
        await bench.admit()


# --- idempotency keys ------------------------------------------------------------------------------------------------


async def test_the_same_request_is_admitted_once(bench: Bench) -> None:
    key: dict[str, Any] = {"idempotency_key": "k", "body_digest": "d"}
    first = await bench.admit(**key)
    await bench.limit(volumes=1)
    again = await bench.admit(**key)
    assert (again.id, again.urn, again.again, first.again) == (first.id, first.urn, True, False)
    assert bench.used()["volumes"] == 1
    assert (await bench.admit(**key, project="q")).id != first.id, "another project's key is another"
    await bench.close()
    await bench.open()
    assert (await bench.admit(**key)).id == first.id


async def test_the_same_request_at_the_same_time_is_admitted_once(bench: Bench) -> None:
    key: dict[str, Any] = {"idempotency_key": "k", "body_digest": "d"}
    bench.disk.clear()
    asking = [asyncio.create_task(bench.admit(**key)) for _ in range(3)]
    await turns()
    assert not any(one.done() for one in asking), "a repeat is answered when the first is on disk"
    bench.disk.set()
    assert len({one.id for one in await asyncio.gather(*asking)}) == 1 and bench.used()["volumes"] == 1


async def test_a_key_is_for_one_body_and_not_free_again(bench: Bench) -> None:
    identifier = (await bench.admit(idempotency_key="k", body_digest="d")).id
    with pytest.raises(Conflict, match="another request"):
        await bench.admit(idempotency_key="k", body_digest="other")
    bench.change(identifier, place=None, stage=S.ADMITTED)
    await bench.delete(identifier)
    assert bench.gone(identifier)
    with pytest.raises(Conflict, match="deleted"):
        await bench.admit(idempotency_key="k", body_digest="d")


# --- what lies with a volume -----------------------------------------------------------------------------------------


async def test_a_snapshot_and_a_copy_lie_with_their_volume(bench: Bench) -> None:
    bench.pools = ["s2"]
    volume = await bench.active(2)
    bench.pools = ["s1", "s2"]
    chosen = len(bench.chosen)
    snapshot = (await bench.admit(2, snapshot_of=volume.id)).id
    spec = VolumeSpec(size_gib=2, source=Source(kind=SourceKind.VOLUME, id=volume.id))
    copy = (await bench.admit(spec=spec, copy_of=volume.id)).id
    for identifier in (snapshot, copy):
        assert (bench.admission(identifier).place, bench.admission(identifier).stage) == (a_place(1, "s2"), S.PLACED)
    await bench.until(lambda: bench.questions(TakeSnapshot) and len(bench.questions(MakeVolume)) >= 2)
    assert bench.questions(TakeSnapshot, "s2")[0].volume == volume.id
    assert {asked.volume for asked in bench.questions(MakeVolume, "s2")} == {volume.id, copy}
    assert len(bench.chosen) == chosen, "no scheduler is asked"


@pytest.mark.parametrize("what", ["snapshot_of", "copy_of"])
async def test_what_can_not_be_copied(bench: Bench, what: str) -> None:
    volume = await bench.active()
    unknown: dict[str, Any] = {what: "unknown"}
    known: dict[str, Any] = {what: volume.id}
    with pytest.raises(NotFound):
        await bench.admit(**unknown)
    with pytest.raises(NotFound):
        await bench.admit(**known, project="another")
    bench.change(volume.id, delete_urn="urn:d")
    with pytest.raises(Conflict):
        await bench.admit(**known)
    bench.change(volume.id, delete_urn="", refused_number=1, stage=S.FAILED)
    with pytest.raises(NotFound):
        await bench.admit(**known)
    assert bench.used() == {"volumes": 1, "gigabytes": 1}


async def test_the_owner_of_an_image_is_asked_for_it(bench: Bench) -> None:
    spec = VolumeSpec(size_gib=1, source=Source(kind=SourceKind.IMAGE, id="image"))
    await bench.admit(spec=spec, image_owner=IMAGES)
    await bench.until(lambda: bench.questions(MakeVolume))
    asked = bench.questions(MakeVolume)[0]
    assert asked.offer is not None and asked.offer.id == "image" and bench.offered[0].project == "p"


# --- deletes ---------------------------------------------------------------------------------------------------------


async def test_a_delete_is_told_to_its_owner_and_ends_with_its_refusal(bench: Bench) -> None:
    volume = await bench.active()
    done = await bench.delete(volume.id, "urn:d")
    assert done.key == "urn:d"
    assert [(one.volume, one.number, one.urn, one.force) for one in bench.questions(RemoveVolume, "s1")] == [
        (volume.id, 1, "urn:d", False)
    ]
    assert bench.admission(volume.id).delete_urn == "urn:d" and bench.used()["volumes"] == 1
    bench.tell("s1", gone_refusal(volume.id))
    assert bench.gone(volume.id) and bench.used() == {}


async def test_a_snapshot_is_deleted_where_its_volume_is(bench: Bench) -> None:
    volume = await bench.active()
    snapshot = await bench.active(snapshot_of=volume.id)
    await bench.delete(snapshot.id, "urn:d")
    asked = bench.questions(RemoveSnapshot, "s1")[0]
    assert (asked.snapshot, asked.volume, asked.urn) == (snapshot.id, volume.id, "urn:d")


async def test_what_no_pool_has_is_gone_at_once(bench: Bench) -> None:
    bench.pools = []
    identifier = (await bench.admit()).id
    await bench.until(lambda: bench.admission(identifier).stage is S.FAILED)
    assert (await bench.delete(identifier, "urn:d")).key == "urn:d"
    assert bench.gone(identifier) and not bench.questions(RemoveVolume) and bench.used() == {}


async def test_what_is_deleted_while_a_pool_is_looked_for_gets_none(bench: Bench) -> None:
    bench.scheduler_fails = AWAY
    identifier = (await bench.admit()).id
    await bench.until(lambda: bench.chosen)
    await bench.delete(identifier)
    bench.scheduler_fails = None
    await bench.pass_s(100)
    assert bench.gone(identifier) and not bench.asked


async def test_a_delete_is_on_disk_before_its_owner_hears_of_it(bench: Bench) -> None:
    volume = await bench.active()
    bench.disk.clear()
    deleting = asyncio.create_task(bench.delete(volume.id))
    await turns()
    assert not bench.questions(RemoveVolume) and not deleting.done()
    bench.disk.set()
    await deleting
    assert bench.questions(RemoveVolume)


@pytest.mark.parametrize("error", [Conflict("It has snapshots."), BadRequest("It is wrong.")], ids=["409", "400"])
async def test_what_its_owner_does_not_let_go_stays_and_who_asked_is_told(bench: Bench, error: FreeholdError) -> None:
    volume = await bench.active()
    bench.refuses[RemoveVolume] = error
    with pytest.raises(type(error), match=error.message):
        await bench.delete(volume.id)
    stands = bench.admission(volume.id)
    assert (stands.delete_urn, stands.stage) == ("", S.ACTIVE)
    asked = len(bench.questions(RemoveVolume))
    await bench.pass_s(100)
    assert len(bench.questions(RemoveVolume)) == asked, "nobody goes on with it"


async def test_a_refused_delete_that_comes_again_is_refused_again(bench: Bench) -> None:
    volume = await bench.active()
    bench.refuses[RemoveVolume] = Conflict("It has snapshots.")
    with pytest.raises(Conflict):
        await bench.delete(volume.id, "urn:d")
    bench.refuses.clear()
    for _ in range(2):
        with pytest.raises(Conflict, match="snapshots"):
            await bench.delete(volume.id, "urn:d")
        await bench.close()
        await bench.open()
    assert bench.admission(volume.id).delete_urn == "" and len(bench.questions(RemoveVolume)) == 1
    await bench.delete(volume.id, "urn:new")
    assert len(bench.questions(RemoveVolume)) == 2


async def test_an_owner_that_is_not_heard_is_asked_on(bench: Bench) -> None:
    volume = await bench.active()
    bench.refuses[RemoveVolume] = AWAY
    assert (await bench.delete(volume.id, "urn:d")).key == "urn:d", "the promise is the registrar's"
    await bench.pass_s(30)
    assert len(bench.questions(RemoveVolume)) >= 3
    assert {one.urn for one in bench.questions(RemoveVolume)} == {"urn:d"}
    bench.refuses.clear()
    bench.tell("s1", gone_refusal(volume.id))
    assert bench.gone(volume.id)


async def test_what_an_owner_refuses_that_was_not_heard_at_first_stays(bench: Bench) -> None:
    volume = await bench.active()
    bench.refuses[RemoveVolume] = AWAY
    await bench.delete(volume.id, "urn:d")
    bench.refuses[RemoveVolume] = Conflict("It has snapshots.")
    await bench.until(lambda: not bench.admission(volume.id).delete_urn)
    with pytest.raises(Conflict):
        await bench.delete(volume.id, "urn:d")


async def test_a_delete_that_comes_twice_is_one_and_a_second_one_is_the_first(bench: Bench) -> None:
    volume = await bench.active()
    for urn in ("urn:1", "urn:1", "urn:2"):
        assert (await bench.delete(volume.id, urn)).key == "urn:1"
    assert {one.urn for one in bench.questions(RemoveVolume)} == {"urn:1"}


async def test_an_operator_deletes_by_force_and_of_any_project(bench: Bench) -> None:
    volume = await bench.active()
    await bench.delete(volume.id, "urn:d", project="", force=True)
    asked = bench.questions(RemoveVolume)[0]
    assert asked.force and asked.urn != "urn:d" and bench.admission(volume.id).delete_forced


async def test_what_is_not_there_or_anothers_is_not_found(bench: Bench) -> None:
    volume = await bench.active()
    for identifier, project in (("unknown", "p"), (volume.id, "another"), ("unknown", "")):
        with pytest.raises(NotFound):
            await bench.delete(identifier, project=project)
        with pytest.raises(NotFound):
            await bench.extend(identifier, 5, project=project)
    assert not bench.admission(volume.id).delete_urn and not bench.questions(GrowVolume)


# --- extensions ------------------------------------------------------------------------------------------------------


async def test_it_is_extended_and_counts_so_at_once(bench: Bench) -> None:
    volume = await bench.active(2)
    assert (await bench.extend(volume.id, 5, "urn:g")).key == "urn:g"
    asked = bench.questions(GrowVolume, "s1")[0]
    assert (asked.volume, asked.size_gib, asked.urn) == (volume.id, 5, "urn:g")
    assert bench.used()["gigabytes"] == 5 and bench.admission(volume.id).spec.size_gib == 2
    bench.tell_made(volume.id, spec=VolumeSpec(size_gib=5))
    stands = bench.admission(volume.id)
    assert (stands.spec.size_gib, stands.grows_to_gib, stands.grow_urn) == (5, 0, "") and bench.used()["gigabytes"] == 5


@pytest.mark.parametrize(
    ("limits", "fits"),
    [
        ({"gigabytes": 6}, True),
        ({"gigabytes": 5}, False),
        ({"per_volume_gigabytes": 5}, True),
        ({"per_volume_gigabytes": 4}, False),
        ({"volumes": 0}, True),
    ],
)
async def test_quota_of_an_extension(bench: Bench, limits: dict[str, int], fits: bool) -> None:
    volume = await bench.active(2)
    await bench.active(1)
    await bench.limit(**limits)
    if fits:
        await bench.extend(volume.id, 5)
        return
    with pytest.raises(QuotaExceeded):
        await bench.extend(volume.id, 5)
    assert bench.used()["gigabytes"] == 3 and not bench.questions(GrowVolume)


@pytest.mark.parametrize("error", [NoRoom("It is full."), Conflict("It is in use.")], ids=["full", "in use"])
async def test_what_its_owner_refuses_is_given_back_and_refused_again(bench: Bench, error: FreeholdError) -> None:
    volume = await bench.active(2)
    bench.refuses[GrowVolume] = error
    with pytest.raises(type(error)):
        await bench.extend(volume.id, 5, "urn:g")
    assert bench.used()["gigabytes"] == 2 and not bench.admission(volume.id).grow_urn
    bench.refuses.clear()
    with pytest.raises(type(error)):
        await bench.extend(volume.id, 5, "urn:g")
    await bench.extend(volume.id, 5)
    assert bench.used()["gigabytes"] == 5


async def test_an_owner_that_is_not_heard_is_asked_for_more_room_on(bench: Bench) -> None:
    volume = await bench.active(2)
    bench.refuses[GrowVolume] = AWAY
    assert (await bench.extend(volume.id, 5, "urn:g")).key == "urn:g"
    await bench.pass_s(30)
    assert len(bench.questions(GrowVolume)) >= 3 and {one.urn for one in bench.questions(GrowVolume)} == {"urn:g"}
    bench.refuses[GrowVolume] = NoRoom("It is full.")
    await bench.until(lambda: not bench.admission(volume.id).grow_urn)
    assert bench.used()["gigabytes"] == 2


async def test_what_the_pool_could_not_do_after_all_is_given_back(bench: Bench) -> None:
    volume = await bench.active(2)
    await bench.extend(volume.id, 5, "urn:g")
    bench.tell_made(volume.id, refused_urn="urn:g")
    assert bench.used()["gigabytes"] == 2 and not bench.admission(volume.id).grow_urn
    with pytest.raises(Conflict, match="couldn't be made larger"):
        await bench.extend(volume.id, 5, "urn:g")
    assert bench.used()["gigabytes"] == 2, "a request that was refused stays so when it comes again"


async def test_an_extension_that_comes_twice_is_one_and_isnt_refused(bench: Bench) -> None:
    volume = await bench.active(2)
    bench.disk.clear()
    asking = [asyncio.create_task(bench.extend(volume.id, 5, "urn:g")) for _ in range(2)]
    await turns()
    bench.disk.set()
    assert [done.key for done in await asyncio.gather(*asking)] == ["urn:g", "urn:g"]
    assert (await bench.extend(volume.id, 5, "urn:g")).key == "urn:g"
    assert bench.used()["gigabytes"] == 5
    with pytest.raises(Conflict, match="already"):
        await bench.extend(volume.id, 6)


@pytest.mark.parametrize(("size_gib", "raised"), [(2, BadRequest), (1, BadRequest)])
async def test_it_is_only_made_larger(bench: Bench, size_gib: int, raised: type[FreeholdError]) -> None:
    volume = await bench.active(2)
    with pytest.raises(raised):
        await bench.extend(volume.id, size_gib)
    assert bench.used()["gigabytes"] == 2


async def test_what_is_still_made_is_not_extended(bench: Bench) -> None:
    identifier = (await bench.admit(2)).id
    with pytest.raises(Conflict):
        await bench.extend(identifier, 5)


async def test_a_refusal_of_another_place_changes_no_delete(bench: Bench) -> None:
    volume = await bench.active()
    await bench.delete(volume.id)
    before = bench.admission(volume.id)
    bench.tell("s1", a_refusal(volume.id))
    bench.tell("s2", gone_refusal(volume.id))
    assert replace(bench.admission(volume.id), updated=0) == replace(before, updated=0)

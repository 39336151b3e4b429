"""What is shown of a volume by what the registrar and its pool say."""

import pytest

from freehold.api.volume.joined import Joined
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.volume import Snapshot, Volume, VolumeLabels, VolumeSpec, VolumeState
from freehold.vocabulary.volume_request import VolumeAdmission, VolumePlace, VolumeStage
from tests.api.volume.conftest import V3, VolumeCloud

PLACE = VolumePlace(store="pool", cluster="default", number=1)
FAULT = Fault(code="NoRoom", message="No pool has room for it.")


def admission(stage: VolumeStage = VolumeStage.ACTIVE, **more: object) -> VolumeAdmission:
    spec, labels = VolumeSpec(size_gib=2, zone="north"), VolumeLabels(name="asked")
    known = {"id": "v", "project": "p", "user": "u", "urn": "r", "created": 1, "expires": 2, "place": PLACE}
    return VolumeAdmission(**known | {"spec": spec, "labels": labels, "stage": stage} | more)  # type: ignore[arg-type]


def volume(state: VolumeState = VolumeState.AVAILABLE, **more: object) -> Volume:
    spec, labels = VolumeSpec(size_gib=1), VolumeLabels(name="kept")
    known = {"id": "v", "project": "p", "user": "u", "store": "pool", "cluster": "default", "number": 1, "urn": "r"}
    return Volume(**known | {"spec": spec, "labels": labels, "state": state} | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("admitted", "record", "status"),
    [
        (admission(VolumeStage.ADMITTED, place=None), None, "creating"),
        (admission(VolumeStage.PLACED), None, "creating"),
        (admission(VolumeStage.FAILED), None, "error"),
        (admission(VolumeStage.ACTIVE, lost=True), None, "creating"),
        (admission(VolumeStage.PLACED), volume(VolumeState.CREATING), "creating"),
        (admission(VolumeStage.PLACED), volume(), "creating"),
        (admission(), volume(), "available"),
        (admission(grow_urn="g", grows_to_gib=3), volume(), "extending"),
        (admission(grow_urn="g", grows_to_gib=3), volume(VolumeState.EXTENDING), "extending"),
        (admission(), volume(VolumeState.ERROR), "error"),
        (admission(), volume(VolumeState.DELETING), "deleting"),
        (admission(delete_urn="d"), volume(), "deleting"),
        (admission(VolumeStage.FAILED, delete_urn="d"), None, "deleting"),
    ],
)
def test_the_status_of_a_volume(admitted: VolumeAdmission, record: Volume | None, status: str) -> None:
    assert Joined(admitted, record).status == status


def test_what_its_owner_says_is_shown_before_what_was_asked() -> None:
    asked, kept = Joined(admission(fault=FAULT, place=None)), Joined(admission(), volume())
    assert (asked.labels.name, asked.size_gib, asked.zone, asked.fault) == ("asked", 2, "north", FAULT)
    assert (kept.labels.name, kept.zone, kept.fault) == ("kept", "default", None)
    assert kept.size_gib == 2  # the registrar has heard already that it has grown


async def test_a_record_of_another_project_than_the_admission_s_isn_t_shown(volumes: VolumeCloud) -> None:
    pool, api = volumes.pools[0], volumes.api
    mine, theirs = await volumes.made(name="mine"), await volumes.made(volumes.other, name="theirs")
    forged: dict[str, object] = {
        "id": theirs,
        "project": api.project,
        "store": pool.store.id,
        "labels": VolumeLabels(name="forged"),
    }
    await pool.keep(volume(VolumeState.AVAILABLE, **forged))
    await api.cloud.view.fresh(["volume"])
    said = api.cloud.view.get(Volume, theirs)
    assert said is not None and said.labels.name == "forged"
    shown = await volumes.shown(theirs)
    assert (shown["name"], shown["status"]) == ("theirs", "creating")
    assert (await volumes.member.get(f"{V3}/volumes/{theirs}")).status == 404
    assert await volumes.ids() == [mine]


async def test_a_snapshot_isn_t_found_among_volumes_nor_a_volume_among_snapshots(volumes: VolumeCloud) -> None:
    made = await volumes.made()
    taken = await volumes.taken(made)
    assert volumes.api.cloud.view.get(Snapshot, taken) is not None
    assert (await volumes.member.get(f"{V3}/volumes/{taken}")).status == 404
    assert (await volumes.member.get(f"{V3}/snapshots/{made}")).status == 404

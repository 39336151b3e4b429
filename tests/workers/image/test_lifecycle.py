"""The rules of images, as tables."""

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.errors import (
    BadRequest,
    Conflict,
    Fault,
    Forbidden,
    FreeholdError,
    NotFound,
    QuotaExceeded,
    TooLarge,
)
from freehold.vocabulary.image import Image, ImageStatus, Visibility
from freehold.vocabulary.units import GIB
from freehold.workers.image import lifecycle
from freehold.workers.image.lifecycle import MISSING, Arrived, Bad, CutOff, Outcome
from tests.workers.image.bench import IMAGE, PROJECT, a_build, an_image

GOOD = Arrived(size_bytes=5, virtual_bytes=7, md5="m", sha256="s")
BAD = Bad(fault=Fault(code="BadRequest", message="it has a backing file."))
CUT_OFF = CutOff(fault=Fault(code="Unavailable", message="the connection broke."))
S = ImageStatus


@pytest.mark.parametrize("outcome", [GOOD, BAD, CUT_OFF])
@pytest.mark.parametrize("status", list(S))
def test_an_upload_ends_only_where_one_is_going_on(status: S, outcome: Outcome) -> None:
    after = {Arrived: S.ACTIVE, Bad: S.KILLED, CutOff: S.QUEUED}
    if status is S.SAVING:
        assert lifecycle.ended(an_image(status=status), outcome, 9).status is after[type(outcome)]
    else:
        with pytest.raises(Conflict, match=str(status)):
            lifecycle.ended(an_image(status=status), outcome, 9)


@pytest.mark.parametrize("status", list(S))
def test_bytes_begin_only_in_a_queued_image(status: S) -> None:
    if status is S.QUEUED:
        assert lifecycle.begun(an_image(status=status, message="old"), IMAGE, 9).status is S.SAVING
    else:
        with pytest.raises(Conflict):
            lifecycle.begun(an_image(status=status), IMAGE, 9)


def test_good_bytes_leave_their_sizes_and_checksums() -> None:
    ended = lifecycle.ended(an_image(status=S.SAVING), GOOD, 9)
    assert (ended.size_bytes, ended.virtual_bytes, ended.checksum_md5, ended.checksum_sha256) == (5, 7, "m", "s")
    assert ended.updated == 9


@pytest.mark.parametrize("outcome", [BAD, CUT_OFF])
def test_others_leave_their_reason(outcome: Bad | CutOff) -> None:
    assert lifecycle.ended(an_image(status=S.SAVING), outcome, 9).message == outcome.fault.message


@pytest.mark.parametrize("missing", [{"disk_format": None}, {"container_format": None}])
def test_bytes_come_only_when_both_formats_are_known(missing: dict[str, Any]) -> None:
    with pytest.raises(Conflict, match="format"):
        lifecycle.uploadable(an_image(**missing), IMAGE)


WRONG: list[tuple[dict[str, Any], type[FreeholdError]]] = [
    ({"name": "x" * 256}, BadRequest),
    ({"disk_format": "vmdk"}, BadRequest),
    ({"container_format": "ova"}, BadRequest),
    ({"min_disk_gib": -1}, BadRequest),
    ({"min_ram_mib": 2**31}, BadRequest),
    ({"tags": tuple(str(n) for n in range(129))}, TooLarge),
    ({"tags": ("x" * 256,)}, TooLarge),
    ({"properties": {str(n): "" for n in range(129)}}, TooLarge),
    ({"properties": {"a": "x" * 65536}}, TooLarge),
]


@pytest.mark.parametrize(("fields", "raised"), WRONG)
def test_what_is_out_of_bounds_is_refused_at_creation_and_at_change(
    fields: dict[str, Any], raised: type[FreeholdError]
) -> None:
    with pytest.raises(raised):
        lifecycle.created(an_image(**fields), None, held=False, owned=0, now=9)
    with pytest.raises(raised):
        lifecycle.updated(an_image(), an_image(**fields), 9)


@dataclass
class Creation:
    image: str = IMAGE
    present: Image | None = None
    held: bool = False
    owned: int = 0
    raised: type[FreeholdError] = Conflict


@pytest.mark.parametrize(
    "row",
    [
        Creation(image="../etc", raised=BadRequest),
        Creation(present=an_image()),
        Creation(held=True),
        Creation(owned=1000, raised=QuotaExceeded),
    ],
)
def test_where_no_image_can_be_made(row: Creation) -> None:
    with pytest.raises(row.raised):
        lifecycle.created(an_image(row.image), row.present, held=row.held, owned=row.owned, now=9)


FORGED: dict[str, Any] = {
    "status": S.ACTIVE,
    "size_bytes": 1,
    "virtual_bytes": 1,
    "checksum_md5": "x",
    "checksum_sha256": "x",
    "message": "x",
    "created": 1,
    "updated": 1,
}


def test_a_new_image_takes_nothing_that_only_its_bytes_can_tell() -> None:
    made = lifecycle.created(an_image(**FORGED), None, held=False, owned=999, now=9)
    assert made == an_image(created=9, updated=9)


def test_a_change_takes_what_people_may_change_and_nothing_else() -> None:
    present = an_image(status=S.ACTIVE, size_bytes=5, created=3, properties={"a": "b"})
    changed: dict[str, Any] = {
        "name": "new",
        "visibility": Visibility.PUBLIC,
        "protected": True,
        "hidden": True,
        "min_disk_gib": 1,
        "min_ram_mib": 2,
        "tags": ("b", "a", "b"),
        "properties": {"c": "d"},
    }
    forged = {**FORGED, "status": S.KILLED, "project": "another"}
    wanted = replace(present, updated=9, **{**changed, "tags": ("b", "a")})
    assert (
        lifecycle.updated(present, an_image(**changed, **{k: v for k, v in forged.items() if k != "project"}), 9)
        == wanted
    )
    assert lifecycle.updated(present, replace(an_image(**changed), project="another"), 9) == wanted


@pytest.mark.parametrize("status", list(S))
def test_formats_change_only_before_bytes_arrive(status: S) -> None:
    present = an_image(status=status)
    if status is S.QUEUED:
        assert lifecycle.updated(present, an_image(disk_format="qcow2"), 9).disk_format == "qcow2"
    else:
        with pytest.raises(Conflict, match="formats"):
            lifecycle.updated(present, an_image(disk_format="qcow2"), 9)


def test_what_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        lifecycle.updated(None, an_image(), 9)
    with pytest.raises(NotFound):
        lifecycle.deletable(None, IMAGE)
    with pytest.raises(NotFound):
        lifecycle.uploadable(None, IMAGE)
    with pytest.raises(NotFound):
        lifecycle.readable(None, IMAGE)


def test_a_protected_image_is_not_deleted() -> None:
    with pytest.raises(Forbidden, match="protected"):
        lifecycle.deletable(an_image(protected=True), IMAGE)


@pytest.mark.parametrize("status", [S.QUEUED, S.SAVING, S.KILLED])
def test_only_an_active_image_is_read(status: S) -> None:
    with pytest.raises(Conflict):
        lifecycle.readable(an_image(status=status), IMAGE)


@pytest.mark.parametrize("status", list(S))
def test_lost_bytes_show_on_active_images_only_and_found_ones_clear_it(status: S) -> None:
    record = an_image(status=status)
    lost = lifecycle.audited(record, has_bytes=False, now=9)
    if status is not S.ACTIVE:
        assert lost is record
        return
    assert lost.message == MISSING
    assert lifecycle.audited(lost, has_bytes=False, now=10) is lost
    assert lifecycle.audited(lost, has_bytes=True, now=10).message == ""
    assert lifecycle.audited(record, has_bytes=True, now=10) is record


READY = an_image(status=S.ACTIVE, min_ram_mib=512, min_disk_gib=2, size_bytes=9, virtual_bytes=3 * GIB)


@pytest.mark.parametrize(
    ("image", "ram_mib", "disk_gib", "code"),
    [
        (READY, 512, 3, None),
        (READY, 512, 0, None),  # a flavor without a disk takes the image's own size
        (READY, 511, 3, "BadRequest"),
        (READY, 512, 1, "BadRequest"),
        (READY, 512, 2, "BadRequest"),  # enough for the minimum, too small for the bytes
        (None, 512, 3, "NotFound"),
        (replace(READY, status=S.QUEUED), 512, 3, "Conflict"),
        (replace(READY, status=S.SAVING), 512, 3, "Conflict"),
        (replace(READY, status=S.KILLED), 512, 3, "Conflict"),
        (replace(READY, message=MISSING), 512, 3, "Unavailable"),
    ],
)
def test_which_build_can_have_its_image(image: Image | None, ram_mib: int, disk_gib: int, code: str | None) -> None:
    fitting = lifecycle.fitting(image, a_build(ram_mib=ram_mib, disk_gib=disk_gib))
    assert fitting == image if code is None else isinstance(fitting, Fault) and fitting.code == code


@pytest.mark.parametrize(
    ("visibility", "project", "is_member", "seen"),
    [
        (Visibility.PUBLIC, "another", False, True),
        (Visibility.COMMUNITY, "another", False, True),
        (Visibility.SHARED, "another", False, False),
        (Visibility.SHARED, "another", True, True),
        (Visibility.PRIVATE, "another", False, False),
        (Visibility.PRIVATE, "another", True, False),
        (Visibility.PRIVATE, PROJECT, False, True),
        (Visibility.SHARED, PROJECT, False, True),
    ],
)
def test_who_may_boot_it(visibility: Visibility, project: str, is_member: bool, seen: bool) -> None:
    image = replace(READY, visibility=visibility)
    fitting = lifecycle.fitting(image, a_build(project=project, disk_gib=3), is_member=is_member)
    assert fitting == image if seen else fitting == lifecycle.fitting(None, a_build(project=project))

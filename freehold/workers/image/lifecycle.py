"""The rules of images: what is and what came, to what is now. Pure.

    (create) ──► QUEUED ──bytes begin──► SAVING ──bytes good──► ACTIVE
                   ▲                       │ │
                   └──────── cut off ──────┘ └────bytes bad───► KILLED         (delete) from anywhere ──► gone

SAVING has its deadline in the door: a sender who falls silent is cut off. After a restart nothing is arriving, so the
reconciler takes whatever is SAVING as cut off.
"""

from enum import StrEnum
from typing import Final

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
    Unavailable,
)
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.image import FORMATS, Image, ImageMember, ImageStatus, Visibility
from freehold.vocabulary.request import Build
from freehold.vocabulary.tenant import Flavor
from freehold.vocabulary.units import GIB
from freehold.vocabulary.word import Word


class Came(StrEnum):
    """What can happen to an image's bytes."""

    BYTES_BEGIN = "its bytes begin to arrive"
    BYTES_GOOD = "its bytes are good"
    BYTES_BAD = "its bytes are bad"
    CUT_OFF = "its bytes were cut off"


MOVES: Final[dict[tuple[ImageStatus, Came], ImageStatus]] = {
    (ImageStatus.QUEUED, Came.BYTES_BEGIN): ImageStatus.SAVING,
    (ImageStatus.SAVING, Came.BYTES_GOOD): ImageStatus.ACTIVE,
    (ImageStatus.SAVING, Came.BYTES_BAD): ImageStatus.KILLED,
    (ImageStatus.SAVING, Came.CUT_OFF): ImageStatus.QUEUED,
}

IMAGES_PER_PROJECT_MAX: Final = 1000
NAME_LENGTH_MAX: Final = 255
TAGS_MAX: Final = 128
MEMBERS_MAX: Final = 128
PROPERTIES_MAX: Final = 128
PROPERTIES_LENGTH_MAX: Final = 64 * 1024
MINIMUM_MAX: Final = 2**31 - 1
CONTAINER_FORMATS: Final = ("bare",)

MISSING: Final = (
    "The image store has lost the bytes of this image. Mend the store, or delete the image and make it anew."
)


class Arrived(Word, frozen=True, kw_only=True):
    """The bytes are all there and found safe."""

    size_bytes: int
    virtual_bytes: int
    md5: str
    sha256: str


class Bad(Word, frozen=True, kw_only=True):
    """The bytes are all there, and nobody should open them; or there are too many."""

    fault: Fault


class CutOff(Word, frozen=True, kw_only=True):
    """Not all bytes arrived, or they couldn't be kept. Another try may succeed."""

    fault: Fault


Outcome = Arrived | Bad | CutOff


# --- records -------------------------------------------------------------------------------------------------------


def created(given: Image, present: Image | None, *, held: bool, owned: int, now: int) -> Image:
    """The new record. `held`: bytes of an earlier image of this id are still there; `owned`: images the project has.

    Raises BadRequest, Conflict, QuotaExceeded.
    """
    if not is_uuid(given.id):
        raise BadRequest(f"{given.id!r} can't be the id of an image: it must be a UUID in lower case.")
    if present is not None:
        raise Conflict(f"there is an image {given.id} already. Take another id.")
    if held:
        raise Conflict(f"the bytes of an earlier image {given.id} are still being deleted. Take another id, or wait.")
    if owned >= IMAGES_PER_PROJECT_MAX:
        raise QuotaExceeded(f"the project has {owned} images, the most it may have. Delete some first.")
    return _changed(Image(id=given.id, name=given.name, project=given.project, created=now), given, now)


def updated(present: Image | None, given: Image, now: int) -> Image:
    """The record with what people may change taken from `given`. Raises NotFound, BadRequest, Conflict."""
    image = found(present, given.id)
    formats = (given.disk_format, given.container_format)
    if image.status is not ImageStatus.QUEUED and formats != (image.disk_format, image.container_format):
        raise Conflict(f"image {image.id} is {image.status}: its formats can be changed only before bytes arrive.")
    return _changed(image, given, now)


def _changed(image: Image, given: Image, now: int) -> Image:
    _check(given)
    return replace(
        image,
        name=given.name,
        visibility=given.visibility,
        disk_format=given.disk_format,
        container_format=given.container_format,
        min_disk_gib=given.min_disk_gib,
        min_ram_mib=given.min_ram_mib,
        protected=given.protected,
        hidden=given.hidden,
        tags=tuple(dict.fromkeys(given.tags)),
        properties=given.properties,
        updated=now,
    )


def _check(given: Image) -> None:
    if len(given.name) > NAME_LENGTH_MAX:
        raise BadRequest(f"an image's name may have {NAME_LENGTH_MAX} characters.")
    if given.disk_format not in (None, *FORMATS):
        raise BadRequest(f"disk format {given.disk_format!r} can't be booted here; one of {', '.join(FORMATS)} can.")
    if given.container_format not in (None, *CONTAINER_FORMATS):
        raise BadRequest(f"container format {given.container_format!r} isn't known here; bare is.")
    if not (0 <= given.min_disk_gib <= MINIMUM_MAX and 0 <= given.min_ram_mib <= MINIMUM_MAX):
        raise BadRequest(f"the least disk and memory of an image are between 0 and {MINIMUM_MAX}.")
    if len(given.tags) > TAGS_MAX or any(len(tag) > NAME_LENGTH_MAX for tag in given.tags):
        raise TooLarge(f"an image may have {TAGS_MAX} tags of {NAME_LENGTH_MAX} characters.")
    length = sum(len(name) + len(value) for name, value in given.properties.items())
    if len(given.properties) > PROPERTIES_MAX or length > PROPERTIES_LENGTH_MAX:
        raise TooLarge(f"an image may have {PROPERTIES_MAX} properties of {PROPERTIES_LENGTH_MAX} characters in all.")


def found(present: Image | None, image: str) -> Image:
    """The record. Raises NotFound if there is none."""
    if present is None:
        raise NotFound(f"there is no image {image}.")
    return present


def deletable(present: Image | None, image: str) -> Image:
    """The record, if it may be deleted. Raises NotFound, Forbidden."""
    record = found(present, image)
    if record.protected:
        raise Forbidden(f"image {image} is protected. Take the protection away first.")
    return record


# --- sharing -------------------------------------------------------------------------------------------------------


def shared(image: Image | None, given: ImageMember, present: ImageMember | None, count: int, now: int) -> ImageMember:
    """The new record of a project that an image is shared with; `count`: how many there are already. Raises NotFound,
    Forbidden, Conflict, TooLarge.
    """
    _sharable(image, given.image)
    if present is not None:
        raise Conflict(f"image {given.image} is shared with project {given.project} already.")
    if count >= MEMBERS_MAX:
        raise TooLarge(f"image {given.image} is shared with {count} projects, the most there can be.")
    return ImageMember(image=given.image, project=given.project, created=now, updated=now)


def answered(image: Image | None, given: ImageMember, present: ImageMember | None, now: int) -> ImageMember:
    """The record with what the project says of the image. Raises NotFound, Forbidden."""
    return replace(unshared(image, given.image, given.project, present), status=given.status, updated=now)


def unshared(image: Image | None, identifier: str, project: str, present: ImageMember | None) -> ImageMember:
    """The record, which may be changed or dropped. Raises NotFound, Forbidden."""
    _sharable(image, identifier)
    if present is None:
        raise NotFound(f"image {identifier} isn't shared with project {project}.")
    return present


def _sharable(image: Image | None, identifier: str) -> None:
    if found(image, identifier).visibility is not Visibility.SHARED:
        raise Forbidden(f"Only shared images have members: set the visibility of image {identifier} to shared first.")


# --- bytes ---------------------------------------------------------------------------------------------------------


def uploadable(present: Image | None, image: str) -> Image:
    """The record, if its bytes may come. Raises NotFound, Conflict."""
    record = found(present, image)
    _moved(record, Came.BYTES_BEGIN)
    if record.disk_format is None or record.container_format is None:
        raise Conflict(f"image {image} has no disk format or container format yet. Set both before its bytes come.")
    return record


def begun(present: Image | None, image: str, now: int) -> Image:
    """The record when the first bytes arrive. Raises NotFound, Conflict."""
    record = uploadable(present, image)
    return replace(record, status=_moved(record, Came.BYTES_BEGIN), message="", updated=now)


def ended(record: Image, outcome: Outcome, now: int) -> Image:
    """The record when an upload has ended. Raises Conflict if none was going on."""
    match outcome:
        case Arrived():
            return replace(
                record,
                status=_moved(record, Came.BYTES_GOOD),
                size_bytes=outcome.size_bytes,
                virtual_bytes=outcome.virtual_bytes,
                checksum_md5=outcome.md5,
                checksum_sha256=outcome.sha256,
                updated=now,
            )
        case Bad(fault=fault):
            return replace(record, status=_moved(record, Came.BYTES_BAD), message=fault.message, updated=now)
        case CutOff(fault=fault):
            return replace(record, status=_moved(record, Came.CUT_OFF), message=fault.message, updated=now)


def readable(present: Image | None, image: str) -> Image:
    """The record, if its bytes can be read. Raises NotFound, Conflict."""
    record = found(present, image)
    if record.status is not ImageStatus.ACTIVE:
        raise Conflict(f"image {image} is {record.status}: it has no bytes to read.")
    return record


def audited(record: Image, *, has_bytes: bool, now: int) -> Image:
    """An ACTIVE record with its message telling whether its bytes are there; the same if it tells that already."""
    if record.status is not ImageStatus.ACTIVE or has_bytes is (record.message != MISSING):
        return record
    return replace(record, message="" if has_bytes else MISSING, updated=now)


def _moved(record: Image, came: Came) -> ImageStatus:
    try:
        return MOVES[record.status, came]
    except KeyError:
        hint = " Delete it and make a new one." if record.status is ImageStatus.KILLED else ""
        raise Conflict(f"image {record.id} is {record.status}, so it can't be that {came}.{hint}") from None


# --- builds --------------------------------------------------------------------------------------------------------


def visible(image: Image, project: str, *, is_member: bool) -> bool:
    """Whether a project may boot an image."""
    if image.project == project or image.visibility in (Visibility.PUBLIC, Visibility.COMMUNITY):
        return True
    return is_member and image.visibility is Visibility.SHARED


def fitting(present: Image | None, build: Build, *, is_member: bool = False) -> Image | Fault:
    """The image that a build is to have, or why it can't, for the person who asked. `is_member`: it is shared with the
    build's project.
    """
    try:
        image = offered(present, build.spec.image, build.project, is_member=is_member)
    except FreeholdError as error:
        return error.fault()
    return _too_small(image, build.spec.flavor) or image


def offered(present: Image | None, identifier: str, project: str, *, is_member: bool) -> Image:
    """The image that a disk of the project's may be a copy of. Raises NotFound, Conflict, Unavailable."""
    if present is None or not visible(present, project, is_member=is_member):
        raise NotFound(f"There is no image {identifier} that the project may use.")
    if present.status is not ImageStatus.ACTIVE:
        raise Conflict(f"Image {identifier} is {present.status}: only an active one can be booted.")
    if present.message == MISSING:
        raise Unavailable(f"Image {identifier} can't be booted. {MISSING}")
    return present


def _too_small(image: Image, flavor: Flavor) -> Fault | None:
    if flavor.ram_mib < image.min_ram_mib:
        reason = f"needs {image.min_ram_mib} MiB of memory; flavor {flavor.name} has {flavor.ram_mib}"
    elif flavor.disk_gib and flavor.disk_gib < image.min_disk_gib:
        reason = f"needs a disk of {image.min_disk_gib} GiB; that of flavor {flavor.name} has {flavor.disk_gib}"
    elif flavor.disk_gib and flavor.disk_gib * GIB < (image.virtual_bytes or 0):
        reason = f"has {image.virtual_bytes} bytes; the disk of flavor {flavor.name} has {flavor.disk_gib} GiB"
    else:
        return None  # a flavor with a disk of 0 takes the image's own size
    return Fault(code="BadRequest", message=f"Image {image.id} {reason}. Take a larger flavor.")

"""Images: what may be booted, and what travels with a build."""

from enum import StrEnum

import msgspec

from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Message, Word

FORMATS = ("raw", "qcow2")
"""What a host can boot from. Others are refused when the bytes arrive."""

UPLOAD_BYTES_MAX = 64 * 1024**3
VIRTUAL_BYTES_MAX = 2 * 1024**4


class ImageStatus(StrEnum):
    """Where an image stands: nothing uploaded, bytes arriving, usable, found bad, gone."""

    QUEUED = "queued"
    SAVING = "saving"
    ACTIVE = "active"
    KILLED = "killed"


class Visibility(StrEnum):
    """Who sees an image: everybody; the project; the project and its members; anyone who knows the id."""

    PUBLIC = "public"
    PRIVATE = "private"
    SHARED = "shared"
    COMMUNITY = "community"


class Image(Word, frozen=True, kw_only=True):
    """An image's record. `checksum_sha256` and the sizes are known once it is ACTIVE."""

    id: str
    name: str
    project: str
    status: ImageStatus = ImageStatus.QUEUED
    visibility: Visibility = Visibility.SHARED
    disk_format: str | None = None
    container_format: str | None = None
    size_bytes: int | None = None
    virtual_bytes: int | None = None
    checksum_md5: str | None = None
    checksum_sha256: str | None = None
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    protected: bool = False
    hidden: bool = False
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    message: str = ""
    created: int = 0
    updated: int = 0


class MemberStatus(StrEnum):
    """What a project says of an image that is shared with it: whether it is in its lists. It may be booted anyway."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class ImageMember(Word, frozen=True, kw_only=True):
    """A project that an image is shared with (kind ``image_member``, key image/project). It counts while the image's
    visibility is SHARED.
    """

    image: str
    project: str
    status: MemberStatus = MemberStatus.PENDING
    created: int = 0
    updated: int = 0


class ImageOffer(Word, frozen=True, kw_only=True):
    """What the image worker puts into a build: enough for a host to stream the bytes and to check them."""

    id: str
    disk_format: str
    size_bytes: int
    virtual_bytes: int
    checksum_sha256: str
    min_disk_gib: int
    min_ram_mib: int
    url: str
    key: Secret
    """Bearer key for `url`, for this image and reading only, valid a short time."""


class CreateImage(Message, frozen=True, kw_only=True):
    """Makes a record (status QUEUED). Errors: Conflict (id in use), QuotaExceeded. Answer: Done."""

    image: Image


class UpdateImage(Message, frozen=True, kw_only=True):
    """Replaces what people may change of an image (name, visibility, protected, minima, tags, properties, formats
    while QUEUED).

    `project` None: an admin asks. Errors: NotFound, Conflict. Answer: Done.
    """

    image: Image


class DeleteImage(Message, frozen=True, kw_only=True):
    """Deletes record and bytes. Errors: NotFound, Forbidden (protected). Answer: Done."""

    id: str


class BeginUpload(Message, frozen=True, kw_only=True):
    """Opens an image for its bytes: QUEUED -> SAVING when they start to arrive. Errors: NotFound, Conflict. Answer:
    BytesDoor.
    """

    id: str


class BeginDownload(Message, frozen=True, kw_only=True):
    """Asks where an ACTIVE image's bytes can be read. Errors: NotFound, Conflict. Answer: BytesDoor."""

    id: str


class OfferImage(Message, frozen=True, kw_only=True):
    """The registrar asks for an ACTIVE image that a volume of `project` is to be a copy of. Errors: NotFound (there is
    none, or none that the project may see), Conflict. Answer: ImageOffer.
    """

    id: str
    project: str


class BytesDoor(Word, frozen=True, kw_only=True):
    """Where bytes go in or out: an HTTP URL (PUT or GET) and the bearer key for it."""

    url: str
    key: Secret


class SaveMember(Message, frozen=True, kw_only=True):
    """Shares an image with a project (`new`), or keeps what that says of it. Errors: NotFound, Forbidden (the image
    isn't one to be shared), Conflict (it is shared with the project already), TooLarge. Answer: Done.
    """

    member: ImageMember
    new: bool = False


class DropMember(Message, frozen=True, kw_only=True):
    """Shares an image with a project no more. Errors: NotFound, Forbidden. Answer: Done."""

    image: str
    project: str


ImageQuestion = CreateImage | UpdateImage | DeleteImage | BeginUpload | BeginDownload | SaveMember | DropMember


def member_key(image: str, project: str) -> str:
    """Under which a member is kept."""
    return f"{image}/{project}"

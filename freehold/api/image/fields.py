"""An image's record to Glance's flat document and back: known fields by their names, everything else a property."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from freehold.api.call import Body
from freehold.api.image.schemas import CONTAINER_FORMATS, DISK_FORMATS
from freehold.api.wire import Name, NameOrNothing, SmallCount, Text, Uuid
from freehold.vocabulary.errors import BadRequest, Forbidden, TooLarge
from freehold.vocabulary.image import Image, Visibility
from freehold.vocabulary.units import iso_seconds

PROPERTIES_MAX: Final = 128
TAGS_MAX: Final = 128
HASH: Final = "sha256"

READ_ONLY: Final = frozenset(
    {
        "status",
        "size",
        "virtual_size",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "created_at",
        "updated_at",
        "self",
        "file",
        "schema",
        "direct_url",
        "locations",
        "stores",
        "deleted",
        "deleted_at",
    }
)
"""What nobody may give."""


class Given(Body, frozen=True, kw_only=True):
    """What may be given of an image besides properties, under Glance's names."""

    id: Uuid | None = None
    name: NameOrNothing | None = None
    visibility: Visibility = Visibility.SHARED
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: SmallCount = 0
    min_ram: SmallCount = 0
    protected: bool = False
    os_hidden: bool = False
    owner: NameOrNothing | None = None
    tags: Annotated[list[Name], Meta(max_length=TAGS_MAX)] = []


FIELDS: Final = frozenset(field.name for field in msgspec.structs.fields(Given))

_Properties = dict[Name, Text]


def shown(image: Image) -> dict[str, Any]:
    """An image as Glance shows it."""
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "status": image.status.value,
        "visibility": image.visibility.value,
        "owner": image.project,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size_bytes,
        "virtual_size": image.virtual_bytes,
        "checksum": image.checksum_md5,
        "os_hash_algo": HASH if image.checksum_sha256 else None,
        "os_hash_value": image.checksum_sha256,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "protected": image.protected,
        "os_hidden": image.hidden,
        "tags": list(image.tags),
        "created_at": iso_seconds(image.created),
        "updated_at": iso_seconds(image.updated or image.created),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }


def changeable(image: Image) -> dict[str, Any]:
    """The part of the document that may be given, as it stands."""
    document = {name: value for name, value in shown(image).items() if name not in READ_ONLY}
    return {name: value for name, value in document.items() if value is not None}


def applied(image: Image, document: dict[str, Any]) -> Image:
    """`image` with all that may be given as `document` says. Raises BadRequest, or Forbidden for read-only fields."""
    for name in document:
        if name in READ_ONLY:
            raise Forbidden(f"Attribute '{name}' is read-only.")
    given = _converted({name: value for name, value in document.items() if name in FIELDS}, Given)
    properties = _converted({name: value for name, value in document.items() if name not in FIELDS}, _Properties)
    if len(properties) > PROPERTIES_MAX:
        raise TooLarge(f"An image has at most {PROPERTIES_MAX} properties.")
    _check_format("disk_format", given.disk_format, DISK_FORMATS)
    _check_format("container_format", given.container_format, CONTAINER_FORMATS)
    return msgspec.structs.replace(
        image,
        name=given.name or "",
        visibility=given.visibility,
        disk_format=given.disk_format,
        container_format=given.container_format,
        min_disk_gib=given.min_disk,
        min_ram_mib=given.min_ram,
        protected=given.protected,
        hidden=given.os_hidden,
        project=given.owner or image.project,
        tags=tuple(dict.fromkeys(given.tags)),
        properties=properties,
    )


def _converted(data: dict[str, Any], shape: Any) -> Any:
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input: {error}") from error


def _check_format(name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise BadRequest(f"Invalid value '{value[:64]}' for {name}: it must be one of {', '.join(known)}.")

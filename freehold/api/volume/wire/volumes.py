"""Bodies of volumes."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from freehold.api.call import Body
from freehold.api.volume.wire.labels import Metadata
from freehold.api.wire import Identifier, NameOrNothing, Text

Size = int | Annotated[str, Meta(pattern=r"^[0-9]{1,9}\Z")]
"""In GiB; it may come as text. Its bounds are told in words where it is read."""
Flag = bool | Annotated[str, Meta(max_length=16)]
Hints = dict[Annotated[str, Meta(max_length=255)], Any]


class VolumeIn(Body, frozen=True, kw_only=True):
    """What may be said of a new volume."""

    size: Size | None = None
    name: NameOrNothing | None = None
    display_name: NameOrNothing | None = None
    description: Text | None = None
    display_description: Text | None = None
    metadata: Metadata | None = None
    volume_type: NameOrNothing | None = None
    availability_zone: NameOrNothing | None = None
    image: Identifier | None = field(name="imageRef", default=None)
    image_id: Identifier | None = None
    snapshot_id: Identifier | None = None
    source_volid: Identifier | None = None
    multiattach: Flag | None = None
    consistencygroup_id: Identifier | None = None
    group_id: Identifier | None = None
    backup_id: Identifier | None = None
    source_replica: Identifier | None = None
    hints: Hints | None = field(name="OS-SCH-HNT:scheduler_hints", default=None)
    user_id: Identifier | None = None
    """This and what follows is said by old clients, and isn't theirs to say: it is passed over."""
    project_id: Identifier | None = None
    status: NameOrNothing | None = None
    attach_status: NameOrNothing | None = None


class CreateBody(Body, frozen=True, kw_only=True):
    """POST /volumes."""

    volume: VolumeIn
    hints: Hints | None = field(name="OS-SCH-HNT:scheduler_hints", default=None)


class UpdateIn(Body, frozen=True, kw_only=True):
    """What may be changed of a volume or a snapshot."""

    name: NameOrNothing | UnsetType | None = UNSET
    display_name: NameOrNothing | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    display_description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET


class UpdateBody(Body, frozen=True, kw_only=True):
    """PUT /volumes/{id}."""

    volume: UpdateIn


class ExtendIn(Body, frozen=True, kw_only=True):
    """The action os-extend."""

    new_size: Size


class StatusIn(Body, frozen=True, kw_only=True):
    """The action os-reset_status, of volumes and of snapshots."""

    status: NameOrNothing | None = None
    attach_status: NameOrNothing | None = None
    migration_status: NameOrNothing | None = None


class ForceDetachIn(Body, frozen=True, kw_only=True):
    """The action os-force_detach."""

    attachment_id: Identifier | None = None
    connector: dict[str, Any] | None = None


class BootableIn(Body, frozen=True, kw_only=True):
    """The action os-set_bootable."""

    bootable: Flag


class ImageMetadataIn(Body, frozen=True, kw_only=True):
    """The action os-set_image_metadata."""

    metadata: Metadata


class ImageKeyIn(Body, frozen=True, kw_only=True):
    """The action os-unset_image_metadata."""

    key: NameOrNothing


class NothingIn(Body, frozen=True, kw_only=True):
    """An action of which nothing is said."""

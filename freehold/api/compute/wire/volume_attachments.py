"""Bodies of a server's volumes."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from freehold.api.call import Body
from freehold.api.compute.wire.servers import Tag
from freehold.api.wire import Identifier

Device = Annotated[str, Meta(max_length=255, pattern=r"^/dev/[a-zA-Z0-9]{1,32}\Z")]


class AttachIn(Body, frozen=True, kw_only=True):
    """A volume that a server is to have."""

    volume: Identifier = field(name="volumeId")
    device: Device | None = None
    tag: Tag | UnsetType = UNSET
    delete_on_termination: bool | UnsetType = UNSET


class AttachBody(Body, frozen=True, kw_only=True):
    """POST /servers/{id}/os-volume_attachments."""

    attachment: AttachIn = field(name="volumeAttachment")

"""Bodies of servers."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from freehold.api.call import Body
from freehold.api.wire import Identifier, Name, Text

Metadata = dict[Annotated[str, Meta(min_length=1, max_length=255)], Annotated[str, Meta(max_length=255)]]
Tag = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[^,/\x00-\x1f]*\Z")]
Count = Annotated[int, Meta(ge=1, le=1000)] | Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,2}\Z")]
Address = Annotated[str, Meta(pattern=r"^[0-9.]{7,15}\Z")]
Hostname = Annotated[str, Meta(min_length=2, max_length=63, pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\Z")]
UserData = Annotated[str, Meta(max_length=65535)]


class NetworkIn(Body, frozen=True, kw_only=True):
    """One interface that is wanted."""

    uuid: Identifier | UnsetType = UNSET
    port: Identifier | UnsetType | None = UNSET
    fixed_ip: Address | UnsetType = UNSET
    tag: Tag | UnsetType = UNSET


class GroupIn(Body, frozen=True, kw_only=True):
    """A security group, by name or id."""

    name: Name


class BlockDeviceIn(Body, frozen=True, kw_only=True):
    """A disk: the image on the host's own, or a volume. Numbers may come as text."""

    boot_index: int | str | None = None
    uuid: Identifier | None = None
    source_type: str | None = None
    destination_type: str | None = None
    delete_on_termination: bool | None = None
    volume_size: int | Annotated[str, Meta(pattern=r"^[0-9]{1,9}\Z")] | None = None
    device_name: str | None = None
    guest_format: str | None = None
    disk_bus: str | None = None
    device_type: str | None = None
    volume_type: str | None = None
    tag: Tag | None = None


class FileIn(Body, frozen=True, kw_only=True):
    """A file to be put into the guest."""

    path: Annotated[str, Meta(max_length=255)]
    contents: Annotated[str, Meta(max_length=20000)]


class HintsIn(Body, frozen=True, kw_only=True):
    """What the scheduler may be asked. Names that aren't here are refused: internal ones must not come from outside."""

    group: Identifier | None = None
    different_host: str | list[str] | None = None
    """No bounds here: msgspec 0.22 corrupts memory for a union of a bounded text and a list of bounded texts."""
    same_host: str | list[str] | None = None
    query: Any = None
    build_near_host_ip: str | None = None
    cidr: str | None = None
    target_cell: str | None = None
    different_cell: str | list[str] | None = None


class ServerIn(Body, frozen=True, kw_only=True):
    """What may be given of a new server."""

    name: Name
    flavor: Identifier | int = field(name="flavorRef")
    image: Annotated[str, Meta(max_length=512)] | None = field(name="imageRef", default=None)
    networks: list[NetworkIn] | str | UnsetType | None = UNSET
    key_name: Name | UnsetType | None = UNSET
    metadata: Metadata = {}
    security_groups: list[GroupIn] | None = None
    availability_zone: Name | None = None
    user_data: UserData | None = None
    config_drive: bool | str | None = None
    min_count: Count | None = None
    max_count: Count | None = None
    return_reservation_id: bool | str | None = None
    admin_password: Annotated[str, Meta(max_length=255)] | None = field(name="adminPass", default=None)
    personality: list[FileIn] | None = None
    tags: list[Tag] | None = None
    description: Text | None = None
    hostname: Hostname | None = None
    access_v4: str | None = field(name="accessIPv4", default=None)
    access_v6: str | None = field(name="accessIPv6", default=None)
    disk_config: str | None = field(name="OS-DCF:diskConfig", default=None)
    block_devices_v2: list[BlockDeviceIn] | None = field(name="block_device_mapping_v2", default=None)
    block_devices: list[Any] | None = field(name="block_device_mapping", default=None)
    hints: HintsIn | None = field(name="os:scheduler_hints", default=None)
    trusted_image_certificates: list[str] | None = None
    host: Name | None = None
    hypervisor_hostname: Name | None = None


class CreateBody(Body, frozen=True, kw_only=True):
    """POST /servers."""

    server: ServerIn
    hints: HintsIn | None = field(name="os:scheduler_hints", default=None)
    hints_old: HintsIn | None = field(name="OS-SCH-HNT:scheduler_hints", default=None)


class UpdateIn(Body, frozen=True, kw_only=True):
    """What may be changed of a server."""

    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    access_v4: str | None = field(name="accessIPv4", default=None)
    access_v6: str | None = field(name="accessIPv6", default=None)
    disk_config: str | None = field(name="OS-DCF:diskConfig", default=None)
    hostname: Hostname | UnsetType = UNSET


class UpdateBody(Body, frozen=True, kw_only=True):
    """PUT /servers/{id}."""

    server: UpdateIn


class MetadataBody(Body, frozen=True, kw_only=True):
    """POST and PUT of metadata."""

    metadata: Metadata


class MetaBody(Body, frozen=True, kw_only=True):
    """PUT of one item of metadata."""

    meta: Metadata


class TagsBody(Body, frozen=True, kw_only=True):
    """PUT of all tags."""

    tags: list[Tag]


class RebootIn(Body, frozen=True, kw_only=True):
    """How to reboot."""

    type: Annotated[str, Meta(pattern=r"^(?i:soft|hard)\Z")]


class ConsoleIn(Body, frozen=True, kw_only=True):
    """How much of the console."""

    length: int | str | None = None


class EvacuateIn(Body, frozen=True, kw_only=True):
    """Where a server of a fenced host is to go. `shared`: until 2.13, `force`: 2.29 to 2.67."""

    host: Name | UnsetType | None = UNSET
    password: Annotated[str, Meta(min_length=1, max_length=1024)] | UnsetType = field(name="adminPass", default=UNSET)
    shared: bool | str | UnsetType = field(name="onSharedStorage", default=UNSET)
    force: bool | str | UnsetType = UNSET


class ActionBody(Body, frozen=True, kw_only=True):
    """POST /servers/{id}/action: one of these."""

    start: Any = field(name="os-start", default=UNSET)
    stop: Any = field(name="os-stop", default=UNSET)
    reboot: RebootIn | UnsetType = UNSET
    evacuate: EvacuateIn | UnsetType = UNSET
    console: ConsoleIn | UnsetType = field(name="os-getConsoleOutput", default=UNSET)

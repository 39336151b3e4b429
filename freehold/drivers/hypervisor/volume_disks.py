"""Volumes of a guest, as QEMU is told of them: pure, from disks to arguments, to commands of its monitor, and back.

Everything of a volume is named after its attachment: the device, its node, and what it shows the server.

`RECONNECT_S`: how long a request waits for a server that is away. Then the guest is stopped, not told of an error
(`rerror`, `werror`), and `qemu_guest` lets it go on, which asks again.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Iterable
from typing import Any, Final

from freehold.vocabulary.attachment import RemoteDisk

RECONNECT_S: Final = 30
SERIAL_LENGTH: Final = 20
"""What virtio has for a serial number: cloud-init and OpenStack's tools look for the start of the volume's id."""

_DEVICE, _NODE, _CREDENTIALS = "d-", "v-", "t-"

Options = dict[str, Any]


def device_of(attachment: str) -> str:
    """The id of its device."""
    return f"{_DEVICE}{_short(attachment)}"


def node_of(attachment: str) -> str:
    """The name of its node: at most 31 characters."""
    return f"{_NODE}{_short(attachment)}"


def credentials_of(attachment: str) -> str:
    """The id of what it shows the server."""
    return f"{_CREDENTIALS}{_short(attachment)}"


def attachment_of(device: str) -> str | None:
    """The attachment whose device has this id; None for others."""
    if not device.startswith(_DEVICE):
        return None
    try:
        return str(uuid.UUID(bytes=base64.urlsafe_b64decode(f"{device.removeprefix(_DEVICE)}==")))
    except (ValueError, binascii.Error):
        return None


def _short(attachment: str) -> str:
    return base64.urlsafe_b64encode(uuid.UUID(attachment).bytes).decode().rstrip("=")


def credentials_object(disk: RemoteDisk) -> Options:
    """What the guest's process shows the server of a volume, and knows it by."""
    return {
        "qom-type": "tls-creds-x509",
        "id": credentials_of(disk.attachment),
        "dir": disk.credentials,
        "endpoint": "client",
        "verify-peer": True,
    }


def node(disk: RemoteDisk) -> Options:
    """The volume as a node."""
    return {
        "driver": "nbd",
        "node-name": node_of(disk.attachment),
        "server": {"type": "inet", "host": disk.host, "port": str(disk.port)},
        "export": disk.export,
        "tls-creds": credentials_of(disk.attachment),
        "tls-hostname": disk.server_name,
        "reconnect-delay": RECONNECT_S,
        "discard": "unmap",
    }


def device(disk: RemoteDisk, port: str) -> Options:
    """The device that the guest sees, in a PCIe port."""
    return {
        "driver": "virtio-blk-pci",
        "id": device_of(disk.attachment),
        "drive": node_of(disk.attachment),
        "bus": port,
        "serial": disk.volume[:SERIAL_LENGTH],
        "rerror": "stop",
        "werror": "stop",
        **({"bootindex": 1} if disk.boot else {}),
    }


def arguments(disks: tuple[RemoteDisk, ...], first_port: int) -> list[str]:
    """The arguments for a guest that begins with these. `first_port`: the first PCIe port that is free."""
    words: list[str] = []
    for number, disk in enumerate(disks):
        words += ["-object", json.dumps(credentials_object(disk)), "-blockdev", json.dumps(node(disk))]
        words += ["-device", json.dumps(device(disk, f"port{first_port + number}"))]
    return words


def free_port(buses: Iterable[Options]) -> str | None:
    """The first PCIe port that has nothing in it, by the answer to ``query-pci``."""
    ports: dict[str, bool] = {}
    for bus in buses:
        for one in bus.get("devices", ()):
            if one.get("qdev_id", "").startswith("port"):
                ports[one["qdev_id"]] = bool(one.get("pci_bridge", {}).get("devices"))
    free = [name for name, is_taken in ports.items() if not is_taken]
    return min(free, key=lambda name: int(name.removeprefix("port")), default=None)

"""What a guest may read about itself, at 169.254.169.254 and on its config drive.

The same documents in two dialects: OpenStack's under ``/openstack/VERSION/`` and EC2's under ``/VERSION/``. Who asks
is known by the port that the question came from, never by what it says.
https://docs.openstack.org/nova/latest/user/metadata.html
"""

import binascii
from base64 import b64decode
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any, Final

import msgspec

from freehold.drivers.fabric.interface import MetadataAnswer
from freehold.vocabulary.guest import Guest
from freehold.vocabulary.network import PortWiring
from freehold.workers.host.messages import BuildSecret, Job

OPENSTACK_VERSIONS: Final = ("2012-08-10", "2013-10-17", "2015-10-15", "2016-10-06", "2018-08-27", "latest")
EC2_VERSIONS: Final = ("1.0", "2007-01-19", "2009-04-04", "latest")

_json = msgspec.json.Encoder(order="deterministic")


class MetadataService:
    """Answers the guests of one host."""

    def __init__(self, job_of_port: Callable[[str], Job | None]) -> None:
        self._job_of_port = job_of_port

    async def __call__(self, port: str, path: str) -> MetadataAnswer:
        """See drivers.fabric.interface.Metadata."""
        job = self._job_of_port(port)
        body = None if job is None else document(job.guest, job.secret, path)
        if body is None:
            return MetadataAnswer(status=404, content_type="text/plain; charset=utf-8", body=b"404 Not Found\n")
        kind = "application/json" if path.rstrip("/").endswith(".json") else "text/plain; charset=utf-8"
        return MetadataAnswer(status=200, content_type=kind, body=body)


def document(guest: Guest, secret: BuildSecret, path: str) -> bytes | None:
    """What stands at `path` for this guest; None if nothing does."""
    parts = [part for part in path.partition("?")[0].split("/") if part]
    if not parts:
        return _listing(EC2_VERSIONS)
    if parts[0] == "openstack":
        return _openstack(guest, secret, parts[1:])
    return _ec2(guest, secret, parts[1:]) if parts[0] in EC2_VERSIONS else None


def config_drive_files(guest: Guest, secret: BuildSecret) -> dict[str, bytes]:
    """The files of the guest's config drive, by relative path."""
    found = openstack_documents(guest, secret)
    return {f"openstack/{version}/{name}": body for version in ("2018-08-27", "latest") for name, body in found.items()}


# --- OpenStack ---------------------------------------------------------------------------------------------------


def openstack_documents(guest: Guest, secret: BuildSecret) -> dict[str, bytes]:
    """The documents of OpenStack's dialect, by name."""
    found = {
        "meta_data.json": _json.encode(meta_data(guest, secret)),
        "network_data.json": _json.encode(network_data(guest)),
        "vendor_data.json": b"{}",
        "vendor_data2.json": b"{}",
    }
    if secret.user_data:
        found["user_data"] = user_data(secret)
    return found


def _openstack(guest: Guest, secret: BuildSecret, parts: list[str]) -> bytes | None:
    if not parts:
        return _listing(OPENSTACK_VERSIONS)
    if parts[0] not in OPENSTACK_VERSIONS:
        return None
    found = openstack_documents(guest, secret)
    if len(parts) == 1:
        return _listing(sorted(found))
    return found.get(parts[1]) if len(parts) == 2 else None


def meta_data(guest: Guest, secret: BuildSecret) -> dict[str, Any]:
    """The object of ``meta_data.json``."""
    found: dict[str, Any] = {
        "uuid": guest.id,
        "name": guest.labels.name,
        "hostname": guest.hostname,
        "project_id": guest.project,
        "availability_zone": guest.spec.availability_zone or "nova",
        "launch_index": 0,
        "meta": guest.labels.metadata,
        "devices": [],
    }
    if guest.spec.public_key:
        name, key = guest.spec.key_name, guest.spec.public_key
        found["public_keys"] = {name: key}
        found["keys"] = [{"name": name, "type": "ssh", "data": key}]
    if secret.admin_password:
        found["admin_pass"] = secret.admin_password.reveal()
    return found


def network_data(guest: Guest) -> dict[str, Any]:
    """The object of ``network_data.json``."""
    names = [f"tap{wiring.port[:11]}" for wiring in guest.ports]
    links = [
        {"id": name, "type": "phy", "ethernet_mac_address": wiring.mac, "mtu": wiring.mtu, "vif_id": wiring.port}
        for name, wiring in zip(names, guest.ports, strict=True)
    ]
    networks = [_network(number, names[number], wiring) for number, wiring in enumerate(guest.ports) if wiring.cidr]
    servers = dict.fromkeys(address for wiring in guest.ports for address in wiring.dns)
    return {
        "links": links,
        "networks": networks,
        "services": [{"type": "dns", "address": address} for address in servers],
    }


def _network(number: int, link: str, wiring: PortWiring) -> dict[str, Any]:
    found: dict[str, Any] = {"id": f"network{number}", "link": link, "network_id": wiring.network}
    if wiring.dhcp:
        return {**found, "type": "ipv4_dhcp"}
    subnet = IPv4Network(wiring.cidr)
    routes = [_route("0.0.0.0/0", wiring.gateway)] if wiring.gateway and number == 0 else []
    return {
        **found,
        "type": "ipv4",
        "ip_address": wiring.addresses[0] if wiring.addresses else "",
        "netmask": str(subnet.netmask),
        "routes": routes + [_route(target, hop) for target, hop in wiring.routes],
        "services": [{"type": "dns", "address": address} for address in wiring.dns],
    }


def _route(target: str, hop: str) -> dict[str, str]:
    network = IPv4Network(target)
    return {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": hop}


# --- EC2 ---------------------------------------------------------------------------------------------------------


def _ec2(guest: Guest, secret: BuildSecret, parts: list[str]) -> bytes | None:
    if not parts:
        return _listing(["meta-data/", "user-data"] if secret.user_data else ["meta-data/"])
    if parts == ["user-data"]:
        return user_data(secret) if secret.user_data else None
    if parts[0] != "meta-data":
        return None
    if parts[1:] == ["public-keys"] and guest.spec.public_key:
        return f"0={guest.spec.key_name}".encode()  # keys are listed with their names, and kept by number
    found: Any = _ec2_tree(guest)
    for part in parts[1:]:
        found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, dict):
        return _listing([f"{name}/" if isinstance(below, dict) else name for name, below in found.items()])
    return found.encode() if isinstance(found, str) else None


def _ec2_tree(guest: Guest) -> dict[str, Any]:
    """EC2's documents as they nest. Ids are EC2's form of ours, made from the guest's own."""
    address = guest.ports[0].addresses[0] if guest.ports and guest.ports[0].addresses else ""
    tree: dict[str, Any] = {
        "ami-id": f"ami-{guest.spec.image[:8]}",
        "ami-launch-index": "0",
        "hostname": guest.hostname,
        "instance-id": guest.id,
        "instance-type": guest.spec.flavor.name,
        "local-hostname": guest.hostname,
        "local-ipv4": address,
        "mac": guest.ports[0].mac if guest.ports else "",
        "placement": {"availability-zone": guest.spec.availability_zone or "nova"},
        "public-hostname": guest.hostname,
        "public-ipv4": "",
        "reservation-id": f"r-{guest.id[:8]}",
        "security-groups": "",
    }
    if guest.spec.public_key:
        tree["public-keys"] = {"0": {"openssh-key": guest.spec.public_key}}
    return tree


def user_data(secret: BuildSecret) -> bytes:
    """The bytes the client sent; they travel as Base64, as Nova takes them."""
    given = secret.user_data.reveal() if secret.user_data else ""
    try:
        return b64decode(given, validate=True)
    except binascii.Error:
        return given.encode()  # a client that wrote plain text means that text


def _listing(names: list[str] | tuple[str, ...]) -> bytes:
    return "\n".join(names).encode()

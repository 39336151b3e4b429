"""Whether settings make sense. What doesn't is named, with what it can be."""

import re
from typing import Final
from urllib.parse import urlsplit

from freehold.config.settings import EVERY_ROLE, Settings
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.network import is_underlay_address
from freehold.vocabulary.place import IMAGES, VOLUMES, WEB, place_of
from freehold.vocabulary.receiver import networks
from freehold.vocabulary.shards import SHARDS_MAX
from freehold.vocabulary.trait import CUSTOM, CUSTOM_MAX, is_trait

_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
HOSTS_MAX: Final = 100_000
CALLS_MAX: Final = 10_000
"""That an API process may be set to serve at once."""
NETWORK_MTU_MIN: Final = 576
NETWORK_MTU_MAX: Final = 9166
_PHYSICAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_INTERFACE: Final = re.compile(r"[A-Za-z0-9._@-]{1,15}")
KEEP_DAYS_MAX: Final = 3650
WORKERS_MAX: Final = 64
"""Of a role in one process."""


def checked(settings: Settings) -> Settings:
    """The settings, if they make sense. Raises BadRequest naming the one that doesn't."""
    if settings.hypervisor not in ("qemu", "simulated"):
        raise BadRequest(f"hypervisor is {settings.hypervisor!r}; it can be qemu or simulated")
    if not 1 <= settings.hosts <= HOSTS_MAX:
        raise BadRequest(f"hosts is {settings.hosts}; it can be 1 to {HOSTS_MAX}")
    if settings.hypervisor == "qemu" and settings.hosts != 1:
        raise BadRequest(
            "a machine with the qemu hypervisor is one host; several hosts on one machine are simulated ones"
        )
    _check_simulated(settings)
    _check_traits(settings)
    _check_counts(settings)
    if settings.placement not in ("spread", "pack"):
        raise BadRequest(f"placement is {settings.placement!r}; it can be spread or pack")
    _check_limits(settings)
    if settings.unknown_after_s is not None and not settings.unknown_after_s >= 15:
        raise BadRequest("unknown_after_s is less than 15 s: a host may miss a heartbeat or two without being away")
    unknown = set(settings.roles) - set(EVERY_ROLE)
    if unknown:
        raise BadRequest(f"roles has {', '.join(sorted(unknown))}; there are {', '.join(EVERY_ROLE)}")
    if not 0 <= settings.port <= 65535 - settings.apis + 1:
        raise BadRequest(f"port is {settings.port}; it can be 0 to {65535 - settings.apis + 1}")
    _check_addresses(settings, "metrics_listen")
    _check_bus(settings)
    _check_underlay(settings)
    for name, text in (("cluster", settings.cluster), ("default_zone", settings.default_zone or settings.cluster)):
        if not text.replace("-", "").isalnum():
            raise BadRequest(f"{name} is {text!r}; it can have letters, digits and dashes")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise BadRequest(f"log_level is {settings.log_level!r}; it can be debug, info, warning or error")
    _check_backup(settings)
    _check_image_store(settings)
    _check_volumes(settings)
    _check_networks(settings)
    return settings


def _check_simulated(settings: Settings) -> None:
    if settings.simulated_ram_mib < 1 or not 0 <= settings.simulated_boot_s <= 3600:
        raise BadRequest("a simulated host has at least 1 MiB of memory, and its guests take 0 to 3600 s to start")
    if settings.hypervisor == "qemu" and (settings.clusters != 1 or settings.one_disk):
        raise BadRequest("clusters and one_disk are for simulated hosts")
    if not 1 <= settings.clusters <= settings.hosts:
        raise BadRequest(f"clusters is {settings.clusters}; it can be 1 to the number of hosts, {settings.hosts}")
    if settings.one_disk and settings.backup:
        raise BadRequest("simulated hosts that share a disk can't be backed up; leave backup or one_disk out")


def _check_traits(settings: Settings) -> None:
    for name in settings.traits:
        if not (is_trait(name) and name.startswith(CUSTOM)):
            raise BadRequest(
                f"traits has {name!r}; it can have names in capitals that begin with {CUSTOM}: what the machine itself "
                "can do is found out"
            )
    for name in settings.simulated_traits:
        if settings.hypervisor == "qemu" or not is_trait(name):
            raise BadRequest(f"simulated_traits has {name!r}; it is for simulated hosts, and has names in capitals")
    if len(settings.traits) > CUSTOM_MAX:
        raise BadRequest(f"traits has {len(settings.traits)} names; it can have {CUSTOM_MAX}")


def _check_networks(settings: Settings) -> None:
    try:
        networks(settings.notify_networks)
    except BadRequest as error:
        raise BadRequest(f"notify_networks isn't right: {error.message}") from error


def bus_servers(place: str, setting: str = "bus") -> tuple[str, ...]:
    """The NATS servers that `place` names; none if it is ``local``. Raises BadRequest for anything else."""
    if place == "local":
        return ()
    servers = tuple(server.strip() for server in place.split(","))
    for server in servers:
        parts = urlsplit(server)
        plain = not (parts.path or parts.query or parts.fragment or parts.username)
        if parts.scheme not in ("nats", "tls") or not parts.hostname or not plain:
            raise BadRequest(
                f"{setting} has {server!r}; it can be local, or nats://HOST:PORT or tls://HOST:PORT, by commas"
            )
    if len({urlsplit(server).scheme for server in servers}) > 1:
        raise BadRequest(
            f"{setting} has servers with TLS and others without: a connection that falls back tells everything"
        )
    return servers


def _check_backup(settings: Settings) -> None:
    place = place_of(settings.backup)
    if place is None and settings.backup_secret_file is not None:
        raise BadRequest("backup_secret_file is set without backup")
    if not 0 <= settings.backup_keep_days <= KEEP_DAYS_MAX:
        raise BadRequest(f"backup_keep_days is {settings.backup_keep_days}; it can be 0 to {KEEP_DAYS_MAX}")


def _check_image_store(settings: Settings) -> None:
    place = place_of(settings.image_store, IMAGES)
    if (place is None or place.kind in {"folder", *WEB}) and settings.image_store_secret_file is not None:
        raise BadRequest("image_store_secret_file is set, and image_store names nothing that wants one")


def _check_volumes(settings: Settings) -> None:
    place_of(settings.volume_store, VOLUMES)
    if settings.volume_pool_gib < 0:
        raise BadRequest(f"volume_pool_gib is {settings.volume_pool_gib}; it can be 0, for all of the disk, or more")


def _check_bus(settings: Settings) -> None:
    servers = bus_servers(settings.bus)
    secured = any(server.startswith("tls://") for server in servers)
    if not secured and (settings.bus_ca or settings.bus_certificate or settings.bus_key):
        raise BadRequest("bus_ca, bus_certificate and bus_key are for servers at tls://HOST:PORT; bus names none")
    if bool(settings.bus_certificate) is not bool(settings.bus_key):
        raise BadRequest("bus_certificate and bus_key are set together or not at all")
    _check_broker(settings)
    if not 0 <= settings.image_port <= 65535 - settings.image_workers + 1:
        raise BadRequest(f"image_port is {settings.image_port}; it can be 0 to {65535 - settings.image_workers + 1}")


def _check_underlay(settings: Settings) -> None:
    address = settings.underlay_address
    if address and not is_underlay_address(address):
        raise BadRequest(
            f"underlay_address is {address!r}; it can be an IPv4 address of this machine's, like 192.0.2.7"
        )
    if settings.underlay_interface and not address:
        raise BadRequest("underlay_interface is set without underlay_address")
    if not 1 <= settings.underlay_port <= 65535:
        raise BadRequest(f"underlay_port is {settings.underlay_port}; it can be 1 to 65535")
    if not NETWORK_MTU_MIN <= settings.network_mtu <= NETWORK_MTU_MAX:
        raise BadRequest(
            f"network_mtu is {settings.network_mtu}; it can be {NETWORK_MTU_MIN} to {NETWORK_MTU_MAX}: 50 less "
            "than the underlay's"
        )
    interfaces = settings.physical_networks
    for name, interface in interfaces.items():
        if not _PHYSICAL.fullmatch(name) or not _INTERFACE.fullmatch(interface):
            raise BadRequest(
                f"physical_networks has {name!r} on {interface!r}; a name has letters, digits, dots and dashes, an "
                "interface at most 15 characters"
            )
    twice = len(set(interfaces.values())) < len(interfaces)
    if twice or settings.underlay_interface in interfaces.values():
        raise BadRequest("physical_networks has an interface twice, or the underlay's: each needs one of its own")


def listed(text: str) -> tuple[str, ...]:
    """What a setting has, by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _check_broker(settings: Settings) -> None:
    _check_addresses(settings, "broker_listen", "broker_link_listen", "broker_link_advertised", "broker_route_listen")
    for route in listed(settings.broker_routes):
        if not _ADDRESS.fullmatch(route):
            raise BadRequest(f"broker_routes has {route!r}; it can be HOST:PORT, by commas")
    if settings.broker_routes and not settings.broker_route_listen:
        raise BadRequest("broker_routes names other servers, which must reach this one too: set broker_route_listen")
    hub = bus_servers(settings.broker_hub or "local", "broker_hub")
    if "broker" not in settings.roles:
        return
    if not bus_servers(settings.bus):
        raise BadRequest("a broker serves a cloud of several machines: set bus to its server, nats:// or tls://")
    if settings.bus.startswith("tls://") and not settings.bus_certificate:
        raise BadRequest("bus has tls:// servers: the broker's server needs bus_certificate and bus_key")
    if any(server.startswith("tls://") for server in hub) and not settings.bus_ca:
        raise BadRequest("broker_hub has tls:// servers: set bus_ca to who vouches for them")


def _check_addresses(settings: Settings, *names: str) -> None:
    for name in names:
        if (address := getattr(settings, name)) and not _ADDRESS.fullmatch(address):
            raise BadRequest(f"{name} is {address!r}; it can be ADDRESS:PORT")


def _check_counts(settings: Settings) -> None:
    counts = (
        ("registrar_shards", settings.registrar_shards, SHARDS_MAX),
        ("image_workers", settings.image_workers, WORKERS_MAX),
        ("schedulers", settings.schedulers, WORKERS_MAX),
        ("volume_workers", settings.volume_workers, WORKERS_MAX),
        ("apis", settings.apis, WORKERS_MAX),
    )
    for name, count, most in counts:
        if not 1 <= count <= most:
            raise BadRequest(f"{name} is {count}; it can be 1 to {most}")


def _check_limits(settings: Settings) -> None:
    for name, share, most in (
        ("api_requests", settings.api_requests_per_project_max, settings.api_requests_max),
        ("api_transfers", settings.api_transfers_per_project_max, settings.api_transfers_max),
        ("api_waits", settings.api_waits_per_project_max, settings.api_waits_max),
        ("api_streams", settings.api_streams_per_project_max, settings.api_streams_max),
    ):
        if not 1 <= share <= most <= CALLS_MAX:
            raise BadRequest(
                f"{name}_max is {most}, and {name}_per_project_max {share}; both are at least 1, the share of a project"
                f" no more than the whole, and the whole at most {CALLS_MAX}"
            )

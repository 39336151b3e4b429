"""What an operator may set."""

from pathlib import Path
from typing import Final

import msgspec

ROLES: Final = ("registrar", "image", "scheduler", "network", "volume", "host", "notifier", "api")
EVERY_ROLE: Final = (*ROLES, "directory", "broker")
"""The last two are for clouds of many machines: in one process nobody needs a passport, nor a server to talk over."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may set, in a TOML file or on the command line."""

    state: Path
    """The folder of stores, views, images and guests. One process at a time."""
    listen: str = "127.0.0.1"
    """The address the API listens on. The default keeps it to this machine: tokens and passwords travel in clear."""
    port: int = 8780
    """The API's port; 0: one that is free."""
    public_url: str = ""
    """Where clients reach the API, if not at http://LISTEN:PORT."""
    region: str = "RegionOne"
    cluster: str = "default"
    default_zone: str = ""
    """The cluster that new networks belong to, if no zone is asked for; empty: the API's own."""
    hypervisor: str = "qemu"
    """``qemu`` or ``simulated``."""
    hosts: int = 1
    """How many simulated hosts there are."""
    clusters: int = 1
    """How many clusters the simulated hosts are spread over, each with a network worker; past one, CLUSTER-0, -1 ….
    """
    one_disk: bool = False
    """Whether the simulated hosts' stores share a file: for thousands. Their guests end with the process then."""
    simulated_ram_mib: int = 256 * 1024
    """The memory of each simulated host."""
    simulated_boot_s: float = 0.0
    """How long a simulated guest takes to be launched."""
    simulated_traits: dict[str, int] = {}
    """Traits that simulated machines show, and how many of them do, the first: ``{HW_CPU_X86_AVX2 = 2}``."""
    traits: tuple[str, ...] = ()
    """What the operator says of this machine's hosts, for flavors and images to ask for: ``["CUSTOM_GPU"]``."""
    registrar_shards: int = 1
    """How many shards the registrar has. Chosen when a cloud is made; it can't be changed."""
    image_workers: int = 1
    schedulers: int = 1
    placement: str = "spread"
    """Of the hosts that fit, which gets a guest: the one with the most free memory (``spread``), or with the least
    (``pack``), so that large guests find room and hosts stay empty.
    """
    apis: int = 1
    """How many API processes there are; those after the first listen on the ports that follow (or on free ones)."""
    bus: str = "local"
    """``local``: within this process; or the NATS servers to connect to: ``nats://HOST:PORT``, ``tls://HOST:PORT``, by
    commas.
    """
    bus_ca: Path | None = None
    """Certificates (PEM) of those who vouch for the bus's servers; not set: the system's."""
    bus_certificate: Path | None = None
    """The certificate (PEM) that this machine is known by on the bus."""
    bus_key: Path | None = None
    """Its private key (PEM)."""
    broker_listen: str = "127.0.0.1:4222"
    """Where the broker's server takes the machines of its cluster: ADDRESS:PORT."""
    broker_link_listen: str = ""
    """Where it takes the servers of other clusters; empty: nowhere."""
    broker_link_advertised: str = ""
    """Where they are told that it is, if that isn't where it listens: HOST:PORT. They try it beside what their own
    `broker_hub` says.
    """
    broker_hub: str = ""
    """In a cluster with servers of its own: those of the centre that they are linked to, as `bus` has them."""
    broker_route_listen: str = ""
    """Where it takes the other servers of its cluster, if it has several; empty: nowhere."""
    broker_routes: str = ""
    """Those others: HOST:PORT, by commas."""
    image_store: str = ""
    """Where the bytes of images are kept: folder:/PATH, s3://BUCKET/PREFIX, gs:// or az://, swift://CONTAINER/PREFIX?…;
    or only read: https://HOST/FOLDER?list=/PATH; not set: STATE/images.
    """
    image_store_secret_file: Path | None = None
    """The file (TOML) with the keys or the password that this place wants."""
    image_listen: str = "127.0.0.1"
    """The address at which an image worker takes and gives image bytes. Hosts on other machines must reach it."""
    image_port: int = 0
    """Its port; 0: one that is free. Further image workers in the process have the ports that follow."""
    image_url: str = ""
    """Where others reach it, if not at http://IMAGE_LISTEN:IMAGE_PORT."""
    volume_store: str = ""
    """Where the bytes of volumes are kept: folder:/PATH; not set: STATE/volumes."""
    volume_pool_gib: int = 0
    """How much of it may be promised in all; 0: as much as its disk has."""
    volume_types: tuple[str, ...] = ()
    """The names of the volume types that this process's pools take; none: any."""
    volume_workers: int = 1
    """How many pools, each with a volume worker, there are in each cluster of this process."""
    volume_listen: str = "127.0.0.1"
    """The address at which volumes are served. Hosts on other machines must reach it."""
    roles: tuple[str, ...] = ROLES
    demo_image: Path | None = None
    """An image file that a new cloud starts with, as a public image."""
    underlay_address: str = ""
    """A host's own IPv4 address on the network that joins the hosts of its cluster; empty: its guests' networks end on
    it.
    """
    underlay_port: int = 4789
    """The UDP port of the overlay; the same on every host of a cluster."""
    underlay_interface: str = ""
    """The interface of that address, if it is there for the overlay alone: then guests' packets aren't routed out of
    it.
    """
    physical_networks: dict[str, str] = {}
    """The interface of this host on each physical network: ``{public = "eth1"}``."""
    network_mtu: int = 1450
    """The largest MTU of a cluster's own networks: the underlay's less 50. A network worker's setting."""
    network_cidr: str = "10.88.0.0/24"
    """The range of the network that a new cloud starts with."""
    backup: str = ""
    """Where every store that this process owns is backed up continuously: ``folder:/PATH``, ``s3://BUCKET/PREFIX``,
    ``postgresql://USER@HOST/DATABASE``, ``mysql://…``, ``redis://…``; empty: nowhere.
    """
    backup_secret_file: Path | None = None
    """The file (TOML) with the password or keys that the place for backups wants."""
    backup_encryption: bool = True
    """Whether backups are encrypted."""
    backup_key_file: Path | None = None
    """The key for that; not set: STATE/backup.key. It is made if it isn't there."""
    backup_keep_days: float = 0.0
    """How far back a restore must be able to go. Less isn't kept; two snapshots always are."""
    unknown_after_s: float | None = None
    """How long a host may be silent before the API shows its guests as UNKNOWN; not set: they keep what was last known.
    """
    api_requests_max: int = 256
    """Requests that an API process serves at once; those past it wait a second, and are then told 503."""
    api_requests_per_project_max: int = 64
    """Of those, for one project: past it 429."""
    api_transfers_max: int = 32
    """Image uploads and downloads at once, beside the requests."""
    api_transfers_per_project_max: int = 8
    api_waits_max: int = 10_000
    """Calls that wait for a stage (``Prefer: wait``) at once, beside the requests; those past it don't wait."""
    api_waits_per_project_max: int = 5000
    api_streams_max: int = 2000
    """Streams of events at once; past it 503."""
    api_streams_per_project_max: int = 1000
    """Of those, for one project: past it 429."""
    metrics_listen: str = ""
    """Where Prometheus may read how the cloud's owners and this API process are, at /metrics: ADDRESS:PORT; empty:
    nowhere. Nobody is asked who they are. Further API processes have the ports that follow.
    """
    notify_networks: tuple[str, ...] = ()
    """Networks inside which receivers of notifications may be: ``["10.1.0.0/16"]``; none: only outside."""
    log_level: str = "info"
    """debug, info, warning or error."""
    log_json: bool = False


def store_files(settings: Settings) -> list[str]:
    """Where, in the folder of the state, the stores of the roles lie that a process with these settings runs."""
    counts = {
        "registrar": settings.registrar_shards,
        "image": settings.image_workers,
        "network": settings.clusters,
        "volume": settings.volume_workers * settings.clusters,
        "notifier": 1,
        "directory": 1,
    }
    several = [(role, number) for role in settings.roles for number in range(counts.get(role, 0))]
    hosts = [f"hosts/{number}.db" for number in range(settings.hosts) if "host" in settings.roles]
    hosts = ["hosts.db"] if hosts and settings.one_disk else hosts
    return [f"{role}-{number}.db" if number else f"{role}.db" for role, number in several] + hosts


def clusters(settings: Settings) -> list[str]:
    """The names of the clusters of this process. Simulated machines are spread over them by turns."""
    first, count = settings.cluster, settings.clusters
    return [first] if count == 1 else [f"{first}-{number}" for number in range(count)]

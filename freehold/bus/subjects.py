"""The names that are talked about on: the one table of who hears what.

freehold.event.CLUSTER.ROLE.STORE       frames of an owner                         owner -> every reader
freehold.heartbeat.CLUSTER.ROLE.STORE   where an owner's log stands                owner -> every reader
freehold.beats.CLUSTER.network.STORE    Beats: heartbeats of a cluster's hosts     network worker -> every reader
freehold.hello.ROLE                     a reader has come: owners beat             reader -> every owner of a role
freehold.hello.ROLE.CLUSTER             the same                                   reader -> those of a cluster
freehold.owner.CLUSTER.ROLE.STORE       questions to an owner about its log        reader -> owner
freehold.ask.registrar.SHARD            RegistrarQuestion                          API, registrar -> registrar
freehold.ask.ledger.SHARD.scheduler     SchedulerNotice                            scheduler -> registrar
freehold.ask.ledger.SHARD.image         GiveUp                                     image worker -> registrar
freehold.ask.ledger.SHARD.network       NetworkNotice                              network worker -> registrar
freehold.ask.ledger.SHARD.host.STORE    HostNotice, about STORE                    host -> registrar
freehold.ask.ledger.SHARD.volume        VolumeNotice                               volume worker -> registrar
freehold.ask.image                      CreateImage                                API -> one of the image workers
freehold.ask.image.STORE                ImageQuestion                              API -> the image's owner
freehold.ask.network.CLUSTER            NetworkQuestion                            API -> network worker
freehold.ask.beats.CLUSTER.STORE        PassOn, of STORE's heartbeat               host -> one of its network workers
freehold.ask.scheduler                  HostQuestion, to be carried to its host    API -> one of the schedulers
freehold.ask.image_offer.STORE          OfferImage                                 registrar -> the image's owner
freehold.ask.pools                      ChoosePool                                 registrar -> one of the schedulers
freehold.ask.pool.STORE                 PoolQuestion                               registrar -> volume worker
freehold.ask.volume.STORE               VolumeQuestion                             API -> volume worker
freehold.ask.opening.STORE.HOST         AttachmentNotice, about HOST               host -> volume worker of its cluster
freehold.ask.disk.STORE                 DiskQuestion                               volume worker -> host of its cluster
freehold.ask.notifier                   NotifierQuestion                           API -> notifier
freehold.ask.host.STORE                 HostQuestion                               scheduler, registrar -> host
freehold.ask.directory                  DirectoryQuestion                          API -> directory
freehold.ask.passport                   Renew                                      every machine -> directory
freehold.barred                         Barred                                     directory -> everybody
freehold.roll                           Roll                                       directory -> brokers
freehold.build.image                    Build, of no image                         registrar -> one of the image workers
freehold.build.image.STORE              Build                                      registrar -> the image's owner
freehold.build.scheduler                Build                                      image worker -> one of the schedulers
freehold.build.network.CLUSTER          Build                                      scheduler -> network worker
freehold.build.host.STORE               Build                                      network worker -> host

Between the centre and a cluster beyond it, which may have servers of its own, what names a host names its cluster
too, so that such a server can be held to what is its own: ``host.CLUSTER.STORE``, and ``network.CLUSTER.one``.
Everybody hears both forms. Who hears many by one pattern ends it in ``>``, and what a group beyond the centre hears
ends in a token that the table leaves open: of others NATS 2.9 doesn't tell a linked server.
"""

from typing import Final

from freehold.vocabulary.envelope import Owner
from freehold.vocabulary.shards import ONE_SHARD, Shards

EVERY: Final = "*"
EVENTS: Final = "freehold.event.>"
HEARTBEATS: Final = "freehold.heartbeat.>"
BARRED: Final = "freehold.barred"
ROLL: Final = "freehold.roll"
ASK_DIRECTORY: Final = "freehold.ask.directory"
ASK_PASSPORT: Final = "freehold.ask.passport"
ASK_IMAGE: Final = "freehold.ask.image"
ASK_SCHEDULER: Final = "freehold.ask.scheduler"
ASK_POOLS: Final = "freehold.ask.pools"
ASK_NOTIFIER: Final = "freehold.ask.notifier"
BUILD_IMAGE: Final = "freehold.build.image"
BUILD_SCHEDULER: Final = "freehold.build.scheduler"


def events(owner: Owner) -> str:
    """Where an owner's frames are published."""
    return f"freehold.event.{owner.cluster}.{owner.role}.{owner.store}"


def heartbeats(owner: Owner) -> str:
    """Where an owner's heartbeats are published."""
    return f"freehold.heartbeat.{owner.cluster}.{owner.role}.{owner.store}"


def events_of(role: str, cluster: str = EVERY) -> str:
    """The frames of every owner of a role."""
    return f"freehold.event.{cluster}.{role}.>"


def heartbeats_of(role: str, cluster: str = EVERY) -> str:
    """The heartbeats of every owner of a role."""
    return f"freehold.heartbeat.{cluster}.{role}.>"


def beats(owner: Owner) -> str:
    """Where a network worker passes on heartbeats of its cluster's hosts."""
    return f"freehold.beats.{owner.cluster}.network.{owner.store}"


def beats_of(cluster: str = EVERY) -> str:
    """The heartbeats that every network worker passes on."""
    return f"freehold.beats.{cluster}.network.>"


def ask_beats(owner: Owner) -> str:
    """Where a host asks to have its heartbeat passed on."""
    return f"freehold.ask.beats.{owner.cluster}.{owner.store}"


def ask_beats_of(cluster: str) -> str:
    """Where the hosts of a cluster ask that."""
    return f"freehold.ask.beats.{cluster}.*"


def hello(role: str, cluster: str = EVERY) -> str:
    """Where a reader greets every owner of a role: an owner hears both those of its cluster and those of all."""
    return f"freehold.hello.{role}" if cluster == EVERY else f"freehold.hello.{role}.{cluster}"


def owner(owner: Owner) -> str:
    """Where an owner answers questions about its log."""
    return f"freehold.owner.{owner.cluster}.{owner.role}.{owner.store}"


def ask_registrar(project: str, shards: Shards = ONE_SHARD) -> str:
    """Where the registrar shard of a project answers."""
    return ask_shard(shards.of(project))


def ask_shard(shard: int) -> str:
    """Where a registrar shard answers."""
    return f"freehold.ask.registrar.{shard}"


def ask_ledger(shard: int, role: str) -> str:
    """Where a registrar shard answers the workers of a role."""
    return f"freehold.ask.ledger.{shard}.{role}"


def ask_ledger_as_host(shard: int, store: str, beyond: str = "") -> str:
    """Where a registrar shard answers one host. `beyond`: its cluster, if that isn't the centre."""
    return f"freehold.ask.ledger.{shard}.host.{_named(beyond)}{store}"


def ask_ledger_as_hosts(shard: int) -> str:
    """Where a registrar shard answers all hosts."""
    return f"freehold.ask.ledger.{shard}.host.>"


def of_store(subject: str, store: str) -> str:
    """A subject whose last token is a store, for that store."""
    return f"{subject.rpartition('.')[0]}.{store}"


def ask_image(store: str) -> str:
    """Where the owner of an image answers."""
    return f"freehold.ask.image.{store}"


def build_image(store: str) -> str:
    """Where builds wait for the owner of their image; for any image worker if `store` is empty."""
    return f"freehold.build.image.{store}" if store else BUILD_IMAGE


def ask_image_offer(store: str) -> str:
    """Where the owner of an image offers it to be copied."""
    return f"freehold.ask.image_offer.{store}"


def ask_pool(store: str, beyond: str = "") -> str:
    """Where a volume worker is asked for volumes. `beyond`: its cluster, if that isn't the centre."""
    return f"freehold.ask.pool.{_named(beyond)}{store}"


def ask_volume(store: str, beyond: str = "") -> str:
    """Where a volume worker is asked about volumes that it has. `beyond`: its cluster, if that isn't the centre."""
    return f"freehold.ask.volume.{_named(beyond)}{store}"


def ask_opening(store: str, host: str) -> str:
    """Where a volume worker answers a host of its cluster."""
    return f"freehold.ask.opening.{store}.{host}"


def ask_openings(store: str) -> str:
    """Where a volume worker answers all hosts of its cluster."""
    return f"freehold.ask.opening.{store}.*"


def ask_disk(store: str) -> str:
    """Where a host answers the volume workers of its cluster."""
    return f"freehold.ask.disk.{store}"


def ask_network(cluster: str, beyond: str = "") -> str:
    """Where a cluster's network worker answers. `beyond`: the same, if that isn\'t the centre."""
    return f"freehold.ask.network.{cluster}{_one(beyond)}"


def ask_host(store: str, beyond: str = "") -> str:
    """Where a host answers. `beyond`: its cluster, if that isn't the centre."""
    return f"freehold.ask.host.{_named(beyond)}{store}"


def build_network(cluster: str, beyond: str = "") -> str:
    """Where builds wait for a cluster's network worker. `beyond`: the same, if that isn\'t the centre."""
    return f"freehold.build.network.{cluster}{_one(beyond)}"


def build_host(store: str) -> str:
    """Where builds reach a host, from its own cluster."""
    return f"freehold.build.host.{store}"


def _named(cluster: str) -> str:
    return f"{cluster}." if cluster else ""


def _one(cluster: str) -> str:
    return ".one" if cluster else ""

"""Volume workers: each with a store and a pool of its own, some for each cluster of this process."""

from pathlib import Path

from freehold.assemble.running import Running, numbered
from freehold.config import clusters
from freehold.drivers.imagefetch.http import HttpImageCache
from freehold.drivers.imagefetch.interface import ImageCache
from freehold.drivers.volumestore.interface import VolumeStore
from freehold.drivers.volumestore.simulated import SimulatedPool, SimulatedVolumeStore
from freehold.runtime.machine import host_name
from freehold.vocabulary.place import VOLUMES, place_of
from freehold.vocabulary.units import GIB
from freehold.workers.volume.worker import VolumeWorker

SIMULATED_GIB = 1 << 20


async def open_role(process: Running) -> None:
    """Opens as many as the settings say."""
    settings, number = process.settings, 0
    for cluster in clusters(settings):
        for _ in range(settings.volume_workers):
            store = await process.store(f"{numbered('volume', number)}.db", "volume", cluster=cluster)
            volumes, images = _drivers(process, store.id, number)
            name = numbered(host_name(), number)
            await process.start(VolumeWorker(process.means, store, volumes, images, name, settings.volume_types))
            number += 1


def _drivers(process: Running, store: str, number: int) -> tuple[VolumeStore, ImageCache]:
    settings, means = process.settings, process.means
    gib = settings.volume_pool_gib
    cache = HttpImageCache(settings.state / numbered("volume-cache", number), process.bytes_offload)
    if settings.hypervisor == "simulated":
        return SimulatedVolumeStore(SimulatedPool(capacity_bytes=(gib or SIMULATED_GIB) * GIB)), cache
    from freehold.drivers.volumestore.files import FileVolumeStore  # it needs what a simulated cloud hasn't

    place = place_of(settings.volume_store, VOLUMES)
    folder = settings.state / numbered("volumes", number) if place is None else Path(place.path) / store
    volumes = FileVolumeStore(
        folder, means.clock.clock, process.bytes_offload, host=settings.volume_listen, capacity_bytes=gib * GIB
    )
    return volumes, cache

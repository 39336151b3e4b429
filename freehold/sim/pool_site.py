"""The site of a pool of volumes: what is on its disk goes on when the worker ends."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.drivers.volumestore.simulated import SimulatedPool, SimulatedVolumeStore
from freehold.runtime.tasks import Tasks
from freehold.sim.process import Process
from freehold.sim.site import Site, Watched
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.units import GIB
from freehold.workers.volume.worker import VolumeWorker

if TYPE_CHECKING:
    from freehold.sim.world import World

CAPACITY_GIB: Final = 24
"""Room for some, and not for all that projects may have."""


IMAGE: Final = bytes(1024)


class Images(SimulatedImageCache):
    """What is fetched has bytes."""

    async def fetch(self, offer: ImageOffer) -> Path:
        """See ImageCache."""
        path = await super().fetch(offer)
        path.write_bytes(IMAGE)
        return path


class PoolSite(Site):
    """A volume worker's machine, and its pool."""

    role = "volume"

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.pool = SimulatedPool(name, capacity_bytes=CAPACITY_GIB * GIB)
        self.volumes: SimulatedVolumeStore | None = None
        self.hangs: dict[str, int] = {}
        self.slow_s = 0.0

    async def open(self, process: Process) -> Tasks:
        """See Site."""
        means = self.means(process)
        self.volumes = SimulatedVolumeStore(self.pool)
        images = Images(self.clock, self.world.folder / self.name, fetch_s=0.2)
        (self.world.folder / self.name).mkdir(exist_ok=True)
        volumes: Any = Watched(self, process, self.volumes)
        worker = VolumeWorker(means, self.open_store(means, process), volumes, images, self.name)
        await worker.open()
        return worker.tasks

    def mend_drivers(self) -> None:
        """Nothing fails any more, nor does what was still to fail."""
        if self.volumes is not None:
            self.volumes.mend()

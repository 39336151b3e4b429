"""Image workers, each with a store, and a folder or a part of a bucket, of its own."""

from freehold.assemble.running import Running, numbered
from freehold.config import Settings
from freehold.drivers.imagestore.pick import image_store
from freehold.workers.image.door import DoorAddress
from freehold.workers.image.worker import ImageWorker


async def open_role(process: Running) -> None:
    """Opens as many as the settings say."""
    settings = process.settings
    for number in range(settings.image_workers):
        store = await process.store(f"{numbered('image', number)}.db", "image")
        images = image_store(settings, numbered("images", number), store.id, process.bytes_offload)
        await process.start(ImageWorker(process.means, store, images, _door(settings, number)))


def _door(settings: Settings, number: int) -> DoorAddress:
    port = settings.image_port + number if settings.image_port else 0
    return DoorAddress(settings.image_listen, port, settings.image_url)

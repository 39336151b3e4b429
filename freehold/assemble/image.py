"""Image workers, each with a store and a folder of its own."""

from freehold.assemble.running import Running, numbered
from freehold.config import Settings
from freehold.drivers.imagestore.folder import FolderImageStore
from freehold.workers.image.door import DoorAddress
from freehold.workers.image.worker import ImageWorker


async def open_role(process: Running) -> None:
    """Opens as many as the settings say."""
    settings = process.settings
    for number in range(settings.image_workers):
        images = FolderImageStore(settings.state / numbered("images", number), process.bytes_offload)
        store = await process.store(f"{numbered('image', number)}.db", "image")
        await process.start(ImageWorker(process.means, store, images, _door(settings, number)))


def _door(settings: Settings, number: int) -> DoorAddress:
    port = settings.image_port + number if settings.image_port else 0
    return DoorAddress(settings.image_listen, port, settings.image_url)

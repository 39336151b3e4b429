"""Whether an image worker could use the place for images, before there is one."""

from pathlib import Path

from freehold.config import Settings
from freehold.drivers.imagestore.pick import image_store
from freehold.runtime import survey
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.place import IMAGES, place_of

NOBODY = "00000000-0000-4000-8000-000000000000"
"""An owner that has no images anywhere."""


async def image_place_trouble(settings: Settings) -> str:
    """What is wrong with it; empty if it answers. Nothing is written there. Blocks where a file is read."""
    place = place_of(settings.image_store, IMAGES)
    if place is not None and place.kind == "folder" and not survey.folder(Path(place.path)).writable:
        return f"{place.path} can't be written by this user."
    try:
        await image_store(settings, "images", NOBODY, offload_inline).images()
    except FreeholdError as error:
        return error.message
    return ""

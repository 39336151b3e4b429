"""From what an operator has set to the store of an image worker's bytes."""

from pathlib import Path

from freehold.config import Settings
from freehold.drivers.imagestore.bucket import READ_S_MAX, REQUEST_S_MAX, BucketImageStore
from freehold.drivers.imagestore.folder import FolderImageStore
from freehold.drivers.imagestore.interface import ImageStore
from freehold.drivers.imagestore.swift import SwiftImageStore
from freehold.drivers.imagestore.swift_account import SwiftAccount
from freehold.drivers.imagestore.web import WebImageStore
from freehold.drivers.places.buckets import open_bucket
from freehold.drivers.places.secrets import read_secrets
from freehold.runtime.tasks import Offload
from freehold.vocabulary.place import IMAGES, WEB, place_of


def image_store(settings: Settings, name: str, owner: str, offload: Offload) -> ImageStore:
    """Where the image worker with the store `owner` keeps bytes: in the folder `name` of the state, unless the settings
    name another place, of which it has a part of its own; what is published is for all. Blocks. Raises BadRequest.
    """
    place = place_of(settings.image_store, IMAGES)
    if place is None:
        return FolderImageStore(settings.state / name, offload)
    if place.kind == "folder":
        return FolderImageStore(Path(place.path) / owner, offload)
    if place.kind in WEB:
        return WebImageStore(place, offload)
    secrets = read_secrets(place, settings.image_store_secret_file)
    if place.kind == "swift":
        return SwiftImageStore(SwiftAccount(place, secrets), place.path, owner, offload)
    writer, reader = (open_bucket(place, secrets, IMAGES, wait_s) for wait_s in (REQUEST_S_MAX, READ_S_MAX))
    return BucketImageStore(writer, reader, owner, place.shown(), tuple(secrets.values()), offload)

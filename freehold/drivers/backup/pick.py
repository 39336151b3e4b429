"""From what an operator has set to the place for backups."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

from freehold.config import Settings
from freehold.drivers.backup.bucket import bucket_objects
from freehold.drivers.backup.folder import FolderBackups
from freehold.drivers.backup.interface import Backups
from freehold.drivers.backup.leased import LeasedBackups
from freehold.drivers.backup.objects import Objects
from freehold.drivers.backup.redis_server import redis_objects
from freehold.drivers.backup.sealed import Keys, SealedBackups, kept_keys, read_keys
from freehold.drivers.backup.sql import sql_objects
from freehold.drivers.places.secrets import read_secrets
from freehold.runtime.clock import Clock
from freehold.runtime.machine import host_name
from freehold.runtime.tasks import Offload
from freehold.vocabulary.place import BUCKETS, Place, place_of
from freehold.vocabulary.secret import Secret

KEY_FILE: Final = "backup.key"
"""In the folder of the state."""


def key_file(settings: Settings) -> Path:
    """Where the key of a process's backups is."""
    return settings.backup_key_file or settings.state / KEY_FILE


def owners_backups(settings: Settings, clock: Clock, offload: Offload, say: Callable[[str], None]) -> Backups | None:
    """Where the owners of a process write their backups; None if that isn't set. Blocks; makes a key if there is none.
    Raises BadRequest.
    """
    place = place_of(settings.backup)
    if place is None:
        return None
    holder = f"{host_name()}:{settings.state.resolve()}"
    backups = backups_at(place, read_secrets(place, settings.backup_secret_file), clock, offload, holder)
    return SealedBackups(backups, kept_keys(key_file(settings), say)) if settings.backup_encryption else backups


def readers_backups(
    place: Place, secrets: Path | None, key: Path | None, plain: bool, clock: Clock, offload: Offload
) -> Backups:
    """A place for backups to restore from. `plain`: take what isn't encrypted. Blocks. Raises BadRequest."""
    holder = f"a restore on {host_name()}, process {os.getpid()}"
    backups = backups_at(place, read_secrets(place, secrets), clock, offload, holder)
    return SealedBackups(backups, read_keys(key) if key is not None else Keys([]), plain)


def backups_at(
    place: Place, secrets: Mapping[str, Secret], clock: Clock, offload: Offload, holder: str
) -> FolderBackups | LeasedBackups:
    """The member for a place. Raises BadRequest where a library that it needs isn't installed."""
    if place.kind == "folder":
        return FolderBackups(Path(place.path), offload)
    return LeasedBackups(_objects(place, secrets), clock, holder, str(uuid4()))


def _objects(place: Place, secrets: Mapping[str, Secret]) -> Objects:
    if place.kind in BUCKETS:
        return bucket_objects(place, secrets)
    return (redis_objects if place.kind.startswith("redis") else sql_objects)(place, secrets)

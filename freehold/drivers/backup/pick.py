"""From what an operator has set to the place for backups.

The file of secrets is TOML, for its owner alone: `password = "…"` for a database or Redis; for buckets what
`bucket.SECRETS` names.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

from freehold.config import Settings
from freehold.drivers.backup.bucket import SECRETS, bucket_objects
from freehold.drivers.backup.folder import FolderBackups
from freehold.drivers.backup.interface import Backups
from freehold.drivers.backup.leased import LeasedBackups
from freehold.drivers.backup.objects import Objects
from freehold.drivers.backup.redis_server import redis_objects
from freehold.drivers.backup.sealed import Keys, SealedBackups, kept_keys, read_keys
from freehold.drivers.backup.sql import sql_objects
from freehold.runtime.clock import Clock
from freehold.runtime.machine import host_name
from freehold.runtime.tasks import Offload
from freehold.vocabulary.errors import BadRequest
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


def read_secrets(place: Place, path: Path | None) -> dict[str, Secret]:
    """What a file has for a place; nothing without a file. Blocks. Raises BadRequest, without a word of what is in
    it.
    """
    if path is None:
        return {}
    known = SECRETS.get(place.kind, () if place.kind == "folder" else ("password",))
    try:
        if path.stat().st_mode & 0o077:
            raise BadRequest(f"the file of secrets {path} can be read by others: chmod 600 {path}")
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadRequest(f"the file of secrets {path} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise BadRequest(f'the file of secrets {path} isn\'t TOML, like: password = "…"') from None
    if unknown := sorted(set(found) - set(known)):
        raise BadRequest(
            f"the file of secrets {path} has {', '.join(unknown)}; for {place.kind} it can have "
            f"{', '.join(known) or 'nothing'}"
        )
    if any(not isinstance(value, str) or not value for value in found.values()):
        raise BadRequest(f"the file of secrets {path} has a value that isn't a text")
    return {name: Secret(value) for name, value in found.items()}

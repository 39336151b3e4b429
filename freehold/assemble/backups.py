"""Where backups are, for who restores them."""

from pathlib import Path

from freehold.config import Settings
from freehold.drivers.backup.interface import Backups
from freehold.drivers.backup.pick import key_file, readers_backups
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.place import place_of


def backup_key(settings: Settings) -> Path:
    """Where the key of a process's backups is."""
    return key_file(settings)


def place_to_restore_from(place: str, secrets: Path | None, key: Path | None, plain: bool) -> Backups:
    """See `readers_backups`. Raises BadRequest."""
    found = place_of(place)
    if found is None:
        raise BadRequest("say where the backup is: --from URL, or --config with a file that sets it")
    return readers_backups(found, secrets, key, plain, SystemClock(), offload_inline)

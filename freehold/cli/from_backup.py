"""What the backup of a dead host's store has of its guests: user data and passwords, which only that host had."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from freehold.cli.restore import Source
from freehold.drivers.backup.interface import Backups
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.store.database import Store
from freehold.vocabulary.errors import Broken, Conflict, NotFound
from freehold.vocabulary.guest import GuestState
from freehold.vocabulary.units import unix_ms
from freehold.workers.host.messages import Job
from freehold.workers.host.records import Records
from freehold.workers.restore import Found, proven_copy

STOPPED = frozenset({GuestState.STOPPED, GuestState.STOPPING, GuestState.SHUTTING_DOWN})


class Kept(NamedTuple):
    """The guests that a host had by its backup, by id; not its old copies of guests that had left it before."""

    found: Found
    guests: dict[str, Job]


async def kept_of(source: Source, host: str, name: str) -> Kept:
    """Restores the backup of a host's store into a private folder, which is gone afterwards, looks through it as
    `backup verify` does, and reads it. Raises NotFound if there is none, Broken if it is damaged or the key isn't its
    own.
    """
    backups = source.backups()
    try:
        if host not in (stores := await backups.stores()):
            raise NotFound(_none(source.place, host, name, len(stores)))
        with tempfile.TemporaryDirectory(prefix="freehold-evacuate-") as folder:
            return await _kept(backups, host, name, Path(folder))
    finally:
        await backups.close()


async def _kept(backups: Backups, host: str, name: str, folder: Path) -> Kept:
    try:
        found, _, path = await proven_copy(backups, host, folder, offload_inline)
    except Broken as error:
        raise Broken(
            f"The backup of host {name} can't be used, and no guest was asked to leave. {error.message}"
        ) from error
    if found.owner.role != "host":
        raise Conflict(f"Store {host} is backed up there as a store of the {found.owner.role}, not of host {name}.")
    clock = HybridClock(SystemClock())
    store = await Store.open(
        path, role="host", cluster=found.owner.cluster, clock=clock, chance=SystemChance(), offload=offload_inline
    )
    try:
        return Kept(found, _guests(Records(store, clock)))
    finally:
        await store.close()


def _guests(records: Records) -> dict[str, Job]:
    owned = [guest for guest in records.guests() if guest.state is not GuestState.QUARANTINED]
    return {guest.id: Job(guest, records.secret(guest.id)) for guest in owned}


def _none(place: str, host: str, name: str, others: int) -> str:
    has = f"others' ({others}): freehold backup list --from {place}" if others else "none at all"
    return f"There is no backup of host {name} (store {host}) in {place}. It has {has}."


def record(kept: Job) -> dict[str, Any]:
    """A guest as the API takes it, with its secrets open."""
    guest, secret = kept.guest, kept.secret
    told: dict[str, Any] = {
        "id": guest.id,
        "updated_ms": unix_ms(guest.updated),
        "name": guest.labels.name,
        "description": guest.labels.description,
        "metadata": guest.labels.metadata,
        "tags": guest.labels.tags,
        "locked": guest.labels.locked,
        "locked_reason": guest.labels.locked_reason,
        "stopped": guest.state in STOPPED,
        "user_data": secret.user_data.reveal() if secret.user_data else None,
        "admin_password": secret.admin_password.reveal() if secret.admin_password else None,
    }
    return {name: value for name, value in told.items() if value is not None}

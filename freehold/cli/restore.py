"""What is in a place for backups: listing it, restoring from it, and proving that it can be restored from."""

import os
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from freehold import config as settings_file
from freehold.assemble.backups import backup_key, place_to_restore_from
from freehold.cli.ending import run
from freehold.config import Settings
from freehold.drivers.backup.interface import Backups
from freehold.runtime.chance import SystemChance, new_id
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import BadRequest, Broken, FreeholdError
from freehold.vocabulary.units import clock_time, iso_millis
from freehold.workers.restore import NOW, Damaged, Found, Moment, as_of, every, only_one_of, verify
from freehold.workers.restore import restore as restore_store

_PLACES: Final = re.compile(
    r"(registrar|image|volume)(-[0-9]{1,3})?\.db|(network|notifier|directory)\.db|hosts/[0-9]{1,6}\.db"
)
"""Where stores lie in the folder of the state."""
_POSITION: Final = re.compile(r"(?:([0-9a-f]{8}-[0-9a-f-]{27}):)?([0-9]{1,18})")
_LAST_OF_MILLISECOND: Final = 0xFFFF


class Source(NamedTuple):
    """Where to restore from, as it was typed. What isn't said is taken from the settings, if they are named."""

    place: str = ""
    config: Path | None = None
    state: Path | None = None
    key: Path | None = None
    secrets: Path | None = None
    plain: bool = False

    def settings(self) -> Settings | None:
        """The settings that are named."""
        return None if self.config is None else settings_file.read(self.config, state=self.state)

    def found_key(self) -> Path | None:
        """The file with the key: the one named, or the one of the state."""
        settings = self.settings()
        if settings is None and self.state is not None:
            settings = Settings(state=self.state)
        usual = None if settings is None else backup_key(settings)
        return self.key or (usual if usual is not None and usual.exists() else None)

    def backups(self) -> Backups:
        """The place. Raises BadRequest."""
        settings = self.settings()
        place, secrets, plain = self.place, self.secrets, self.plain
        if settings is not None:
            place, secrets = place or settings.backup, secrets or settings.backup_secret_file
            plain = plain or not settings.backup_encryption
        return place_to_restore_from(place, secrets, self.found_key(), plain)


class Wanted(NamedTuple):
    """Which store to restore, up to where, and over what."""

    store: str = ""
    role: str = ""
    at: str = ""
    replace: bool = False
    force: bool = False


def show(source: Source) -> None:
    """Prints what can be restored."""
    run(_show(source))


def restore(state: Path, source: Source, wanted: Wanted) -> None:
    """Restores one store, and says what was done."""
    run(_restore(state, source, wanted))


def prove(source: Source, store: str) -> None:
    """Restores every store into a temporary folder, and says what came of it. Exits with 1 if any can't be."""
    run(_prove(source, store))


def show_key(state: Path, config: Path | None) -> None:
    """Prints the key."""
    run(_show_key(Source(state=state, config=config)))


async def _show(source: Source) -> None:
    backups = source.backups()
    try:
        listed = await every(backups)
    finally:
        await backups.close()
    columns = ("role", "store", "cluster", "file", "log at", "as of", "remarks")
    table = Table(*columns, title="backups", title_justify="left")
    for found in listed:
        if isinstance(found, Damaged):
            table.add_row("", found.store, "", "", "", "", found.reason)
        else:
            owner, seq = found.owner, str(found.position.seq)
            table.add_row(owner.role, owner.store, owner.cluster, found.place, seq, iso_millis(found.time), found.note)
    Console().print(table)


async def _restore(state: Path, source: Source, wanted: Wanted) -> None:
    moment = moment_of(wanted.at)
    backups = source.backups()
    try:
        found, target, moved = await _restored(backups, state, wanted, moment)
    finally:
        await backups.close()
    if moved is not None:
        print(f"the store that was there is now {moved}")
    if found.note:
        print(found.note)
    print(f"restored the {found.owner.role}'s store {found.owner.store} to {target}")
    print(f"its log stands at {found.position.seq}, as of {iso_millis(found.time)}")
    _bring_key(source.found_key(), state)


async def _restored(backups: Backups, state: Path, wanted: Wanted, moment: Moment) -> tuple[Found, Path, Path | None]:
    """What was restored, where it is, and where the store that was there has been moved. Raises FreeholdError, and
    changes nothing then.
    """
    store = wanted.store or (await only_one_of(backups, wanted.role)).owner.store
    found = await as_of(backups, store, moment)
    if _PLACES.fullmatch(found.place) is None:
        raise Broken(f"the backup of store {found.owner.store} says that its file was {found.place!r}, which none is.")
    target, epoch = state / found.place, new_id(SystemChance())
    if wanted.force:
        print(f"not looking whether an owner still writes the backup of {store}: it must be dead", file=sys.stderr)
    moved = await restore_store(backups, found, target, epoch, offload_inline, wanted.replace, wanted.force)
    return found, target, moved


def _bring_key(key: Path | None, state: Path) -> None:
    """Gives the owner that will start the key of what it goes on with, if it has none."""
    target = backup_key(Settings(state=state))
    if key is None or target.exists() or key.resolve() == target.resolve():
        return
    with open(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(key.read_text())
        file.flush()
        os.fsync(file.fileno())
    print(f"the key for its backups is now {target} too")


async def _prove(source: Source, store: str) -> None:
    backups, failed, proven = source.backups(), 0, 0
    try:
        listed = [store] if store else await backups.stores()
        damaged = [] if store else [one for one in await every(backups) if isinstance(one, Damaged)]
        others = {one.store for one in damaged if one.elsewhere}
        with tempfile.TemporaryDirectory(prefix="freehold-verify-") as folder:
            for one in listed:
                if one in others:
                    print(f"skipped {one}: encrypted with another machine's key")
                elif await _prove_one(backups, one, Path(folder)):
                    proven += 1
                else:
                    failed += 1
    finally:
        await backups.close()
    print(f"{proven} of {proven + failed} restore")
    if failed or not proven:
        raise SystemExit(1)


async def _prove_one(backups: Backups, store: str, folder: Path) -> bool:
    try:
        found, proof = await verify(backups, store, folder, offload_inline)
    except FreeholdError as error:
        print(f"FAILED {store}: {error.message}")
        return False
    counts = f"{proof.rows} rows, {proof.private} private values, {proof.entries} log entries"
    stands = f"log at {proof.position.seq}, as of {iso_millis(found.time)}"
    print(f"good {store} ({found.owner.role}): {counts}, {stands}" + (f". {found.note}" if found.note else ""))
    return True


async def _show_key(source: Source) -> None:
    path = source.found_key()
    if path is None:
        raise BadRequest("there is no key for backups yet: it is made when a process starts with `backup` set")
    print(path.read_text(), end="")
    print(f"freehold: from {path}. Keep it where the machine's loss doesn't reach it.", file=sys.stderr)


def moment_of(text: str) -> Moment:
    """The moment that somebody typed: a log's position, or a time with its zone. Raises BadRequest."""
    if not text:
        return NOW
    if (position := _POSITION.fullmatch(text)) is not None:
        return Moment(seq=int(position[2]), epoch=position[1] or "")
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(
            f"--at is {text!r}; it can be a position in the log (1234, or EPOCH:1234), or a time like "
            "2026-11-26T20:15:00Z"
        ) from error
    if time.tzinfo is None:
        raise BadRequest(f"--at is {text!r}, without its zone: say {text}Z if it is UTC")
    return Moment(time=clock_time(int(time.astimezone(UTC).timestamp() * 1000), _LAST_OF_MILLISECOND))

"""What is read of a dead host's guests from its backup, and what is refused."""

import re
import shutil
import tempfile
from pathlib import Path

import pytest

from freehold.cli.from_backup import kept_of, record
from freehold.cli.restore import Source
from freehold.drivers.backup.folder import FolderBackups
from freehold.drivers.backup.sealed import SealedBackups, kept_keys
from freehold.runtime.tasks import offload_inline
from freehold.store.database import keep_private, put
from freehold.vocabulary.codec import encode
from freehold.vocabulary.errors import BadRequest, Broken, Conflict, FreeholdError, NotFound
from freehold.vocabulary.guest import GuestState, Labels
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import clock_time
from freehold.workers.backup import Backup
from freehold.workers.host.messages import BuildSecret
from freehold.workers.host.records import BUILD_SECRET
from tests.owners import a_guest, a_host, means_of, store_at, turns

ABSENT = "66666666-7777-4888-9999-000000000000"


class Lost:
    """Stores that were written to the folder `backup`, encrypted with `the.key`; then their machine was lost."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place, self.key = folder, folder / "backup", folder / "the.key"

    async def store(self, role: str = "host", seed: int = 1) -> str:
        means = means_of(seed=seed)
        store = await store_at(self.folder / f"{seed}.db", means, role=role)
        keys = kept_keys(self.key, lambda _: None)
        backups = SealedBackups(FolderBackups(self.place, offload_inline), keys)
        backup = Backup(means, store, backups, "hosts/0.db")
        labels = Labels(name="web", description="a shop", metadata={"a": "b"}, tags=("t",), locked=True)
        secret = BuildSecret(user_data=Secret("IyEvYmluL3No"), admin_password=Secret("swordfish"))
        web = a_guest("web", store.id, labels=labels, updated=clock_time(1_700_000_000_123))
        off = a_guest("off", store.id, state=GuestState.STOPPED)
        copy = a_guest("copy", store.id, state=GuestState.QUARANTINED)
        changes = [put(store.id, a_host(store.id)), *(put(guest.id, guest) for guest in (web, off, copy))]
        await store.commit([*changes, keep_private(BUILD_SECRET, "web", encode(secret))], "t")
        await backup.open()
        await turns()
        for one in (backup, backups, store):
            await one.close()
        return store.id

    def source(self, key: Path | None = None) -> Source:
        return Source(place=f"folder:{self.place}", key=key or self.key)


@pytest.fixture
def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lost:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return Lost(tmp_path)


async def refusal(lost: Lost, host: str, key: Path | None = None) -> FreeholdError:
    with pytest.raises(FreeholdError) as caught:
        await kept_of(lost.source(key), host, "h1")
    assert not list((lost.folder / "tmp").iterdir()), "nothing is left behind"
    return caught.value


async def test_guests_are_read_with_what_only_their_host_had(lost: Lost) -> None:
    host = await lost.store()
    kept = await kept_of(lost.source(), host, "h1")
    assert sorted(kept.guests) == ["off", "web"], "an old copy isn't the host's to lose"
    assert kept.found.time > 0 and kept.found.owner.store == host
    assert record(kept.guests["web"]) == {
        "id": "web",
        "updated_ms": 1_700_000_000_123,
        "name": "web",
        "description": "a shop",
        "metadata": {"a": "b"},
        "tags": ("t",),
        "locked": True,
        "stopped": False,
        "user_data": "IyEvYmluL3No",
        "admin_password": "swordfish",
    }
    off = record(kept.guests["off"])
    assert off["stopped"] and not {"user_data", "admin_password"} & set(off)
    assert "swordfish" not in repr(kept)


async def test_the_copy_is_private_and_gone_afterwards(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    host, seen = await lost.store(), []
    made = tempfile.mkdtemp

    def watched(*arguments: str | None, **named: str | None) -> str:
        folder = made(*arguments, **named)
        seen.append(Path(folder).stat().st_mode & 0o777)
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", watched)
    await kept_of(lost.source(), host, "h1")
    assert seen == [0o700] and not list((lost.folder / "tmp").iterdir())


async def test_a_host_that_has_no_backup_there(lost: Lost) -> None:
    host = await lost.store()
    error = await refusal(lost, ABSENT)
    assert isinstance(error, NotFound) and f"no backup of host h1 (store {ABSENT})" in error.message
    assert f"It has others' (1): freehold backup list --from folder:{lost.place}." in error.message
    shutil.rmtree(lost.place / host)
    error = await refusal(lost, ABSENT)
    assert isinstance(error, NotFound) and error.message.endswith("It has none at all.")


async def test_the_key_of_another_machine(lost: Lost) -> None:
    host, other = await lost.store(), lost.folder / "other.key"
    kept_keys(other, lambda _: None)
    error = await refusal(lost, host, other)
    assert isinstance(error, Broken) and re.search(r"host h1 can't be used.*another key.*--key", error.message)
    error = await refusal(lost, host, lost.folder / "absent.key")
    assert isinstance(error, BadRequest)


async def test_a_damaged_backup(lost: Lost) -> None:
    host = await lost.store()
    (segment, *_) = sorted((lost.place / host).glob("*.segment"))
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.write_bytes(content)
    error = await refusal(lost, host)
    assert isinstance(error, Broken) and "no guest was asked to leave" in error.message


async def test_the_backup_of_another_store(lost: Lost) -> None:
    registrar, host = await lost.store("registrar", 1), await lost.store("host", 2)
    error = await refusal(lost, registrar)
    assert isinstance(error, Conflict) and "as a store of the registrar, not of host h1" in error.message
    shutil.rmtree(lost.place / registrar)
    shutil.copytree(lost.place / host, lost.place / ABSENT)
    assert isinstance(await refusal(lost, ABSENT), Broken), "a folder under another's name"

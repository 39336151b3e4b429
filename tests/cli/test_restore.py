"""`freehold restore` as somebody types it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner, Result

from freehold.cli.main import app
from freehold.drivers.backup.folder import FolderBackups
from freehold.drivers.backup.sealed import SealedBackups, kept_keys
from freehold.runtime.tasks import offload_inline
from freehold.store.database import put
from freehold.vocabulary.tenant import Project
from freehold.workers.backup import Backup
from tests.owners import means_of, project, store_at, turns

PLACES: Final = [("registrar", "registrar.db"), ("host", "hosts/0.db"), ("host", "hosts/1.db"), ("image", "image-1.db")]


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[list[str]]:
    """The ids of the stores at PLACES, which are in the folder `backup`."""
    ids, keys = [], kept_keys(tmp_path / "the.key", print)
    for seed, (role, place) in enumerate(PLACES):
        means = means_of(seed=seed)
        store = await store_at(tmp_path / f"{seed}.db", means, role=role)
        backups = SealedBackups(FolderBackups(tmp_path / "backup", offload_inline), keys)
        backup = Backup(means, store, backups, place)
        await store.commit([put("a", project("a"))], "t")
        await backup.open()
        await turns()
        await backup.close()
        await backups.close()
        await store.close()
        ids.append(store.id)
    yield ids


def restore(tmp_path: Path, *options: str, place: str = "") -> Result:
    source = place or f"folder:{tmp_path / 'backup'}"
    command = ["restore", "--from", source, "--state", str(tmp_path / "state"), "--key", str(tmp_path / "the.key")]
    return invoke(*command, *options)


def invoke(*command: str) -> Result:
    return CliRunner(env={"COLUMNS": "400"}).invoke(app, command)


def test_what_there_is_is_listed(tmp_path: Path, stores: list[str]) -> None:
    answer = restore(tmp_path, "--list")
    assert answer.exit_code == 0 and not (tmp_path / "state").exists()
    for store, (_, place) in zip(stores, PLACES, strict=True):
        (line,) = [line for line in answer.output.splitlines() if store in line]
        assert place in line and "1970" in line


async def test_the_store_of_a_role_is_made_where_the_role_looks_for_it(tmp_path: Path, stores: list[str]) -> None:
    answer = await asyncio.to_thread(restore, tmp_path, "--role", "registrar")
    assert answer.exit_code == 0, answer.output
    assert f"restored the registrar's store {stores[0]} to {tmp_path / 'state' / 'registrar.db'}" in answer.output
    again = await store_at(tmp_path / "state" / "registrar.db", means_of(seed=9))
    assert again.id == stores[0] and [one.id for one in again.scan(Project)] == ["a"]
    await again.close()
    answer = await asyncio.to_thread(restore, tmp_path, "--role", "registrar")
    assert answer.exit_code == 1 and "Say --replace" in answer.output
    answer = await asyncio.to_thread(restore, tmp_path, "--role", "registrar", "--replace")
    assert answer.exit_code == 0 and "is now" in answer.output and "registrar.db.replaced-1" in answer.output


def test_of_several_stores_one_must_be_named(tmp_path: Path, stores: list[str]) -> None:
    answer = restore(tmp_path, "--role", "host")
    assert answer.exit_code == 1 and f"{stores[1]} (hosts/0.db)" in answer.output
    assert f"{stores[2]} (hosts/1.db)" in answer.output
    assert restore(tmp_path, "--store", stores[2]).exit_code == 0
    assert (tmp_path / "state" / "hosts" / "1.db").exists() and not (tmp_path / "state" / "hosts" / "0.db").exists()


def test_the_second_of_a_role_goes_back_to_its_own_file(tmp_path: Path, stores: list[str]) -> None:
    assert restore(tmp_path, "--role", "image").exit_code == 0
    assert (tmp_path / "state" / "image-1.db").exists()


@pytest.mark.parametrize(
    ("options", "place", "code", "said"),
    [
        ([], "", 2, "either --role or --store"),
        (["--role", "registrar", "--store", "x"], "", 2, "either --role or --store"),
        (["--store", "../registrar"], "", 1, "must be a UUID"),
        (["--role", "registrar"], "ftp://host/folder", 1, "it can be folder:/PATH"),
        (["--role", "registrar"], "postgresql://me:secret@host/database", 1, "file of backup_secret_file"),
        (["--role", "registrar", "--at", "yesterday"], "", 1, "EPOCH:1234"),
        (["--role", "registrar", "--at", "2026-11-26T10:00"], "", 1, "without its zone"),
        (["--role", "registrar", "--at", "1969-01-01T00:00:00Z"], "", 1, "no copy of that moment"),
        (["--role", "registrar"], "folder:backup", 1, "with the whole path"),
        (["--role", "network"], "", 1, "no backup of a store of the network"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(
    tmp_path: Path, stores: list[str], options: list[str], place: str, code: int, said: str
) -> None:
    answer = restore(tmp_path, *options, place=place)
    assert answer.exit_code == code and said in answer.output and "secret@" not in answer.output
    assert not (tmp_path / "state").exists()


async def test_another_machine_goes_on_with_the_key(tmp_path: Path, stores: list[str]) -> None:
    answer = await asyncio.to_thread(restore, tmp_path, "--role", "registrar")
    assert answer.exit_code == 0 and f"is now {tmp_path / 'state' / 'backup.key'} too" in answer.output
    assert (tmp_path / "state" / "backup.key").read_text() == (tmp_path / "the.key").read_text()
    assert (tmp_path / "state" / "backup.key").stat().st_mode & 0o777 == 0o600
    shown = await asyncio.to_thread(invoke, "backup", "key", "--state", str(tmp_path / "state"))
    assert shown.exit_code == 0 and (tmp_path / "the.key").read_text() in shown.output


def test_a_wrong_key_is_said_and_so_is_none(tmp_path: Path, stores: list[str]) -> None:
    (tmp_path / "the.key").unlink()
    answer = restore(tmp_path, "--role", "registrar")
    assert answer.exit_code == 1 and "can't be read" in answer.output
    kept_keys(tmp_path / "the.key", print)
    answer = restore(tmp_path, "--role", "registrar")
    assert answer.exit_code == 1 and "is encrypted with another key" in answer.output
    bare = invoke(
        "restore", "--from", f"folder:{tmp_path / 'backup'}", "--state", str(tmp_path / "s"), "--store", stores[0]
    )
    assert bare.exit_code == 1 and "given: none" in bare.output


def test_verify_says_what_is_good_and_exits_with_1_for_what_is_not(tmp_path: Path, stores: list[str]) -> None:
    place = f"folder:{tmp_path / 'backup'}"
    command = ("backup", "verify", "--from", place, "--key", str(tmp_path / "the.key"))
    answer = invoke(*command)
    assert answer.exit_code == 0 and "4 of 4 restore" in answer.output
    assert f"good {stores[0]} (registrar): 1 rows, 0 private values, 1 log entries, log at 1" in answer.output
    damaged = tmp_path / "backup" / stores[1] / "000000000001.segment"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    answer = invoke(*command)
    assert answer.exit_code == 1 and f"FAILED {stores[1]}" in answer.output and "3 of 4 restore" in answer.output
    assert invoke(*command, "--store", stores[0]).exit_code == 0
    kept_keys(tmp_path / "other.key", print)
    answer = invoke(*command[:-1], str(tmp_path / "other.key"))
    assert answer.exit_code == 1 and answer.output.count("another machine's key") == 4, "and nothing was proven"


def test_a_live_owner_is_only_passed_over_with_force(tmp_path: Path, stores: list[str]) -> None:
    async def beside_an_owner(*options: str) -> Result:
        owner = FolderBackups(tmp_path / "backup", offload_inline)
        await owner.hold(stores[0])
        try:
            return await asyncio.to_thread(restore, tmp_path, "--role", "registrar", *options)
        finally:
            await owner.close()

    answer = asyncio.run(beside_an_owner())
    assert answer.exit_code == 1 and "Stop that process first" in answer.output
    answer = asyncio.run(beside_an_owner("--force"))
    assert answer.exit_code == 0 and "it must be dead" in answer.output

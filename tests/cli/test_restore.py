"""`freehold restore` as somebody types it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner, Result

from freehold.cli.main import app
from freehold.drivers.backup.folder import FolderBackups
from freehold.runtime.tasks import offload_inline
from freehold.store.database import put
from freehold.vocabulary.tenant import Project
from freehold.workers.backup import Backup
from tests.owners import means_of, project, store_at, turns

PLACES: Final = [("registrar", "registrar.db"), ("host", "hosts/0.db"), ("host", "hosts/1.db"), ("image", "image-1.db")]


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[list[str]]:
    """The ids of the stores at PLACES, which are in the folder `backup`."""
    ids = []
    for seed, (role, place) in enumerate(PLACES):
        means = means_of(seed=seed)
        store = await store_at(tmp_path / f"{seed}.db", means, role=role)
        backups = FolderBackups(tmp_path / "backup", offload_inline)
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
    command = ["restore", "--from", source, "--state", str(tmp_path / "state"), *options]
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, command)


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
        (["--role", "registrar"], "s3:bucket", 1, "it can be folder:/PATH"),
        (["--role", "registrar"], "folder:backup", 1, "with the whole path"),
        (["--role", "network"], "", 1, "no backup of a store of the network"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(
    tmp_path: Path, stores: list[str], options: list[str], place: str, code: int, said: str
) -> None:
    answer = restore(tmp_path, *options, place=place)
    assert answer.exit_code == code and said in answer.output
    assert not (tmp_path / "state").exists()

"""Whether a store's file is whole."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.store.database import drop, keep_private, put
from freehold.store.proof import proven
from freehold.vocabulary.errors import Broken
from tests.owners import means_of, project, store_at


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    store = await store_at(tmp_path / "registrar.db", means_of())
    for name in "abcd":
        await store.commit([put(name, project(name)), keep_private("x", name, b"secret")], "t")
    await store.commit([put("b", project("again")), drop("project", "a"), keep_private("x", "a", None)], "t")
    await store.close()
    yield tmp_path / "registrar.db"


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_one_that_is_whole_is_counted(path: Path) -> None:
    proof = proven(path)
    assert (proof.rows, proof.private, proof.entries, proof.links, proof.position.seq) == (3, 3, 6, 6, 6)


async def test_what_compaction_dropped_is_no_damage(path: Path) -> None:
    store = await store_at(path, means_of())
    await store.compact(tail=1)
    await store.close()
    proof = proven(path)
    assert proof.rows == 3 and proof.entries < 6 and proof.links < proof.entries


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE log SET value = X'00' WHERE seq = 3", "entry 3 doesn't follow"),
        ("UPDATE log SET cause = 'another' WHERE seq = 1", "entry 1 doesn't follow"),
        ("DELETE FROM newest WHERE key = 'c'", "aren't what its log says"),
        ("UPDATE newest SET gone = 1 WHERE key = 'c'", "aren't what its log says"),
        ("UPDATE newest SET seq = 1 WHERE key = 'c'", "aren't what its log says"),
        ("INSERT INTO newest SELECT kind, 'z', 1, 0 FROM newest LIMIT 1", "aren't what its log says"),
        ("UPDATE log SET before = NULL", "aren't what its log says"),
    ],
)
def test_what_was_changed_is_found(path: Path, statement: str, said: str) -> None:
    change(path, statement)
    with pytest.raises(Broken, match=said):
        proven(path)


def test_a_file_that_is_no_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no store" * 1000)
    with pytest.raises(Broken, match="can't be read"):
        proven(tmp_path / "x.db")

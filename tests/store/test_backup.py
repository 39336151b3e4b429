"""Copying a store while its owner goes on."""

from pathlib import Path

from freehold.store.backup import Copy
from freehold.store.database import put
from tests.owners import means_of, project, store_at


async def test_a_copy_tells_how_much_it_makes_the_owner_keep(tmp_path: Path) -> None:
    store = await store_at(tmp_path / "registrar.db", means_of())
    await store.commit([put("a", project("a"))], "t")
    copy = Copy(store, None)
    assert copy.grown_bytes() == 0
    for n in range(20):
        await store.commit([put(f"{n}", project("x" * 10_000))], "t")
    assert copy.grown_bytes() > 200_000
    copy.close()
    await store.close()

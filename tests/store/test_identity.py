"""Who a machine is, on its disk."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.config import Settings
from freehold.runtime.chance import SeededChance
from freehold.store.database import Store
from freehold.store.identity import FILE, IdentityFile, KeptIdentity, keep_identity, own_stores, read_identity
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.machine import Papers, Roll
from freehold.vocabulary.secret import Secret
from tests.owners import means_of, store_at

KEPT = KeptIdentity(key=Secret("00" * 32), passport=b"passport", authority=bytes(32))


def test_what_was_kept_is_read_and_is_the_machines_alone(tmp_path: Path) -> None:
    assert read_identity(tmp_path) is None
    keep_identity(tmp_path / "state", KEPT)
    assert read_identity(tmp_path / "state") == KEPT
    assert (tmp_path / "state" / FILE).stat().st_mode & 0o777 == 0o600
    assert "00000" not in repr(KEPT)


def test_a_file_that_is_damaged_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"nonsense")
    with pytest.raises(Broken, match="enroll this machine again"):
        read_identity(tmp_path)


def test_a_key_is_rolled_in_steps_of_which_none_is_lost(tmp_path: Path) -> None:
    keep_identity(tmp_path, KEPT)
    asked = IdentityFile(tmp_path).next_key(SeededChance(1))
    assert IdentityFile(tmp_path).next_key(SeededChance(2)) == asked, "by the next process, too"
    assert read_identity(tmp_path) == replace(KEPT, next_key=Secret(asked.hex())), "the old one holds until then"
    IdentityFile(tmp_path).take(Papers(passport=b"new passport", ticket="new ticket"))
    assert read_identity(tmp_path) == replace(
        KEPT, key=Secret(asked.hex()), passport=b"new passport", ticket="new ticket"
    )


def test_a_roll_is_kept_beside_the_rest(tmp_path: Path) -> None:
    keep_identity(tmp_path, KEPT)
    roll = Roll(time=1, charter="c", accounts=(("A", "text"),))
    IdentityFile(tmp_path).keep_roll(roll)
    IdentityFile(tmp_path).next_key(SeededChance(1))
    IdentityFile(tmp_path).take(Papers(passport=b"new passport"))
    kept = read_identity(tmp_path)
    assert kept is not None and kept.roll == roll


async def test_the_ids_of_stores_are_there_before_the_stores(tmp_path: Path) -> None:
    roles = ("registrar", "host", "api")
    settings = Settings(state=tmp_path, roles=roles, hypervisor="simulated", hosts=2, registrar_shards=2)
    ids = own_stores(settings, SeededChance(1))
    assert len(set(ids)) == 4
    assert own_stores(settings, SeededChance(2)) == ids
    means = means_of()
    store: Store = await store_at(tmp_path / "registrar-1.db", means)
    assert store.id == ids[1]
    await store.close()

"""Encrypted backups: what whoever can write to the place can't do unseen."""

from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.drivers.backup.interface import OtherKey, Plain
from freehold.drivers.backup.sealed import Keys, SealedBackups, kept_keys, new_key, read_keys
from freehold.drivers.backup.simulated import Shelf, SimulatedBackups
from freehold.vocabulary.errors import BadRequest, Broken
from freehold.vocabulary.secret import Secret

STORE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"
Segments = dict[str, dict[int, bytes]]


async def written(keys: Keys) -> Shelf:
    shelf = Shelf()
    backups = SealedBackups(SimulatedBackups(shelf), keys)
    for store in (STORE, OTHER):
        await backups.hold(store)
        for number in (1, 2):
            await backups.write(store, number, f"a password of {store} {number}".encode())
    await backups.close()
    return shelf


async def test_nothing_of_it_can_be_read_there_and_no_two_are_alike() -> None:
    keys = Keys([new_key()])
    first, second = await written(keys), await written(keys)
    for shelf in (first, second):
        assert all(b"password" not in content for one in shelf.segments.values() for content in one.values())
    assert first.segments[STORE][1] != second.segments[STORE][1]
    backups = SealedBackups(SimulatedBackups(first), keys)
    assert await backups.read(STORE, 1) == f"a password of {STORE} 1".encode()


def flip(segments: Segments) -> None:
    segments[STORE][1] = segments[STORE][1][:-1] + bytes([segments[STORE][1][-1] ^ 1])


def flip_the_nonce(segments: Segments) -> None:
    content = segments[STORE][1]
    segments[STORE][1] = content[:35] + bytes([content[35] ^ 1]) + content[36:]


def truncate(segments: Segments) -> None:
    segments[STORE][1] = segments[STORE][1][:-1]


def take_all_but_the_head(segments: Segments) -> None:
    segments[STORE][1] = segments[STORE][1][:34]


def move_in_the_store(segments: Segments) -> None:
    segments[STORE][1] = segments[STORE][2]


def move_between_stores(segments: Segments) -> None:
    segments[STORE][1] = segments[OTHER][1]


@pytest.mark.parametrize(
    "change", [flip, flip_the_nonce, truncate, take_all_but_the_head, move_in_the_store, move_between_stores]
)
async def test_what_was_changed_or_moved_is_found(change: Callable[[Segments], None]) -> None:
    keys = Keys([new_key()])
    shelf = await written(keys)
    change(shelf.segments)
    with pytest.raises(Broken, match=r"segment 1 .* is damaged, or not in its place") as caught:
        await SealedBackups(SimulatedBackups(shelf), keys).read(STORE, 1)
    assert type(caught.value) is Broken


async def test_a_wrong_key_and_a_missing_one_say_so() -> None:
    shelf = await written(Keys([new_key()]))
    for keys in (Keys([new_key()]), Keys([])):
        with pytest.raises(OtherKey, match=r"another key: [0-9a-f]{16}; given: ([0-9a-f]{16}|none)\."):
            await SealedBackups(SimulatedBackups(shelf), keys).read(STORE, 1)


async def test_an_old_key_opens_what_it_sealed_and_the_first_seals() -> None:
    old, new = new_key(), new_key()
    shelf = await written(Keys([old]))
    both = SealedBackups(SimulatedBackups(shelf), Keys([new, old]))
    assert await both.read(STORE, 1)
    await both.hold(STORE)
    await both.write(STORE, 3, b"later")
    assert await SealedBackups(SimulatedBackups(shelf), Keys([new])).read(STORE, 3) == b"later"


async def test_what_is_not_encrypted_is_refused() -> None:
    keys = Keys([new_key()])
    shelf = await written(keys)
    shelf.segments[STORE][1] = b"put there by somebody"
    with pytest.raises(Plain, match="isn't encrypted"):
        await SealedBackups(SimulatedBackups(shelf), keys).read(STORE, 1)
    trusting = SealedBackups(SimulatedBackups(shelf), keys, plain=True)
    assert await trusting.read(STORE, 1) == b"put there by somebody" and await trusting.read(STORE, 2)


def test_a_key_is_made_once_and_loudly(tmp_path: Path) -> None:
    path, said = tmp_path / "state" / "backup.key", list[str]()
    first = kept_keys(path, said.append).first
    assert kept_keys(path, said.append).first == first == read_keys(path).first
    assert len(said) == 1 and "NOTHING can be restored" in said[0] and str(path) in said[0]
    assert path.stat().st_mode & 0o777 == 0o600 and [one.name for one in path.parent.iterdir()] == ["backup.key"]
    path.chmod(0o640)
    with pytest.raises(BadRequest, match="chmod 600"):
        kept_keys(path, said.append)


@pytest.mark.parametrize(
    "text", ["", "# nothing", "freehold-backup-key-1 short=", "hunter2", f"freehold-backup-key-1 {'A' * 43}=x"]
)
def test_a_file_without_a_key_is_said_without_what_is_in_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(BadRequest) as caught:
        read_keys(tmp_path / "key")
    assert "key for backups" in caught.value.message and (not text or text not in caught.value.message)
    with pytest.raises(BadRequest):
        Keys([Secret("freehold-backup-key-2 " + "A" * 43 + "=")])

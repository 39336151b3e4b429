"""Small records in files."""

import errno
from pathlib import Path

import pytest

from freehold.drivers.qemu import records
from freehold.drivers.qemu.records import complaint, read_record, tail, write_whole
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.word import Word


class Pear(Word, frozen=True, kw_only=True):
    ripe: bool


def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    write_whole(tmp_path / "record", b"secret")
    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "record", b"old")
    with pytest.raises(TypeError):
        write_whole(tmp_path / "record", "no bytes")  # type: ignore[arg-type]
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_record_is_there_or_not_or_broken(tmp_path: Path) -> None:
    path = tmp_path / "pear.json"
    assert read_record(path, Pear, "a tree") is None
    write_whole(path, b'{"ripe":true}')
    assert read_record(path, Pear, "a tree") == Pear(ripe=True)
    write_whole(path, b'{"ripe":')
    with pytest.raises(Broken, match=r"pear\.json of a tree"):
        read_record(path, Pear, "a tree")


def test_the_last_line_of_a_log_is_the_complaint(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert complaint(log, "qemu") == "" and tail(log, 4) == b""
    log.write_text("fine so far\nqemu: not any more\n")
    assert complaint(log, "qemu") == "not any more"
    assert tail(log, 5) == b"more\n"


def test_a_record_is_changed_on_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "pear.json"
    write_whole(path, b'{"ripe":false}')
    monkeypatch.setattr(records, "write_whole", full)
    records.rewrite(path, b'{"ripe":true}')
    assert read_record(path, Pear, "a tree") == Pear(ripe=True)
    records.rewrite(path, b'{"ripe":   false}')
    assert read_record(path, Pear, "a tree") == Pear(ripe=False)
    for new, content in ((path, bytes(1 << 20)), (tmp_path / "new.json", b"{}")):
        with pytest.raises(OSError, match="No space"):
            records.rewrite(new, content)
    assert read_record(path, Pear, "a tree") == Pear(ripe=False)

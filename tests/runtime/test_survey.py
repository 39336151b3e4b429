"""What is looked up of a machine."""

import fcntl
import os
import socket
from pathlib import Path

import pytest

from freehold.runtime import survey

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:26 / /run rw,nosuid - tmpfs tmpfs rw,size=100k
31 22 8:2 / /srv/a\\040b ro,noatime shared:2 - xfs /dev/sdb rw,nobarrier
32 22 0:40 / /srv rw - nfs4 server:/x rw,hard
33 32 8:3 / /srv rw - btrfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "option"),
    [
        ("/var/lib", "ext4", "errors=remount-ro"),
        ("/run/freehold", "tmpfs", "nosuid"),
        ("/runner", "ext4", "rw"),
        ("/srv/x", "btrfs", "rw"),
        ("/srv/a b/c", "xfs", "nobarrier"),
        ("/srv/a b", "xfs", "ro"),
    ],
)
def test_what_a_path_is_mounted_on(path: str, kind: str, option: str) -> None:
    found, options = survey._mount(Path(path), MOUNTS)
    assert found == kind and option in options


def test_a_folder_and_one_that_is_not_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    found = survey.folder(tmp_path)
    assert (found.exists, found.mode, found.owner, found.writable) == (True, 0o750, os.geteuid(), True)
    assert found.file_system and found.free_bytes > 0
    missing = survey.folder(tmp_path / "a" / "b")
    assert (missing.exists, missing.path) == (False, tmp_path)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "in use" in survey.is_free("127.0.0.1", port)
    assert survey.is_free("127.0.0.1", port) == ""
    assert survey.is_free("no such address.invalid", port)
    assert survey.is_free("192.0.2.1", port)


def test_a_lock_that_is_held(tmp_path: Path) -> None:
    file = tmp_path / "x.lock"
    assert not survey.is_locked(file)
    holder = os.open(file, os.O_RDWR | os.O_CREAT)
    assert not survey.is_locked(file)
    fcntl.flock(holder, fcntl.LOCK_EX)
    assert survey.is_locked(file)
    os.close(holder)
    assert not survey.is_locked(file)


def test_this_machine() -> None:
    assert survey.python_version() >= (3, 11)
    assert survey.sqlite_version() >= (3, 35)
    assert survey.open_files_max() > 100
    assert survey.kernel_setting("kernel/ostype") == "Linux"
    assert survey.kernel_setting("no/such/setting") == ""
    assert survey.clock_is_kept() in (True, False, None)
    assert survey.user() == os.geteuid()


def test_units_that_are_not_installed() -> None:
    assert survey.units(("no-such-unit-of-freehold.service",)) == {}


def test_what_every_processor_can_do() -> None:
    told = "processor : 0\nflags\t\t: fpu avx avx2\nvmx flags : ept\n\nprocessor : 1\nflags\t\t: fpu avx\n"
    assert survey._flags(told) == {"fpu", "avx"}
    assert survey._flags("processor : 0\n") == frozenset()
    assert survey.cpu_flags() == survey._flags(Path("/proc/cpuinfo").read_text())

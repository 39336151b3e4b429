"""The files of a guest."""

from pathlib import Path

import pytest

from freehold.drivers.hypervisor.guest_folder import CONSOLE_BYTES_MAX, DiskOrigin, GuestFolder, Run
from freehold.drivers.hypervisor.interface import Plan
from freehold.drivers.hypervisor.qemu_guest import resting_power
from freehold.vocabulary.errors import BadRequest, Broken
from freehold.vocabulary.guest import Power

GUEST = "0cca1991-394f-430f-bed5-f0ca5be05779"
RUN = Run(plan=Plan(guest=GUEST, name="pear", vcpus=1, ram_mib=64, nics=()))


@pytest.fixture
def folder(tmp_path: Path) -> GuestFolder:
    folder = GuestFolder(tmp_path, GUEST)
    with folder.making():
        return folder


def test_only_a_uuid_is_a_path(tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        GuestFolder(tmp_path, "../etc")


def test_the_mark_tells_how_a_guest_without_process_ended(folder: GuestFolder, tmp_path: Path) -> None:
    assert resting_power(GuestFolder(tmp_path, GUEST.replace("0", "1"))) is Power.ABSENT
    assert resting_power(folder) is Power.OFF
    folder.mark(RUN)
    assert resting_power(folder) is Power.CRASHED
    folder.mark(RUN.ended_by_guest())
    assert resting_power(folder) is Power.OFF
    folder.unmark()
    assert resting_power(folder) is Power.OFF


def test_the_folder_is_for_the_owner_alone(folder: GuestFolder) -> None:
    assert folder.path.stat().st_mode & 0o777 == 0o700


def test_a_launch_that_failed_leaves_the_guest_what_it_was(folder: GuestFolder) -> None:
    folder.mark(RUN)
    folder.unmark_to(None)
    assert folder.run() is None
    folder.unmark_to(RUN)
    assert folder.run() == RUN


def test_a_disk_of_unknown_origin_is_not_run(folder: GuestFolder) -> None:
    with pytest.raises(Broken):
        folder.origin()
    origin = DiskOrigin(base="/b", base_format="raw", size_gib=1)
    folder.keep_origin(origin)
    assert folder.origin() == origin


def test_nothing_is_left_of_a_folder_for_which_nothing_could_be_made(tmp_path: Path) -> None:
    folder = GuestFolder(tmp_path, GUEST)
    with pytest.raises(OSError, match="full"), folder.making():
        raise OSError("full")
    assert not folder.exists()


def test_the_console_log_is_trimmed_under_its_writer_and_keeps_its_end(folder: GuestFolder) -> None:
    with folder.console.open("ab", buffering=0) as qemu:
        for number in range(3):
            qemu.write(b"x" * CONSOLE_BYTES_MAX + b"end %d" % number)
            folder.trim_logs()
        qemu.write(b" and on")
        sizes = folder.console.stat().st_size + folder.console_old.stat().st_size
        assert sizes < CONSOLE_BYTES_MAX
        assert folder.console_tail(12) == b"end 2 and on"
        assert len(folder.console_tail(1 << 30)) == sizes

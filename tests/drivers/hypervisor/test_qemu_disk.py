"""What becomes of a disk when making it fails."""

from pathlib import Path

import pytest

from freehold.drivers.hypervisor.interface import DiskPlan
from freehold.drivers.hypervisor.qemu import QemuHypervisor
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.errors import Broken, NoRoom

GUEST = "0cca1991-394f-430f-bed5-f0ca5be05779"


@pytest.mark.parametrize(
    ("complaint", "error"),
    [("Could not write: No space left on device", NoRoom), ("Permission denied", Broken), ("", Broken)],
)
async def test_a_tool_that_fails_leaves_nothing(tmp_path: Path, complaint: str, error: type[Exception]) -> None:
    tool = tmp_path / "qemu-img"
    begin = 'for part; do case "$part" in *.new) touch "$part" ;; esac; done'
    tool.write_text(f'#!/bin/sh\n{begin}\necho "{complaint}" >&2\nexit 1\n')
    tool.chmod(0o755)
    base = tmp_path / "base.raw"
    base.write_bytes(bytes(512))
    guests = tmp_path / "guests"
    driver = QemuHypervisor(guests, SystemClock(), image_tool=str(tool))
    with pytest.raises(error):
        await driver.make_disk(DiskPlan(guest=GUEST, base=base, base_format="raw", size_gib=1))
    assert list(guests.iterdir()) == []


async def test_a_tool_that_is_missing_is_named(tmp_path: Path) -> None:
    base = tmp_path / "base.raw"
    base.write_bytes(bytes(512))
    driver = QemuHypervisor(tmp_path / "guests", SystemClock(), image_tool="no-such-tool")
    with pytest.raises(Broken, match="no-such-tool"):
        await driver.make_disk(DiskPlan(guest=GUEST, base=base, base_format="raw", size_gib=1))

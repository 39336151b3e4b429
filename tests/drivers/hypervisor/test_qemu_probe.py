"""What the probe makes of a machine. QEMU is a script here; the boot itself is in the contract suite."""

import shutil
import subprocess
from pathlib import Path

import pytest

from freehold.drivers.hypervisor import qemu_probe
from freehold.drivers.hypervisor.qemu_probe import SECTOR, find_platform
from freehold.vocabulary.errors import Broken

SOURCE = Path(qemu_probe.__file__).with_name("probe_sector.S")


def qemu(folder: Path, kvm: str, tcg: str = "exit 33") -> str:
    """A program that looks like QEMU and boots as told; it counts its calls in ``calls``."""
    program = folder / "qemu"
    program.write_text(
        f"""#!/bin/sh
echo "$*" >> {folder}/calls
case "$*" in
--version) echo "QEMU emulator version 7.2.22 (Debian)" ;;
*help*) echo "pc-q35-7.2 Standard PC" ;;
*kvm*) {kvm} ;;
*) {tcg} ;;
esac
"""
    )
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(qemu_probe, "_DEVICE", device)
    monkeypatch.setitem(qemu_probe.BOOT_S, "kvm", 0.5)
    return device


async def test_kvm_is_used_where_a_guest_comes_up_under_it(tmp_path: Path, device: Path) -> None:
    found = await find_platform(qemu(tmp_path, kvm="exit 33"), tmp_path, "auto")
    assert (found.platform.accelerator, found.platform.machine) == ("kvm", "pc-q35-7.2")
    assert found.version == "7.2.22"


@pytest.mark.parametrize(
    ("kvm", "reason"),
    [("exec sleep 60", "hung"), ("echo failed to set MSR; exit 1", "failed to set MSR"), ("exit 0", "status 0")],
)
async def test_a_device_that_opens_is_not_enough(tmp_path: Path, device: Path, kvm: str, reason: str) -> None:
    found = await find_platform(qemu(tmp_path, kvm), tmp_path, "auto")
    assert found.platform.accelerator == "tcg" and reason in found.reason


async def test_without_the_device_the_reason_says_so(tmp_path: Path, device: Path) -> None:
    device.unlink()
    found = await find_platform(qemu(tmp_path, "exit 33"), tmp_path, "auto")
    assert found.platform.accelerator == "tcg" and "There is no" in found.reason


async def test_only_the_first_start_pays(tmp_path: Path, device: Path) -> None:
    program = qemu(tmp_path, "exit 1")
    first = await find_platform(program, tmp_path, "auto")
    calls = (tmp_path / "calls").read_text()
    assert await find_platform(program, tmp_path, "auto") == first
    assert (tmp_path / "calls").read_text() == calls
    device.unlink()  # the machine has changed
    await find_platform(program, tmp_path, "auto")
    assert (tmp_path / "calls").read_text() != calls


async def test_a_damaged_memory_is_found_out_anew(tmp_path: Path, device: Path) -> None:
    (tmp_path / "probe.json").write_text("{")
    assert (await find_platform(qemu(tmp_path, "exit 33"), tmp_path, "auto")).platform.accelerator == "kvm"


async def test_a_machine_without_qemu_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="qemu-system-x86"):
        await find_platform("no-such-qemu", tmp_path, "auto")


async def test_insisting_on_kvm_that_fails_and_a_qemu_that_boots_nothing_are_broken(
    tmp_path: Path, device: Path
) -> None:
    with pytest.raises(Broken, match="KVM was asked for"):
        await find_platform(qemu(tmp_path, "exit 1"), tmp_path, "kvm")
    with pytest.raises(Broken, match="can't be run"):
        await find_platform(qemu(tmp_path, "exit 1", tcg="echo no BIOS; exit 1"), tmp_path, "auto")


@pytest.mark.skipif(not (shutil.which("as") and shutil.which("ld")), reason="no assembler on this machine")
def test_the_boot_sector_is_what_its_source_says(tmp_path: Path) -> None:
    unlinked, sector = tmp_path / "probe.o", tmp_path / "probe.bin"
    subprocess.run(["as", "--64", "-o", unlinked, SOURCE], check=True)
    link: list[str | Path] = [
        "ld",
        "-m",
        "elf_x86_64",
        "-Ttext",
        "0x7c00",
        "--oformat",
        "binary",
        "-o",
        sector,
        unlinked,
    ]
    subprocess.run(link, check=True)
    assert sector.read_bytes() == SECTOR

"""What every hypervisor promises (`freehold/drivers/hypervisor/interface.py`)."""

import asyncio
import os
import shutil
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from freehold.drivers.hypervisor import qemu_process
from freehold.drivers.hypervisor.interface import ConfigDrive, DiskPlan, Hypervisor, News, Plan
from freehold.drivers.hypervisor.qemu import QemuHypervisor
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.errors import BadRequest, Conflict
from freehold.vocabulary.guest import Power
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.trait import is_trait
from tests.contract.tiny_guest import write_image

PATIENCE_S = 60.0


class Bench(Protocol):
    """A machine with one kind of hypervisor, and what guests and the world do to it."""

    base: Path

    def driver(self) -> Hypervisor: ...
    def powers_off(self, guest: str) -> None: ...
    def dies(self, guest: str) -> None: ...
    def files(self) -> list[Path]: ...


class SimulatedBench:
    def __init__(self, folder: Path) -> None:
        self.base = write_image(folder / "base.raw")
        self._folder = folder / "guests"
        self._driver = self.driver()

    def driver(self) -> SimulatedHypervisor:
        self._driver = SimulatedHypervisor(self._folder, SystemClock())
        return self._driver

    def powers_off(self, guest: str) -> None:
        self._driver.power_off(guest)

    def dies(self, guest: str) -> None:
        self._driver.crash(guest)

    def files(self) -> list[Path]:
        return list(self._folder.rglob("*"))


class QemuBench:
    def __init__(self, folder: Path, memory: Path) -> None:
        self.base = write_image(folder / "base.raw")
        # Deep: the paths of sockets are limited to 107 bytes, those of state folders aren't.
        self._folder = folder / ("deep-" * 20) / "guests"
        self._folder.mkdir(parents=True)
        self._memory = memory
        if memory.exists():
            shutil.copy(memory, self._folder / "probe.json")

    def driver(self) -> QemuHypervisor:
        return QemuHypervisor(self._folder, SystemClock())

    def powers_off(self, guest: str) -> None:
        """Types at the guest's console."""
        import socket

        descriptor = os.open(self._folder / guest, os.O_PATH)
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(f"/proc/self/fd/{descriptor}/console.sock")
            line.sendall(b"q")
        os.close(descriptor)

    def dies(self, guest: str) -> None:
        os.kill(self.processes()[guest], signal.SIGKILL)

    def processes(self) -> dict[str, int]:
        return qemu_process.find(self._folder.resolve())

    def files(self) -> list[Path]:
        return [path for path in self._folder.rglob("*") if path.name != "probe.json"]

    def clean(self) -> None:
        for process in self.processes().values():
            os.kill(process, signal.SIGKILL)
        if (self._folder / "probe.json").exists():
            shutil.copy(self._folder / "probe.json", self._memory)


@pytest.fixture(params=["simulated", pytest.param("qemu", marks=pytest.mark.live)])
async def bench(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    if request.param == "simulated":
        yield SimulatedBench(tmp_path)
        return
    qemu = QemuBench(tmp_path, tmp_path_factory.getbasetemp() / "probe.json")
    try:
        yield qemu
    finally:
        qemu.clean()


@pytest.fixture
async def driver(bench: Bench) -> AsyncIterator[Hypervisor]:
    driver = bench.driver()
    yield driver
    await driver.close()


def new_guest() -> str:
    return str(uuid.uuid4())


def plan(guest: str, **changes: object) -> Plan:
    settings: dict[str, object] = {"guest": guest, "name": "a,b=c", "vcpus": 1, "ram_mib": 32, "nics": (), **changes}
    return Plan(**settings)  # type: ignore[arg-type]


def disk(bench: Bench, guest: str, size_gib: int = 1) -> DiskPlan:
    return DiskPlan(guest=guest, base=bench.base, base_format="raw", size_gib=size_gib)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # type: ignore[misc]
            await asyncio.sleep(0.01)


async def boots_seen(driver: Hypervisor, guest: str) -> int:
    return (await driver.console_log(guest, 65536)).replace(b"\r", b"").count(b" ready")


async def booted(driver: Hypervisor, guest: str, times: int = 1) -> None:
    """Waits until the guest has said for the `times`-th time that it is up."""

    async def is_up() -> bool:
        return await boots_seen(driver, guest) >= times

    await until(is_up)


async def running_guest(bench: Bench, driver: Hypervisor) -> str:
    guest = new_guest()
    await driver.make_disk(disk(bench, guest))
    await driver.launch(plan(guest))
    await booted(driver, guest)
    return guest


class Reader:
    """Reads the news as they come."""

    def __init__(self, driver: Hypervisor) -> None:
        self.heard: list[News] = []
        self.task = asyncio.ensure_future(self._read(driver))

    async def _read(self, driver: Hypervisor) -> None:
        async for news in driver.news():
            self.heard.append(news)

    async def hears(self, guest: str, power: Power) -> None:
        async def heard() -> bool:
            return any((news.guest, news.power) == (guest, power) for news in self.heard)

        await until(heard)


# --- the machine -----------------------------------------------------------------------------------------------------


async def test_the_probe_says_what_the_machine_has_and_why_that_accelerator(driver: Hypervisor) -> None:
    facts = await driver.probe()
    assert facts.vcpus > 0 and facts.ram_mib > 0 and facts.disk_gib > 0
    assert facts.architecture == "x86_64"
    assert list(facts.traits) == sorted(set(facts.traits)) and all(map(is_trait, facts.traits))
    assert "COMPUTE_STORAGE_BUS_VIRTIO" in facts.traits
    assert facts.accelerator in ("kvm", "tcg", "none")
    assert facts.reason and facts.boot and facts.version
    assert await driver.probe() == facts


async def test_a_machine_without_guests_has_none(driver: Hypervisor) -> None:
    assert await driver.guests() == {}
    assert await driver.power(new_guest()) is Power.ABSENT


# --- disks -----------------------------------------------------------------------------------------------------------


async def test_a_guest_with_only_a_disk_is_off(bench: Bench, driver: Hypervisor) -> None:
    guest = new_guest()
    await driver.make_disk(disk(bench, guest))
    assert await driver.guests() == {guest: Power.OFF}
    assert await driver.power(guest) is Power.OFF


async def test_a_disk_that_exists_is_never_made_anew(bench: Bench, driver: Hypervisor) -> None:
    guest = new_guest()
    await driver.make_disk(disk(bench, guest))
    before = {path: path.stat().st_mtime_ns for path in bench.files() if path.is_file()}
    await driver.make_disk(disk(bench, guest, size_gib=2))
    assert {path: path.stat().st_mtime_ns for path in bench.files() if path.is_file()} == before


@pytest.mark.parametrize("size_gib", [0, -1, 1, 1 << 40])
async def test_a_disk_smaller_than_its_image_or_absurd_is_refused_and_leaves_nothing(
    bench: Bench, driver: Hypervisor, size_gib: int
) -> None:
    with bench.base.open("r+b") as image:
        image.truncate((1 << 30) + 512)
    guest = new_guest()
    with pytest.raises(BadRequest):
        await driver.make_disk(disk(bench, guest, size_gib))
    assert bench.files() == []
    assert await driver.power(guest) is Power.ABSENT


async def test_an_image_that_is_not_what_it_is_said_to_be_is_refused(bench: Bench, driver: Hypervisor) -> None:
    for image_format in ("qcow2", "vmdk"):
        wanted = DiskPlan(guest=new_guest(), base=bench.base, base_format=image_format, size_gib=1)
        with pytest.raises(BadRequest):
            await driver.make_disk(wanted)
    assert bench.files() == []


async def test_a_config_drive_may_be_made_before_the_disk_and_again(bench: Bench, driver: Hypervisor) -> None:
    guest = new_guest()
    for text in ("{}", '{"uuid": ""}'):
        files = {"openstack/latest/meta_data.json": Secret(text), "openstack/latest/user_data": Secret("#!/bin/sh")}
        await driver.make_config_drive(ConfigDrive(guest=guest, files=files))
    await driver.make_disk(disk(bench, guest))
    await driver.launch(plan(guest))
    assert await driver.power(guest) is Power.RUNNING


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../b", "", "a//b", "a\0b"])
async def test_a_config_drive_takes_only_plain_paths(driver: Hypervisor, path: str) -> None:
    with pytest.raises(BadRequest):
        await driver.make_config_drive(ConfigDrive(guest=new_guest(), files={path: Secret("x")}))
    assert await driver.guests() == {}


# --- launch and stop -------------------------------------------------------------------------------------------------


async def test_launching_a_guest_that_runs_leaves_it_untouched(bench: Bench, driver: Hypervisor) -> None:
    guest = await running_guest(bench, driver)
    await driver.launch(plan(guest))
    await asyncio.gather(*(driver.launch(plan(guest)) for _ in range(3)))
    assert await driver.power(guest) is Power.RUNNING
    assert await boots_seen(driver, guest) == 1


async def test_launches_at_the_same_moment_make_one_guest(bench: Bench, driver: Hypervisor) -> None:
    guest = new_guest()
    await driver.make_disk(disk(bench, guest))
    await asyncio.gather(*(driver.launch(plan(guest)) for _ in range(4)))
    await booted(driver, guest)
    assert await driver.guests() == {guest: Power.RUNNING}
    assert await boots_seen(driver, guest) == 1


async def test_a_guest_without_disk_can_not_be_launched(bench: Bench, driver: Hypervisor) -> None:
    guest = new_guest()
    with pytest.raises(Conflict):
        await driver.launch(plan(guest))
    assert await driver.power(guest) is Power.ABSENT
    assert bench.files() == []


@pytest.mark.parametrize("changes", [{"vcpus": 0}, {"vcpus": 10_000}, {"ram_mib": 0}, {"ram_mib": 1 << 40}])
async def test_a_plan_that_works_nowhere_is_refused(
    bench: Bench, driver: Hypervisor, changes: dict[str, object]
) -> None:
    guest = new_guest()
    await driver.make_disk(disk(bench, guest))
    with pytest.raises(BadRequest):
        await driver.launch(plan(guest, **changes))
    assert await driver.power(guest) is Power.OFF


async def test_stop_keeps_disk_and_console_and_a_launch_boots_again(bench: Bench, driver: Hypervisor) -> None:
    guest = await running_guest(bench, driver)
    await driver.stop(guest)
    assert await driver.power(guest) is Power.OFF
    assert await boots_seen(driver, guest) == 1
    await driver.stop(guest)
    await driver.launch(plan(guest))
    await booted(driver, guest, times=2)
    assert await driver.power(guest) is Power.RUNNING


async def test_reset_boots_again_and_needs_a_guest_that_runs(bench: Bench, driver: Hypervisor) -> None:
    guest = await running_guest(bench, driver)
    await driver.reset(guest)
    await booted(driver, guest, times=2)
    assert await driver.power(guest) is Power.RUNNING
    await driver.stop(guest)
    with pytest.raises(Conflict):
        await driver.reset(guest)


async def test_remove_leaves_nothing_and_may_be_repeated(bench: Bench, driver: Hypervisor) -> None:
    guest = await running_guest(bench, driver)
    await driver.make_config_drive(ConfigDrive(guest=guest, files={"a": Secret("b")}))
    await driver.remove(guest)
    assert await driver.power(guest) is Power.ABSENT
    assert await driver.guests() == {}
    assert bench.files() == []
    await driver.remove(guest)
    await driver.stop(guest)
    await driver.shut_down(guest)
    assert await driver.console_log(guest, 100) == b""
    assert bench.files() == []


async def test_the_console_log_gives_its_end(bench: Bench, driver: Hypervisor) -> None:
    guest = await running_guest(bench, driver)
    whole = await driver.console_log(guest, 65536)
    assert await driver.console_log(guest, 5) == whole[-5:]
    assert await driver.console_log(guest, 0) == b""


@pytest.mark.parametrize("guest", ["", "../x", "a", "0CCA1991-394F-430F-BED5-F0CA5BE05779", "x\0y"])
async def test_an_id_that_is_no_uuid_is_refused(bench: Bench, driver: Hypervisor, guest: str) -> None:
    for call in (
        driver.power(guest),
        driver.make_disk(disk(bench, guest)),
        driver.launch(plan(guest)),
        driver.shut_down(guest),
        driver.stop(guest),
        driver.remove(guest),
        driver.console_log(guest, 1),
        driver.make_config_drive(ConfigDrive(guest=guest, files={})),
    ):
        with pytest.raises(BadRequest):
            await call
    assert bench.files() == []


# --- news ------------------------------------------------------------------------------------------------------------


async def test_a_guest_asked_to_shut_down_does_and_is_news(bench: Bench, driver: Hypervisor) -> None:
    reader = Reader(driver)
    guest = await running_guest(bench, driver)
    await driver.shut_down(guest)
    await reader.hears(guest, Power.OFF)
    assert await driver.power(guest) is Power.OFF
    await driver.launch(plan(guest))
    await booted(driver, guest, times=2)


async def test_a_guest_that_powers_itself_off_is_news_within_seconds(bench: Bench, driver: Hypervisor) -> None:
    reader = Reader(driver)
    guest = await running_guest(bench, driver)
    bench.powers_off(guest)
    began = time.monotonic()
    await reader.hears(guest, Power.OFF)
    assert time.monotonic() - began < 10
    assert await driver.power(guest) is Power.OFF


async def test_a_guest_that_dies_has_crashed_until_it_is_stopped_or_launched(bench: Bench, driver: Hypervisor) -> None:
    reader = Reader(driver)
    guest = await running_guest(bench, driver)
    bench.dies(guest)
    await reader.hears(guest, Power.CRASHED)
    assert await driver.power(guest) is Power.CRASHED
    await driver.launch(plan(guest))
    await booted(driver, guest, times=2)
    assert await driver.power(guest) is Power.RUNNING
    bench.dies(guest)
    await reader.hears(guest, Power.CRASHED)
    await driver.stop(guest)
    assert await driver.power(guest) is Power.OFF


async def test_what_the_caller_does_is_no_news(bench: Bench, driver: Hypervisor) -> None:
    reader = Reader(driver)
    quiet = await running_guest(bench, driver)
    await driver.reset(quiet)
    await driver.stop(quiet)
    await driver.launch(plan(quiet))
    await driver.remove(quiet)
    loud = await running_guest(bench, driver)
    bench.dies(loud)
    await reader.hears(loud, Power.CRASHED)  # whatever was told before has been heard by now
    assert [news for news in reader.heard if news.guest == quiet] == []


async def test_closing_ends_the_news(driver: Hypervisor) -> None:
    reader = Reader(driver)
    await asyncio.sleep(0)
    await driver.close()
    await asyncio.wait_for(reader.task, PATIENCE_S)


# --- another process -------------------------------------------------------------------------------------------------


async def test_guests_run_on_without_a_driver_and_the_next_one_finds_and_drives_them(bench: Bench) -> None:
    first = bench.driver()
    guest = await running_guest(bench, first)
    await first.close()
    second = bench.driver()
    assert await second.guests() == {guest: Power.RUNNING}
    await second.launch(plan(guest))
    assert await boots_seen(second, guest) == 1
    reader = Reader(second)
    await second.shut_down(guest)
    await reader.hears(guest, Power.OFF)
    await second.remove(guest)
    assert bench.files() == []
    await second.close()


async def test_a_power_off_that_nobody_saw_is_off_and_no_crash(bench: Bench) -> None:
    first = bench.driver()
    guest = await running_guest(bench, first)
    await first.close()
    bench.powers_off(guest)
    second = bench.driver()

    async def is_off() -> bool:
        return await second.power(guest) is not Power.RUNNING

    await until(is_off)
    assert await second.power(guest) is Power.OFF
    await second.close()
    third = bench.driver()
    assert await third.guests() == {guest: Power.OFF}
    await third.close()


async def test_a_death_that_nobody_saw_is_a_crash(bench: Bench) -> None:
    first = bench.driver()
    guest = await running_guest(bench, first)
    await first.close()
    bench.dies(guest)
    second = bench.driver()

    async def has_ended() -> bool:
        return await second.power(guest) is not Power.RUNNING

    await until(has_ended)
    assert await second.guests() == {guest: Power.CRASHED}
    await second.remove(guest)
    assert bench.files() == []
    await second.close()

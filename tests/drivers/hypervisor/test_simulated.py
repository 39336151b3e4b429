"""What the simulated hypervisor does beyond the interface: its hooks, its times, its cost."""

import asyncio
import time
import uuid
from pathlib import Path

import pytest

from freehold.drivers.hypervisor.interface import DiskPlan, News, Plan
from freehold.drivers.hypervisor.simulated import CONSOLE_BYTES_MAX, SimulatedHypervisor
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.errors import Broken, NoRoom
from freehold.vocabulary.guest import Power


class HandClock:
    """Time that passes only when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, asyncio.Event]] = []

    def unix_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        passed = asyncio.Event()
        self.waiting.append((seconds, passed))
        await passed.wait()

    async def asked_for(self, seconds: float) -> None:
        while not self.waiting:
            await asyncio.sleep(0)
        assert self.waiting[0][0] == seconds
        self.waiting.pop(0)[1].set()


async def running(driver: SimulatedHypervisor, ram_mib: int = 64) -> str:
    guest = str(uuid.uuid4())
    await driver.make_disk(DiskPlan(guest=guest, base=Path("/nowhere"), base_format="raw", size_gib=1))
    await driver.launch(Plan(guest=guest, name="pear", vcpus=1, ram_mib=ram_mib, nics=()))
    return guest


async def heard(driver: SimulatedHypervisor) -> list[News]:
    await driver.close()
    return [news async for news in driver.news()]


async def test_a_boot_takes_the_time_it_is_told_to() -> None:
    clock = HandClock()
    driver = SimulatedHypervisor(None, clock, boot_s=2.5)
    guest = str(uuid.uuid4())
    await driver.make_disk(DiskPlan(guest=guest, base=Path("/nowhere"), base_format="raw", size_gib=1))
    launch = asyncio.ensure_future(driver.launch(Plan(guest=guest, name="", vcpus=1, ram_mib=1, nics=())))
    await asyncio.sleep(0)
    assert await driver.power(guest) is Power.OFF
    await clock.asked_for(2.5)
    await launch
    assert await driver.power(guest) is Power.RUNNING


async def test_shutting_down_takes_time_and_deaf_guests_do_not() -> None:
    clock = HandClock()
    driver = SimulatedHypervisor(None, clock, shutdown_s=7)
    guest, deaf = await running(driver), await running(driver)
    driver.deaf.add(deaf)
    await driver.shut_down(guest)
    await driver.shut_down(deaf)
    assert await driver.power(guest) is Power.RUNNING
    await clock.asked_for(7)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await driver.guests() == {guest: Power.OFF, deaf: Power.RUNNING}


async def test_what_the_world_does_is_told() -> None:
    driver = SimulatedHypervisor(None, SystemClock())
    guests = [await running(driver) for _ in range(4)]
    driver.power_off(guests[0])
    driver.crash(guests[1])
    driver.pause(guests[2])
    driver.vanish(guests[3])
    assert await driver.power(guests[3]) is Power.ABSENT
    told = {news.guest: news.power for news in await heard(driver)}
    assert told == dict(zip(guests, (Power.OFF, Power.CRASHED, Power.PAUSED, Power.ABSENT), strict=True))


async def test_a_paused_guest_goes_on_without_booting() -> None:
    driver = SimulatedHypervisor(None, SystemClock())
    guest = await running(driver)
    driver.pause(guest)
    await driver.launch(Plan(guest=guest, name="pear", vcpus=1, ram_mib=64, nics=()))
    held = driver.look(guest)
    assert held is not None and (held.power, held.boots) == (Power.RUNNING, 1)


async def test_a_machine_that_restarts_has_crashed_guests_and_another_boot_id(tmp_path: Path) -> None:
    driver = SimulatedHypervisor(tmp_path, SystemClock())
    guest = await running(driver)
    driver.restart_machine("later")
    assert (await driver.probe()).boot == "later"
    assert await SimulatedHypervisor(tmp_path, SystemClock()).guests() == {guest: Power.CRASHED}


async def test_a_failure_is_raised_once() -> None:
    driver = SimulatedHypervisor(None, SystemClock())
    driver.fail("launch", Broken("QEMU didn't start."))
    guest = str(uuid.uuid4())
    plan = Plan(guest=guest, name="pear", vcpus=1, ram_mib=64, nics=())
    await driver.make_disk(DiskPlan(guest=guest, base=Path("/nowhere"), base_format="raw", size_gib=1))
    with pytest.raises(Broken, match="didn't start"):
        await driver.launch(plan)
    await driver.launch(plan)
    assert await driver.power(guest) is Power.RUNNING


async def test_more_than_the_machine_has_is_no_room() -> None:
    driver = SimulatedHypervisor(None, SystemClock(), ram_mib=1024, disk_gib=10)
    with pytest.raises(NoRoom):
        await running(driver, ram_mib=2048)
    guest = str(uuid.uuid4())
    with pytest.raises(NoRoom):
        await driver.make_disk(DiskPlan(guest=guest, base=Path("/nowhere"), base_format="raw", size_gib=11))
    assert await driver.power(guest) is Power.ABSENT


async def test_the_console_is_bounded() -> None:
    driver = SimulatedHypervisor(None, SystemClock())
    guest = await running(driver)
    driver.print(guest, "x" * CONSOLE_BYTES_MAX + "end")
    log = await driver.console_log(guest, 1 << 30)
    assert len(log) == CONSOLE_BYTES_MAX and log.endswith(b"end")


async def test_a_damaged_guest_file_is_said(tmp_path: Path) -> None:
    (tmp_path / f"{uuid.uuid4()}.json").write_text("{")
    with pytest.raises(Broken):
        SimulatedHypervisor(tmp_path, SystemClock())


async def test_ten_thousand_guests_fit_into_a_moment() -> None:
    driver = SimulatedHypervisor(None, SystemClock())
    began = time.process_time()
    for _ in range(10_000):
        await running(driver)
    assert time.process_time() - began < 10
    assert len(await driver.guests()) == 10_000

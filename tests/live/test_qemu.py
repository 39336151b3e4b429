"""A real Linux on QEMU: its worker is killed, the next one finds it, drives it and clears it away."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from freehold.drivers.hypervisor import qemu_process
from freehold.drivers.hypervisor.interface import News, Plan
from freehold.drivers.hypervisor.qemu import QemuHypervisor
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.guest import Power

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
BOOT_S = 180.0
MARKER = b"FREEHOLD guest ready hostname=orchard"


@pytest.fixture
async def image() -> Path:
    """The demo image, built if this machine has none yet."""
    path = Path(os.environ.get("FREEHOLD_CACHE", Path.home() / ".cache/freehold")) / "demo.qcow2"
    build = await asyncio.create_subprocess_exec(ROOT / "scripts/demo-image", path, stdout=-1, stderr=-2)
    output, _ = await build.communicate()
    assert build.returncode == 0, output.decode()
    return path


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """Where guests are; whatever still runs in it at the end is killed."""
    folder = tmp_path / "guests"
    yield folder
    for pid in qemu_process.find(folder.resolve()).values():
        os.kill(pid, signal.SIGKILL)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(BOOT_S):
        while not await holds():
            await asyncio.sleep(0.05)


async def launched_by_a_process_that_was_killed(folder: Path, guest: str, image: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.live.qemu_child", str(folder), guest, str(image)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    said = await asyncio.wait_for(child.stdout.readline(), BOOT_S)
    child.send_signal(signal.SIGKILL)
    await child.wait()
    assert said == b"launched\n"


async def test_a_guest_outlives_its_worker_and_the_next_one_drives_it(folder: Path, image: Path) -> None:
    guest = str(uuid.uuid4())
    await launched_by_a_process_that_was_killed(folder, guest, image)
    driver = QemuHypervisor(folder, SystemClock())
    news = driver.news()
    heard: asyncio.Future[News] = asyncio.ensure_future(anext(aiter(news)))

    async def boots(times: int) -> bool:
        return (await driver.console_log(guest, 1 << 20)).count(MARKER) >= times

    assert await driver.guests() == {guest: Power.RUNNING}
    await until(lambda: boots(1))
    process = qemu_process.find(folder.resolve())
    await driver.launch(Plan(guest=guest, name="orchard", vcpus=1, ram_mib=128, nics=()))
    assert qemu_process.find(folder.resolve()) == process  # untouched

    await driver.reset(guest)
    await until(lambda: boots(2))
    assert not heard.done()

    await driver.shut_down(guest)
    told = await asyncio.wait_for(heard, BOOT_S)
    assert (told.guest, told.power) == (guest, Power.OFF)
    assert await driver.power(guest) is Power.OFF
    assert qemu_process.find(folder.resolve()) == {}

    await driver.remove(guest)
    assert [path.name for path in folder.iterdir()] == ["probe.json"]
    await driver.close()

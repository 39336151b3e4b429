"""Volumes in a real Linux: plugged in while it runs, written inside, grown, taken out, and read again elsewhere."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.drivers.hypervisor import qemu_process
from freehold.drivers.hypervisor.interface import DiskPlan, Plan
from freehold.drivers.hypervisor.qemu import QemuHypervisor
from freehold.drivers.qemu import process
from freehold.drivers.volumereader.nbd import NbdVolumeReader
from freehold.drivers.volumestore.files import FileVolumeStore
from freehold.drivers.volumestore.interface import VolumePlan
from freehold.drivers.volumestore.server_command import server_name
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.attachment import Export, Opened, RemoteDisk
from freehold.vocabulary.errors import Unavailable
from freehold.vocabulary.guest import Power
from freehold.vocabulary.units import GIB
from tests.contract.volume_bench import FilesBench

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
HOST, STORE = str(uuid.uuid4()), str(uuid.uuid4())
BOOT_S = 240.0
ANSWER_S = 60.0


class Console:
    """A shell on a guest's serial line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._number = reader, writer, 0

    @classmethod
    async def of(cls, folder: Path) -> "Console":
        here = os.getcwd()
        os.chdir(folder)  # paths of sockets are short
        try:
            return cls(*await asyncio.open_unix_connection("console.sock"))
        finally:
            os.chdir(here)

    async def run(self, command: str, patience_s: float = ANSWER_S) -> str:
        """What a command says, when it has ended."""
        self._number += 1
        end = f"end-{self._number}-{uuid.uuid4().hex}"
        halves = f"{end[:8]}''{end[8:]}"  # what is typed is echoed, and isn't the answer
        self._writer.write(f"{command}; echo {halves}\n".encode())
        async with asyncio.timeout(patience_s):
            said = await self._reader.readuntil(end.encode())
        return said.decode(errors="replace")

    def close(self) -> None:
        self._writer.close()


class Machine:
    """A host with guests of the demo image, and volumes that a pool serves it."""

    def __init__(self, folder: Path, image: Path, store: FileVolumeStore, pool: Path) -> None:
        self.folder, self.image, self.store, self.pool = (folder / "guests").resolve(), image, store, pool
        self.hypervisor = QemuHypervisor(folder / "guests", SystemClock())
        self.reader = NbdVolumeReader(folder / "reader", offload_inline)
        self.consoles: list[Console] = []

    async def opened(self, volume: str, number: int) -> RemoteDisk:
        """A volume, as this host is served it, looked at as a host worker does."""
        served = await self.store.export(Export(volume=volume, number=number, reader=HOST))
        certificate = await self.store.certify(HOST, await self.reader.key())
        return await self.reader.accept(str(uuid.uuid4()), STORE, Opened(served=served, certificate=certificate))

    async def started(self, *disks: RemoteDisk) -> tuple[str, Console]:
        guest = str(uuid.uuid4())
        await self.hypervisor.make_disk(DiskPlan(guest=guest, base=self.image, base_format="qcow2", size_gib=1))
        plan = Plan(guest=guest, name="orchard", vcpus=1, ram_mib=192, nics=(), disks=disks)
        await self.hypervisor.launch(plan)
        async with asyncio.timeout(BOOT_S):
            while b"guest ready" not in await self.hypervisor.console_log(guest, 1 << 20):
                await asyncio.sleep(0.2)
        console = await Console.of(self.folder / guest)
        self.consoles.append(console)
        return guest, console

    async def close(self) -> None:
        for console in self.consoles:
            console.close()
        for guest in await self.hypervisor.guests():
            await self.hypervisor.remove(guest)
        await self.hypervisor.close()


@pytest.fixture
async def machine(tmp_path: Path, bench: FilesBench, store: FileVolumeStore) -> AsyncIterator[Machine]:
    image = Path(os.environ.get("FREEHOLD_CACHE", Path.home() / ".cache/freehold")) / "demo.qcow2"
    build = await asyncio.create_subprocess_exec(ROOT / "scripts/demo-image", image, stdout=-1, stderr=-2)
    output, _ = await build.communicate()
    assert build.returncode == 0, output.decode()
    machine = Machine(tmp_path, image, store, bench.pool)
    try:
        yield machine
    finally:
        await machine.close()
        for pid in qemu_process.find(machine.folder).values():
            os.kill(pid, signal.SIGKILL)


async def a_volume(store: FileVolumeStore) -> str:
    volume = str(uuid.uuid4())
    await store.make(VolumePlan(volume=volume, size_bytes=GIB))
    return volume


async def test_what_a_guest_writes_on_a_volume_another_one_reads(machine: Machine) -> None:
    volume = await a_volume(machine.store)
    first, shell = await machine.started()
    disk = await machine.opened(volume, 1)
    await machine.hypervisor.attach_disk(first, disk)
    await machine.hypervisor.attach_disk(first, disk)  # as after a crash
    assert await machine.hypervisor.disks(first) == {disk.attachment}
    await shell.run("while ! [ -b /dev/vdb ]; do sleep 0.1; done")
    assert volume[:20] in await shell.run("cat /sys/block/vdb/serial")
    said = await shell.run("echo the-orchards-bytes | dd of=/dev/vdb bs=4096 seek=100 conv=sync,fsync")
    assert "1+0 records out" in said or "0+1 records in" in said, said

    await machine.store.extend(volume, 2 * GIB)
    await machine.hypervisor.resize_disk(first, disk.attachment, 2 * GIB)
    await shell.run("while [ $(cat /sys/block/vdb/size) != 4194304 ]; do sleep 0.1; done")

    await machine.hypervisor.detach_disk(first, disk.attachment)
    await machine.hypervisor.detach_disk(first, disk.attachment)
    assert await machine.hypervisor.disks(first) == frozenset()
    await shell.run("while [ -b /dev/vdb ]; do sleep 0.1; done")
    await machine.store.withdraw(volume, 1)

    second, shell = await machine.started(await machine.opened(volume, 2))
    assert "the-orchards-bytes" in await shell.run("dd if=/dev/vdb bs=4096 skip=100 count=1")
    assert await machine.hypervisor.power(second) is Power.RUNNING


async def test_a_guest_waits_for_a_volume_whose_server_was_killed_and_sees_no_error(machine: Machine) -> None:
    volume = await a_volume(machine.store)
    guest, shell = await machine.started(await machine.opened(volume, 1))
    writing = asyncio.create_task(
        shell.run("dd if=/dev/zero of=/dev/vdb bs=65536 count=400 conv=fsync 2>&1; echo ended $?", 300)
    )
    await asyncio.sleep(1)
    (pid,) = process.find(machine.pool / "servers", server_name).values()
    os.kill(pid, signal.SIGKILL)
    said = await writing
    assert "400+0 records out" in said and "ended 0" in said, said
    assert await machine.hypervisor.power(guest) is Power.RUNNING
    log = await shell.run("dmesg | grep -ci 'i/o error'")
    assert "\n0" in log.replace("\r", ""), log


async def test_a_guest_that_can_not_let_go_is_asked_on(machine: Machine) -> None:
    volume = await a_volume(machine.store)
    guest, _ = await machine.started()
    disk = await machine.opened(volume, 1)
    await machine.hypervisor.attach_disk(guest, disk)
    (pid,) = qemu_process.find(machine.folder).values()
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            await machine.hypervisor.detach_disk(guest, disk.attachment)
    finally:
        os.kill(pid, signal.SIGCONT)
    await machine.hypervisor.detach_disk(guest, disk.attachment)
    assert await machine.hypervisor.disks(guest) == frozenset()

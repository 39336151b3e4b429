"""This machine's host, or simulated ones."""

from typing import Final

from freehold.assemble.machine import machine
from freehold.assemble.running import Running
from freehold.drivers.fabric.simulated import SimulatedFabric, simulated_carriage
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.drivers.hypervisor.traits import DEVICES
from freehold.drivers.imagefetch.http import HttpImageCache
from freehold.drivers.imagefetch.interface import ImageCache
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.drivers.volumereader.nbd import NbdVolumeReader
from freehold.drivers.volumereader.simulated import SimulatedVolumeReader
from freehold.runtime.local_socket import LocalSocket
from freehold.runtime.machine import host_name
from freehold.simulated import Drivers, SimulatedMachines
from freehold.store.database import Store
from freehold.workers.host.worker import HostWorker

LAUNCHES_AT_ONCE: Final = 2


async def open_role(process: Running) -> None:
    """Opens what the settings say."""
    if process.settings.hypervisor == "simulated":
        await _open_simulated(process)
        process.say(f"hosts: {process.settings.hosts} simulated")
    else:
        await _open_real(process)


async def _open_real(process: Running) -> None:
    state, means = process.settings.state, process.means
    store = await process.store("hosts/0.db", "host")
    process.say("host: probing what this machine can do (the first time takes a few seconds)")
    hypervisor, fabric = machine(process.settings, state, store.id, means.offload)
    images: ImageCache = HttpImageCache(state / "cache", process.bytes_offload)
    facts = await hypervisor.probe()
    await fabric.probe()
    process.say(f"host: {facts.driver} {facts.version} with {facts.accelerator} ({facts.reason})")
    traits = process.settings.traits
    volumes = NbdVolumeReader(state / "volume-keys", means.offload)
    host = HostWorker(
        means, store, host_name(), hypervisor, fabric, images, LAUNCHES_AT_ONCE, traits=traits, volumes=volumes
    )
    for driver in (hypervisor, fabric, images, volumes):
        process.stack.push_async_callback(driver.close)
    await process.start(host)
    door = LocalSocket(state / "hosts" / "0.sock", host.local.answer)
    await door.open()
    process.stack.push_async_callback(door.close)


async def _open_simulated(process: Running) -> None:
    settings, clock = process.settings, process.means.clock.clock

    async def own(name: str, cluster: str) -> Store:
        return await process.store(name, "host", cluster=cluster)

    def drivers(number: int, store: str) -> Drivers:
        folder = None if settings.one_disk else settings.state / "simulated" / str(number)
        shown = [name for name, machines in settings.simulated_traits.items() if number < machines]
        hypervisor = SimulatedHypervisor(
            folder and folder / "guests",
            clock,
            ram_mib=settings.simulated_ram_mib,
            boot_s=settings.simulated_boot_s,
            traits=(*DEVICES, *shown),
        )
        fabric = SimulatedFabric(folder and folder / "fabric", carriage=simulated_carriage(settings, number))
        return hypervisor, fabric, SimulatedImageCache(clock), SimulatedVolumeReader(store)

    await SimulatedMachines(settings, process.means, process.stack, process.start, own, drivers).open()

"""The drivers, with a deadline around every verb: one that never returns mustn't hold up its guest or the host.

A verb that takes longer than its bound is cancelled and fails with Unavailable. As after a crash in its middle,
repeating it finishes it: that is the drivers' promise, and what the reconciler does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

from freehold.drivers.fabric.interface import Fabric, Filter, Members, Metadata, Peers
from freehold.drivers.hypervisor.interface import ConfigDrive, DiskPlan, Facts, Hypervisor, News, Plan
from freehold.runtime.log import logger
from freehold.vocabulary.attachment import RemoteDisk
from freehold.vocabulary.errors import Unavailable
from freehold.vocabulary.guest import Power
from freehold.vocabulary.network import Carriage, PortWiring

LOOK_S: Final = 30.0
"""For a verb that only looks, or asks and returns at once."""
CHANGE_S: Final = 120.0
"""For a verb that changes something: twice what the slowest tool behind it is given."""

T = TypeVar("T")

_log = logger("host")


async def in_time(verb: str, about: str, seconds: float, work: Awaitable[T]) -> T:
    """What `work` gives. Raises Unavailable if that takes longer than `seconds`."""
    bound = asyncio.timeout(seconds)
    try:
        async with bound:
            return await work
    except TimeoutError as error:
        if not bound.expired():
            raise
        _log.error("a driver's verb didn't return and was given up", verb=verb, about=about, seconds=seconds)
        what = f"{verb} of {about}" if about else verb
        raise Unavailable(f"{what} didn't end within {seconds:g} s on this host and was given up.") from error


class TimelyHypervisor:
    """See Hypervisor: `behind`, with deadlines. Its `probe` boots a machine, and has its own."""

    def __init__(self, behind: Hypervisor, look_s: float = LOOK_S, change_s: float = CHANGE_S) -> None:
        self._behind, self._look_s, self._change_s = behind, look_s, change_s

    async def probe(self) -> Facts:
        """See Hypervisor."""
        return await self._behind.probe()

    async def guests(self) -> dict[str, Power]:
        """See Hypervisor."""
        return await in_time("guests", "", self._look_s, self._behind.guests())

    async def power(self, guest: str) -> Power:
        """See Hypervisor."""
        return await in_time("power", guest, self._look_s, self._behind.power(guest))

    async def make_disk(self, plan: DiskPlan) -> None:
        """See Hypervisor."""
        await in_time("make_disk", plan.guest, self._change_s, self._behind.make_disk(plan))

    async def make_config_drive(self, drive: ConfigDrive) -> None:
        """See Hypervisor."""
        await in_time("make_config_drive", drive.guest, self._change_s, self._behind.make_config_drive(drive))

    async def launch(self, plan: Plan) -> None:
        """See Hypervisor."""
        await in_time("launch", plan.guest, self._change_s, self._behind.launch(plan))

    async def disks(self, guest: str) -> frozenset[str]:
        """See Hypervisor."""
        return await in_time("disks", guest, self._look_s, self._behind.disks(guest))

    async def attach_disk(self, guest: str, disk: RemoteDisk) -> None:
        """See Hypervisor."""
        await in_time("attach_disk", guest, self._change_s, self._behind.attach_disk(guest, disk))

    async def detach_disk(self, guest: str, attachment: str) -> None:
        """See Hypervisor."""
        await in_time("detach_disk", guest, self._change_s, self._behind.detach_disk(guest, attachment))

    async def resize_disk(self, guest: str, attachment: str, size_bytes: int) -> None:
        """See Hypervisor."""
        await in_time("resize_disk", guest, self._change_s, self._behind.resize_disk(guest, attachment, size_bytes))

    async def shut_down(self, guest: str) -> None:
        """See Hypervisor."""
        await in_time("shut_down", guest, self._look_s, self._behind.shut_down(guest))

    async def reset(self, guest: str) -> None:
        """See Hypervisor."""
        await in_time("reset", guest, self._look_s, self._behind.reset(guest))

    async def stop(self, guest: str) -> None:
        """See Hypervisor."""
        await in_time("stop", guest, self._change_s, self._behind.stop(guest))

    async def remove(self, guest: str) -> None:
        """See Hypervisor."""
        await in_time("remove", guest, self._change_s, self._behind.remove(guest))

    async def console_log(self, guest: str, bytes_max: int) -> bytes:
        """See Hypervisor."""
        return await in_time("console_log", guest, self._look_s, self._behind.console_log(guest, bytes_max))

    def news(self) -> AsyncIterator[News]:
        """See Hypervisor: it waits for ever, as it should."""
        return self._behind.news()

    async def close(self) -> None:
        """See Hypervisor."""
        await self._behind.close()


class TimelyFabric:
    """See Fabric: `behind`, with deadlines."""

    def __init__(self, behind: Fabric, look_s: float = LOOK_S, change_s: float = CHANGE_S) -> None:
        self._behind, self._look_s, self._change_s = behind, look_s, change_s

    async def probe(self) -> Carriage:
        """See Fabric."""
        return await in_time("probe", "the fabric", self._change_s, self._behind.probe())

    async def plug(self, wiring: PortWiring, hostname: str) -> str:
        """See Fabric."""
        return await in_time("plug", wiring.port, self._change_s, self._behind.plug(wiring, hostname))

    async def reach(self, peers: Peers) -> None:
        """See Fabric: it goes over everything, so it has long."""
        await in_time("reach", f"{len(peers.networks)} networks", 5 * self._change_s, self._behind.reach(peers))

    async def filter(self, filters: tuple[Filter, ...], members: tuple[Members, ...] = ()) -> None:
        """See Fabric."""
        await in_time("filter", f"{len(filters)} ports", self._change_s, self._behind.filter(filters, members))

    async def unplug(self, port: str) -> None:
        """See Fabric."""
        await in_time("unplug", port, self._change_s, self._behind.unplug(port))

    async def plugged(self) -> frozenset[str]:
        """See Fabric."""
        return await in_time("plugged", "", self._look_s, self._behind.plugged())

    async def serve_metadata(self, answer: Metadata) -> None:
        """See Fabric."""
        await in_time("serve_metadata", "", self._change_s, self._behind.serve_metadata(answer))

    async def sweep(self, keep: frozenset[str]) -> None:
        """See Fabric: it goes over everything, so it has long."""
        await in_time("sweep", "", 5 * self._change_s, self._behind.sweep(keep))

    async def close(self) -> None:
        """See Fabric."""
        await self._behind.close()

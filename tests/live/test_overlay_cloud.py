"""A whole cloud whose hosts have machines of their own, as far as networks go: from POST /servers to the ping."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from freehold.drivers.fabric import names
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.drivers.imagefetch.simulated import SimulatedImageCache
from freehold.store.database import Store
from freehold.vocabulary.guest import Guest, GuestState
from freehold.workers.base import Means
from freehold.workers.host.worker import HostWorker
from tests.live.machines import Distant, HostOnWire, Machine, Wire
from tests.live.tap_guest import TapGuest
from tests.several import SERVERS, Several, eventually, several, well

pytestmark = pytest.mark.live

GROUPS = "/compute/v2.1/os-server-groups"


class Host:
    """A host worker over a fabric with a kernel. Guests are simulated; their taps are there."""

    def __init__(self, cloud: Several, store: Store, place: HostOnWire) -> None:
        self.store, self.place, self._clock = store, place, cloud.means.clock.clock
        place.id = store.id
        self._means: Means = cloud.means_of("host", store)
        self._hypervisor = SimulatedHypervisor(None, self._clock)

    async def open(self) -> None:
        """The worker begins, or a new process of it."""
        self.place.fabric = self.place.another()
        fabric: Any = Distant(self.place.machine, self.place.fabric)
        images = SimulatedImageCache(self._clock)
        self.worker = HostWorker(self._means, self.store, self.place.address, self._hypervisor, fabric, images)
        await self.worker.open()

    async def close(self) -> None:
        await self.worker.close()
        await self.place.call(self.place.fabric.close())

    def guests(self) -> list[Guest]:
        return [guest for guest in self.store.scan(Guest) if guest.state is GuestState.RUNNING]


async def test_servers_on_two_hosts_are_on_one_network_until_one_is_deleted(tmp_path: Path) -> None:
    with ExitStack() as machines:
        wire = machines.enter_context(Wire("wire"))
        async with several(tmp_path, hosts=0, apis=1, schedulers=1, signed=True) as cloud:
            hosts = [await host_at(cloud, number, wire, machines, tmp_path) for number in (1, 2)]
            await eventually(_holds(lambda: len(cloud.schedulers[0].fleet.hosts()) == 2))
            person = (await cloud.newcomer()).api(0)
            network = well(await person.post("/network/v2.0/networks", {"network": {"name": "mine"}}))["network"]["id"]
            subnet = {"network_id": network, "cidr": "10.213.77.0/24", "ip_version": 4}
            well(await person.post("/network/v2.0/subnets", {"subnet": subnet}))
            body = {"server_group": {"name": "apart", "policy": "anti-affinity"}}
            group = well(await person.post(GROUPS, body))["server_group"]["id"]
            for name in ("a", "b"):
                well(await person.post(SERVERS, cloud.server(name, group, networks=[{"uuid": network}])))
            await eventually(_holds(lambda: all(len(host.guests()) == 1 for host in hosts)))
            first, second = [await tapped(host, machines, tmp_path) for host in hosts]
            target = hosts[1].guests()[0].ports[0].addresses[0]
            # Both are of the default group, which lets its members in.
            await eventually(_pinged(first, target))

            await hosts[0].close()
            await hosts[0].open()
            await eventually(_pinged(first, target))
            await eventually(_pinged(second, hosts[0].guests()[0].ports[0].addresses[0]))

            assert (await person.delete(f"{SERVERS}/{hosts[1].guests()[0].id}")).status == 204
            device = names.tunnel(hosts[0].store.id, network)
            shown = hosts[0].place.machine.run
            await eventually(_holds(lambda: "dst" not in shown(f"bridge fdb show dev {device}")))
            await eventually(_holds(lambda: hosts[1].place.left() == []))
            assert device in shown("ip link")
            assert [dict(bus.refused) for bus in cloud.buses] == [{}] * len(cloud.buses)
            for host in hosts:
                await host.close()
                await host.place.close()


async def host_at(cloud: Several, number: int, wire: Wire, machines: ExitStack, folder: Path) -> Host:
    machine = machines.enter_context(Machine(f"m{number}"))
    wire.join(machine.namespace, "und0", f"192.0.2.{number}/24")
    place = HostOnWire(machine, f"192.0.2.{number}", folder / f"fabric-{number}", machines)
    host = Host(cloud, await cloud.store("host", number), place)
    await host.open()
    return host


async def tapped(host: Host, machines: ExitStack, folder: Path) -> TapGuest:
    """What would be in the host's one guest, with the address that DHCP gives it."""
    wiring = host.guests()[0].ports[0]
    tap = names.tap(wiring.port)
    guest = machines.enter_context(TapGuest(wiring.port[:8], tap, wiring.mac, at=host.place.machine.namespace))
    assert (await asyncio.to_thread(guest.dhcp, folder))["ip"] == wiring.addresses[0]
    return guest


def _holds(look: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return look()

    return holds


def _pinged(guest: TapGuest, address: str) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return await asyncio.to_thread(guest.pings, address)

    return holds

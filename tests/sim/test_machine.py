"""What survives the processes of a machine, and what is looked at of it."""

from freehold.drivers.fabric.interface import Filter
from freehold.drivers.fabric.records import Records
from freehold.sim.machine import WatchedFabric
from freehold.vocabulary.network import Carriage, PortWiring

PORT = PortWiring(
    port="8f5c1f4e-6d52-4d2c-9a43-6e4a3b8d1c01", network="8f5c1f4e-6d52-4d2c-9a43-6e4a3b8d1c02", network_name="net",
    segment=1, mtu=1450, mac="fa:16:3e:00:00:05", addresses=("10.0.0.5",), cidr="10.0.0.0/24", gateway="10.0.0.1",
)  # fmt: skip


async def test_a_port_on_record_that_is_filtered_anew_is_not_taken_for_one_that_is_plugged() -> None:
    records, seen = Records(None), list[PortWiring]()
    fabric = WatchedFabric(records, Carriage(), seen.append)
    await fabric.plug(PORT, "web")
    assert seen == [PORT]
    after_restart = WatchedFabric(records, Carriage(), seen.append)
    await after_restart.filter((Filter(port=PORT.port, rules=()),))
    assert seen == [PORT]
    await after_restart.plug(PORT, "web")
    assert seen == [PORT, PORT]

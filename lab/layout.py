"""What the laboratory's cloud is made of. Pure.

    core    control                    198.18.0.1      broker, directory, registrar, image, scheduler, api; api-2
    c1      c1-node                    198.18.1.1      broker (a leaf of control's), network
            c1-h1 c1-h2 c1-h3          198.18.1.11-13  host
    c2      the same                   198.18.2.…
    core    (the machine that it runs on)  198.18.0.254

The addresses are those that RFC 2544 keeps for tests of networks.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CLUSTERS: Final = ("c1", "c2")
HOSTS: Final = 3
"""Of each cluster."""
CORE: Final = "core"
PREFIX: Final = "fhlab-"
NET_BITS: Final = 15
OPERATOR: Final = "198.18.0.254"
CONTROL: Final = "198.18.0.1"
API_PORT: Final = 8780
API_PORTS: Final = (8781, 8782)
"""Of the API processes, of which `API_PORT` takes one after the other."""
BUS_PORT: Final = 4222
LINK_PORT: Final = 7422
CONTROL_ROLES: Final = ("broker", "directory", "registrar", "image", "scheduler", "api")


@dataclass(frozen=True, slots=True)
class Process:
    """`freehold up` with these settings. `roles` are also what its machine is invited with."""

    name: str
    roles: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def invited(self) -> bool:
        """Whether it needs an invitation: who has the directory lets itself in."""
        return "directory" not in self.roles


@dataclass(frozen=True, slots=True)
class Machine:
    """A namespace on a switch."""

    name: str
    switch: str
    address: str
    cluster: str
    processes: tuple[Process, ...]

    @property
    def namespace(self) -> str:
        """Its name as `ip netns` has it."""
        return PREFIX + self.name


@dataclass(frozen=True, slots=True)
class Layout:
    """All machines, in the order in which they are started."""

    machines: tuple[Machine, ...]

    def machine(self, name: str) -> Machine:
        """The machine of that name. Raises KeyError."""
        return {machine.name: machine for machine in self.machines}[name]

    def hosts(self, cluster: str = "") -> list[Machine]:
        """The machines that run guests, of one cluster or of all."""
        return [one for one in self.machines if is_host(one) and cluster in ("", one.cluster)]


def is_host(machine: Machine) -> bool:
    """Whether it runs guests."""
    return machine.processes[0].roles == ("host",)


def layout(keys: Path, hypervisor: str) -> Layout:
    """The cloud. `keys`: the folder of the certificates, see `certificates`. `hypervisor`: the setting of hosts."""
    return Layout((_control(keys), *(machine for name in CLUSTERS for machine in _cluster(keys, name, hypervisor))))


def _control(keys: Path) -> Machine:
    bus = f"tls://{CONTROL}:{BUS_PORT}"
    given = {"public_url": f"http://{CONTROL}:{API_PORT}", "listen": CONTROL, "bus": bus, "default_zone": CLUSTERS[0]}
    first = Process(
        "control",
        CONTROL_ROLES,
        given
        | _tls(keys, "control")
        | {
            "port": API_PORTS[0],
            "image_listen": CONTROL,
            "broker_listen": f"{CONTROL}:{BUS_PORT}",
            "broker_link_listen": f"{CONTROL}:{LINK_PORT}",
        },
    )
    second = Process("api-2", ("scheduler", "api"), given | _tls(keys, "control") | {"port": API_PORTS[1]})
    return Machine("control", CORE, CONTROL, "default", (first, second))


def _cluster(keys: Path, name: str, hypervisor: str) -> list[Machine]:
    net = f"198.18.{CLUSTERS.index(name) + 1}"
    node = f"{net}.1"
    bus = {"bus": f"tls://{node}:{BUS_PORT}"}
    served = {"broker_listen": f"{node}:{BUS_PORT}", "broker_hub": f"tls://{CONTROL}:{LINK_PORT}"}
    first = Process(f"{name}-node", ("broker", "network"), bus | served | _tls(keys, f"{name}-node"))
    machines = [Machine(f"{name}-node", name, node, name, (first,))]
    for number in range(1, HOSTS + 1):
        host, address = f"{name}-h{number}", f"{net}.{10 + number}"
        given = bus | _tls(keys, host) | {"hypervisor": hypervisor, "underlay_address": address}
        machines.append(Machine(host, name, address, name, (Process(host, ("host",), given),)))
    return machines


def _tls(keys: Path, machine: str) -> dict[str, str]:
    return {
        "bus_ca": str(keys / "ca.pem"),
        "bus_certificate": str(keys / f"{machine}.pem"),
        "bus_key": str(keys / f"{machine}.key"),
    }

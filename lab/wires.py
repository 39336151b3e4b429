"""Namespaces, switches and the wires between them, by `ip`. Everything can be made again and taken away again."""

import subprocess
from pathlib import Path
from typing import Final

from lab.layout import API_PORT, CLUSTERS, CORE, NET_BITS, OPERATOR, PREFIX, Layout, Machine

SWITCHES: Final = f"{PREFIX}switches"
OPERATOR_LINK: Final = f"{PREFIX}op"
LINK: Final = "eth0"
NAMESPACES: Final = Path("/run/netns")


def run(*command: str, check: bool = True) -> str:
    """What a command says. Raises SystemExit with its error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"lab: {' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def up(layout: Layout) -> None:
    """Makes all switches and machines, joined to them, and a link of this machine's to the core switch."""
    _namespace(SWITCHES)
    for switch in (CORE, *CLUSTERS):
        _in(SWITCHES, f"link add {switch} type bridge forward_delay 0 mcast_snooping 0")
        _in(SWITCHES, f"link set {switch} up")
    for cluster in CLUSTERS:
        _in(SWITCHES, f"link add {_uplink(cluster)} type veth peer name {cluster}-down")
        _in(SWITCHES, f"link set {_uplink(cluster)} master {cluster} up")
        _in(SWITCHES, f"link set {cluster}-down master {CORE} up")
    for machine in layout.machines:
        plug(machine)
    run(*f"ip -n {SWITCHES} link add operator type veth peer name {OPERATOR_LINK} netns 1".split())
    _in(SWITCHES, f"link set operator master {CORE} up")
    run(*f"ip addr replace {OPERATOR}/{NET_BITS} dev {OPERATOR_LINK}".split())
    run(*f"ip link set {OPERATOR_LINK} up".split())


def plug(machine: Machine) -> None:
    """Makes a machine's namespace, with an address on its switch."""
    _namespace(machine.namespace)
    _in(SWITCHES, f"link add {machine.name} type veth peer name {LINK} netns {machine.namespace}")
    _in(SWITCHES, f"link set {machine.name} master {machine.switch} up")
    _in(machine.namespace, f"addr add {machine.address}/{NET_BITS} dev {LINK}")
    _in(machine.namespace, f"link set {LINK} up")


def unplug(machine: Machine) -> None:
    """Takes a machine's namespace away, with all links and rules in it."""
    run("ip", "netns", "del", machine.namespace, check=False)


def down(layout: Layout) -> None:
    """Takes all of it away; what isn't there is no error."""
    for machine in layout.machines:
        unplug(machine)
    run("ip", "netns", "del", SWITCHES, check=False)
    run("ip", "link", "del", OPERATOR_LINK, check=False)


def stands() -> bool:
    """Whether the switches are there."""
    return (NAMESPACES / SWITCHES).exists()


def cut(cluster: str) -> None:
    """Nothing passes between a cluster and the rest any more."""
    _in(SWITCHES, f"link set {_uplink(cluster)} down")


def mend(cluster: str) -> None:
    """It does again."""
    _in(SWITCHES, f"link set {_uplink(cluster)} up")


def is_cut(cluster: str) -> bool:
    """Whether a cluster is cut off."""
    return "state DOWN" in run(*f"ip -n {SWITCHES} link show {_uplink(cluster)}".split())


def balance(machine: Machine, ports: tuple[int, ...]) -> None:
    """Has `API_PORT` of a machine take its connections to `ports` by turns: a balancer that knows TCP alone."""
    places = ", ".join(f"{number} : {port}" for number, port in enumerate(ports))
    to = f"tcp dport {API_PORT} dnat to {machine.address} : numgen inc mod {len(ports)} map {{ {places} }}"
    rules = "table ip balancer\ndelete table ip balancer\ntable ip balancer {\n" + "".join(
        f"chain {hook} {{ type nat hook {hook} priority -100; policy accept;\n {to}\n}}\n"
        for hook in ("prerouting", "output")
    )
    command = ("ip", "netns", "exec", machine.namespace, "nft", "-f", "-")
    subprocess.run(command, input=rules + "}\n", text=True, check=True)


def _uplink(cluster: str) -> str:
    return f"{cluster}-up"


def _namespace(name: str) -> None:
    run("ip", "netns", "add", name)
    _in(name, "link set lo up")


def _in(namespace: str, words: str) -> str:
    return run("ip", "-n", namespace, *words.split())

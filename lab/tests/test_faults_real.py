"""Ten real guests while everything is killed and cut off: nothing is lost, doubled or left over."""

import asyncio

import pytest

from lab.cloud import Lab, say
from lab.layout import Machine
from lab.machines import pids
from lab.tests.breaking import Load, break_everything, settled
from lab.tests.owners import check
from lab.tests.person import admin, demo_image
from lab.wires import run

HYPERVISOR = "qemu"
GUESTS = 10
AT_ONCE = 3
BUILT_S = 500.0


@pytest.mark.timeout(1800)
async def test_everything_is_killed_and_cut_off_under_ten_guests(lab: Lab) -> None:
    async with admin(lab) as operator:
        image = await operator.image(demo_image())
        networks = {name: await operator.network(name, name, "10.78.0.0/24") for name in ("c1", "c2")}
        load = Load(operator, image, networks, BUILT_S)
        breaking = asyncio.create_task(break_everything(lab, say))
        await load.run(GUESTS, AT_ONCE)
        await breaking
        await settled(lab, load, say)
        check(lab, load.left)
        machines, taps = zip(*((guests_on(host), taps_on(host)) for host in lab.layout.hosts()), strict=True)
        assert sum(machines) == sum(taps) == len(load.left)


def guests_on(host: Machine) -> int:
    """QEMU processes."""
    commands = [run("cat", f"/proc/{pid}/comm", check=False) for pid in pids(host.namespace)]
    return sum(command.startswith("qemu-system") for command in commands)


def taps_on(host: Machine) -> int:
    """Taps of guests."""
    return run("ip", "-n", host.namespace, "-br", "link", "show").count("fht")

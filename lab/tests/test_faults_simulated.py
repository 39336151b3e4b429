"""200 simulated guests while everything is killed and cut off: nothing is lost, doubled or left over."""

import asyncio

import pytest

from lab.cloud import Lab, say
from lab.tests.breaking import Load, break_everything, settled
from lab.tests.owners import check
from lab.tests.person import admin

HYPERVISOR = "simulated"
GUESTS = 200
AT_ONCE = 6
BUILT_S = 300.0


@pytest.mark.timeout(1800)
async def test_everything_is_killed_and_cut_off_under_200_creates_and_deletes(lab: Lab) -> None:
    async with admin(lab) as operator:
        await operator.raise_quota(GUESTS)
        image = await operator.image(bytes(1 << 20))
        networks = {name: await operator.network(name, name, "10.78.0.0/16") for name in ("c1", "c2")}
        load = Load(operator, image, networks, BUILT_S)
        breaking = asyncio.create_task(break_everything(lab, say))
        await load.run(GUESTS, AT_ONCE)
        await breaking
        await settled(lab, load, say)
        say(f"{len(load.made)} made, {len(load.deleted)} deleted, {len(load.left)} left")
        check(lab, load.left)

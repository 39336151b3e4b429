"""The same story as with simulated guests, with real ones: what runs is looked up among the machines' processes."""

import pytest

from lab.cloud import Lab
from lab.tests.dying import tell
from lab.tests.person import admin, demo_image

HYPERVISOR = "qemu"
GUESTS = 3
BUILT_S = 300.0


@pytest.mark.timeout(1200)
async def test_no_real_guest_of_a_dead_host_runs_twice(lab: Lab) -> None:
    async with admin(lab) as operator:
        await tell(lab, operator, demo_image(), GUESTS, BUILT_S)

"""A host with simulated guests dies for good and comes back: no guest runs twice at any moment."""

import pytest

from lab.cloud import Lab
from lab.tests.dying import tell
from lab.tests.person import admin

HYPERVISOR = "simulated"
GUESTS = 12
BUILT_S = 60.0


@pytest.mark.timeout(600)
async def test_no_guest_of_a_dead_host_runs_twice(lab: Lab) -> None:
    async with admin(lab) as operator:
        await tell(lab, operator, bytes(1 << 20), GUESTS, BUILT_S)

"""The laboratory, brought up for a file of tests and taken down after it, over a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud import Lab
from lab.machines import ROOT

KEPT = ROOT / ".lab-test"


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A cloud of two clusters; its hosts are of the kind that the module names as `HYPERVISOR`."""
    running = Lab(KEPT, request.module.HYPERVISOR)
    running.down()  # what an earlier run has left
    running = Lab(KEPT, request.module.HYPERVISOR)
    try:
        running.up()
        yield running
    finally:
        logs = keep_logs(running)
        running.down()
        print(f"lab: the logs are in {logs}")


def keep_logs(lab: Lab) -> Path:
    """Puts the logs beside the state, which goes."""
    logs = ROOT / ".lab-logs" / lab.hypervisor
    logs.mkdir(parents=True, exist_ok=True)
    for running in lab.running.values():
        if running.log.exists():
            (logs / running.log.name).write_bytes(running.log.read_bytes())
    return logs

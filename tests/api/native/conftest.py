"""Freehold's own door, before the same cloud as the compute door; and a notifier whose receivers are in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.drivers.delivery.simulated import SimulatedDelivery
from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.workers.base import Means
from freehold.workers.notifier.worker import NotifierWorker
from tests.api.compute.conftest import compute
from tests.api.conftest import Api
from tests.owners import store_at
from tests.workers.notifier.bench import URL, Receiver

__all__ = ["compute", "receiver"]


@pytest.fixture
async def receiver(api: Api, tmp_path: Path) -> AsyncIterator[Receiver]:
    """The notifier runs, and somebody receives at ``URL``."""
    means = Means(api.cloud.bus, api.cloud.clock, SeededChance(4), offload_inline)
    store = await store_at(tmp_path / "notifier.db", means, role="notifier")
    made = Receiver()
    worker = NotifierWorker(means, store, SimulatedDelivery(SystemClock().sleep, {URL: made}))
    await worker.open()
    yield made
    await worker.close()
    await store.close()

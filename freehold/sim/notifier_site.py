"""The site that tells others."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from freehold.drivers.delivery.simulated import SimulatedDelivery
from freehold.runtime.tasks import Tasks
from freehold.sim.process import Process
from freehold.sim.site import Site
from freehold.views.complete import WholeSink
from freehold.vocabulary.envelope import Owner, Position, Row
from freehold.workers.notifier.gathering import FOLLOWED
from freehold.workers.notifier.worker import NotifierWorker

if TYPE_CHECKING:
    from freehold.sim.world import World


class NotifierSite(Site):
    """The notifier's machine; its receivers are people's."""

    role, follows = "notifier", FOLLOWED

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.worker: NotifierWorker | None = None

    async def open(self, process: Process) -> Tasks:
        """See Site."""
        means, receivers = self.means(process), self.world.receivers
        delivery = SimulatedDelivery(asyncio.sleep, receivers.table)
        self.worker = worker = NotifierWorker(means, self.open_store(means, process), delivery, self.name)
        self.follower = follower = worker.follower
        assert isinstance(follower._sink, WholeSink)
        replace_part = follower._sink.replace

        def replaced(owner: Owner, position: Position, rows: Sequence[Row]) -> None:
            replace_part(owner, position, rows)
            receivers.gap(owner.store, position.seq)

        follower._sink.replace = replaced  # type: ignore[method-assign]
        await worker.open()
        return worker.tasks

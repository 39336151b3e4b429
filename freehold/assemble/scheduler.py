"""Schedulers."""

from freehold.assemble.running import Running, numbered
from freehold.runtime.machine import boot_id
from freehold.views.columns import PACK, SPREAD
from freehold.workers.scheduler.worker import SchedulerWorker


async def open_role(process: Running) -> None:
    """Opens as many as the settings say."""
    weights = {"spread": SPREAD, "pack": PACK}[process.settings.placement]
    for number in range(process.settings.schedulers):
        path = process.settings.state / numbered("fleet", number)
        await process.start(SchedulerWorker(process.means, path, boot_id(), weights))

"""Schedulers."""

from freehold.assemble.running import Running
from freehold.workers.scheduler.worker import SchedulerWorker


async def open_role(process: Running) -> None:
    """Opens as many as the settings say."""
    for _ in range(process.settings.schedulers):
        await process.start(SchedulerWorker(process.means))

"""The notifier."""

from freehold.assemble.running import Running
from freehold.drivers.delivery.http import HttpDelivery
from freehold.runtime.machine import host_name
from freehold.vocabulary.receiver import networks
from freehold.workers.notifier.worker import NotifierWorker


async def open_role(process: Running) -> None:
    """Opens it."""
    store = await process.store("notifier.db", "notifier")
    delivery = HttpDelivery(networks(process.settings.notify_networks))
    process.stack.push_async_callback(delivery.close)
    await process.start(NotifierWorker(process.means, store, delivery, host_name()))

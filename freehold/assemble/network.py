"""The network workers of this process's clusters."""

from freehold.assemble.running import Running, numbered
from freehold.config import clusters
from freehold.workers.network.worker import NetworkWorker


async def open_role(process: Running) -> None:
    """Opens one for each cluster."""
    for number, cluster in enumerate(clusters(process.settings)):
        store = await process.store(f"{numbered('network', number)}.db", "network", cluster=cluster)
        await process.start(NetworkWorker(process.means, store, process.settings.network_mtu))

"""What is done to the state of a cloud that is down."""

from freehold.assemble.machine import machine
from freehold.assemble.running import opened
from freehold.bus.local import LocalBus
from freehold.config import Settings
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import Shards
from freehold.workers.base import Means
from freehold.workers.registrar.worker import RegistrarWorker


async def new_admin_password(settings: Settings) -> Secret:
    """Gives the admin a new password. The cloud must be down: the registrar's store is opened."""
    means = _means(settings)
    store = await opened(settings, "registrar.db", "registrar", means)
    registrar, password = RegistrarWorker(means, store), Secret(means.chance.bytes(18).hex())
    if not await registrar.bootstrap(password):
        await registrar.set_password("admin", password)
    await store.close()
    return password


async def wipe(settings: Settings) -> list[str]:
    """Ends every guest of this machine's host and takes away all that was made for them: disks, taps, bridges, rules.

    Gives the ids of the guests that were removed. The cloud must be down: the host's store is opened.
    """
    means = _means(settings)
    store = await opened(settings, "hosts/0.db", "host", means)
    hypervisor, fabric = machine(settings, settings.state, store.id, means.offload)
    guests = sorted(await hypervisor.guests())
    for guest in guests:
        await hypervisor.remove(guest)
    await fabric.sweep(frozenset())
    await fabric.close()
    await hypervisor.close()
    await store.close()
    return guests


def _means(settings: Settings) -> Means:
    shards = Shards(settings.registrar_shards)
    return Means(LocalBus(), HybridClock(SystemClock()), SystemChance(), ThreadOffload(1), shards)

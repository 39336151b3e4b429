"""The registrar, shard by shard."""

from freehold.assemble.running import Running, numbered
from freehold.runtime.machine import host_name
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import IDENTITY_SHARD
from freehold.workers.registrar.worker import RegistrarWorker


async def open_role(process: Running) -> None:
    """Opens all shards. On a first start there is an admin, whose password the process says."""
    means = process.means
    for shard in means.shards.all():
        store = await process.store(f"{numbered('registrar', shard)}.db", "registrar", shard)
        registrar = RegistrarWorker(means, store, numbered(host_name(), shard))
        password = Secret(means.chance.bytes(18).hex())
        if shard == IDENTITY_SHARD and await registrar.bootstrap(password):
            process.new_password = password
        await process.start(registrar)

"""Bugs that are planted: volumes, in the pools that have them and in the ledger."""

from typing import Final

from freehold.sim.planted import Bug

_VOLUME: Final = "freehold.workers.volume"
_LEDGER: Final = "freehold.workers.registrar.volumes"

BUGS: Final = (
    # --- the rules of a pool
    Bug(
        "a pool promises what it hasn't",
        f"{_VOLUME}.lifecycle",
        "    if pool.free_gib() < size_gib:\n",
        "    if pool.total_gib < size_gib:\n",
    ),
    Bug(
        "bytes of what is refused after its record was lost are nobody's",
        f"{_VOLUME}.worker",
        "            return await self._effects.lie_here(record.id)\n",
        "            return False\n",
    ),
    Bug(
        "a pool answers before it is durable",
        f"{_VOLUME}.worker",
        "        await self._records.durable()\n        return self._records.done(key)",
        "        return self._records.done(key)",
    ),
    Bug(
        "a delete without a record leaves the bytes",
        f"{_VOLUME}.worker",
        "        if held is None and here:  # its record was lost with an old copy of this store\n"
        "            lifecycle.check_unneeded(",
        "        if held is None and here and asked.number < 0:\n            lifecycle.check_unneeded(",
    ),
    Bug(
        "bytes are made that the disk doesn't know of",
        f"{_VOLUME}.doing",
        "                await self._records.durable()  # nothing is done that the disk doesn't know of\n",
        "",
    ),
    Bug(
        "a volume is said to be gone while its bytes are there",
        f"{_VOLUME}.doing",
        "        elif isinstance(record, Volume):\n            await self._effects.remove(record.id)",
        "        elif isinstance(record, Volume):\n            pass",
    ),
    Bug(
        "a volume's delete ends without its pool",
        f"{_LEDGER}.lifecycle",
        "    if admission.live_place() is None:\n        return None\n",
        "    if admission.stage is not VolumeStage.ACTIVE:\n        return None\n",
    ),
    Bug(
        "what a pool has lost isn't sent there again",
        f"{_LEDGER}.lifecycle",
        "return replace(admission, lost=True, updated=now)",
        "return admission",
    ),
    Bug(
        "a volume is admitted over its project's quota",
        f"{_LEDGER}.questions",
        "        self._check_quota(asked.project, lifecycle.wanted(admission), asked.spec.size_gib)\n",
        "",
    ),
    Bug(
        "a volume's delete that its pool refused is carried on",
        f"{_LEDGER}.reconciler",
        "            self._records.moved(stands, lifecycle.delete_taken_back(stands, now), urn, now)\n",
        "            pass\n",
    ),
    Bug(
        "nothing of volumes is sent again",
        f"{_LEDGER}.reconciler",
        "        self._due.plan(identifier)\n",
        "",
    ),
)

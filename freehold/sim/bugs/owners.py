"""Bugs that are planted: leases, and owning in general."""

from typing import Final

from freehold.sim.planted import Bug

_NETWORK: Final = "freehold.workers.network"

BUGS: Final = (
    # --- leases
    Bug(
        "a refusal doesn't end a lease",
        f"{_NETWORK}.lifecycle",
        "return sight.ended >= booking.deed or (sight.deed >= booking.deed and not sight.here)",
        "return sight.deed >= booking.deed and not sight.here",
    ),
    Bug(
        "a lease ends without evidence",
        f"{_NETWORK}.lifecycle",
        "return sight.ended >= booking.deed or (sight.deed >= booking.deed and not sight.here)",
        "return sight.ended >= booking.deed or sight.deed >= booking.deed",
    ),
    Bug(
        "an ended lease keeps its port",
        f"{_NETWORK}.lifecycle",
        '            draft.drop("port", key)',
        "            continue",
    ),
    Bug(
        "addresses are told before they are durable",
        f"{_NETWORK}.worker",
        "        await self._records.durable()\n        if isinstance(decision, Granted)",
        "        if isinstance(decision, Granted)",
    ),
    # --- owning
    Bug(
        "a commit is acknowledged before it is written",
        "freehold.store.database",
        "                async with self._writing:\n                    await self._offload(partial(writing.write",
        "                self._landed(group)\n"
        "                async with self._writing:\n                    await self._offload(partial(writing.write",
    ),
    Bug(
        "durable doesn't wait",
        "freehold.store.database",
        "if self._done_ticket >= self._tickets:",
        "if self._done_ticket >= 0:",
    ),
    Bug(
        "a deleted row stays",
        "freehold.store.writing",
        "for place, entry in newest.items()]",
        "for place, entry in newest.items() if entry.value is not None]",
    ),
    Bug(
        "what is staged later is forgotten when the earlier lands",
        "freehold.store.values",
        "if place in self._staged and self._staged[place][0] <= ticket:",
        "if place in self._staged:",
    ),
    Bug(
        "the log isn't chained",
        "freehold.store.database",
        "digest = chained_once(digest, seq, time, kind, key, value, cause)",
        "digest = chained_once(bytes(16), seq, time, kind, key, value, cause)",
    ),
    Bug(
        "reads don't see what is staged",
        "freehold.store.values",
        "        if staged is not None:\n            return staged[1]",
        '        if staged is not None and place.kind == "":\n            return staged[1]',
    ),
    Bug(
        "the compacted log ends before the horizon",
        "freehold.store.writing",
        "SELECT before FROM log WHERE seq BETWEEN ? AND ?)",
        "SELECT seq FROM log WHERE seq BETWEEN ? AND ? AND before IS NOT NULL)",
    ),
    Bug(
        "a gap in the log is answered as if there were none",
        "freehold.store.database",
        "gap = behind and (not entries or entries[-1].seq != position.seq + len(entries))",
        "gap = False",
    ),
    Bug(
        "heartbeats don't say where the log stands",
        "freehold.workers.base",
        "            position=self._store.position(),\n            time=",
        "            position=Position(epoch=self._store.epoch),\n            time=",
    ),
)

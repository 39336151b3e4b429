"""The simulated disk: what it keeps of a write in whose middle power was lost."""

import asyncio
from collections import Counter
from random import Random

from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.sim.disk import StoreFile
from freehold.sim.process import Process
from freehold.store.database import put
from freehold.vocabulary.tenant import Quota

TIMES = 60
"""Often enough that what rolls a write back is broken off as well: SQLite counts a statement's steps over all of its
runs."""


async def test_nothing_is_left_of_writes_that_were_broken_off() -> None:
    file, broken_off = StoreFile("registrar", Random(1), Counter()), asyncio.Event()

    def dies(when: str, _process: Process) -> bool:
        if when == "during":
            broken_off.set()
        return when == "during"

    file.at_commit = dies
    for number in range(TIMES):
        store = file.open(
            role="registrar",
            cluster="default",
            process=Process("registrar", number),
            clock=HybridClock(SystemClock()),
            chance=SeededChance(number),
        )
        broken_off.clear()
        store.stage([put(f"p{key}", Quota(project=f"p{key}", instances=1)) for key in range(5)], "test")
        await broken_off.wait()
        assert file.rows() == [], "a part of a transaction is on the disk"
        assert file.position().seq == 0
        assert not file.connection.in_transaction

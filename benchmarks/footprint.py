"""What this process takes: memory that is its alone, and how long it keeps its loop to itself."""

import asyncio
import re
import time
from pathlib import Path
from typing import Final

TICK_S: Final = 0.001
_MAPPING: Final = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$")


def private_bytes(but: Path) -> int:
    """The memory that no other process has, without files under `but` that are mapped: those are the kernel's to keep
    or drop.
    """
    total, counts = 0, True
    for line in Path("/proc/self/smaps").read_text().splitlines():
        mapping = _MAPPING.match(line)
        if mapping:
            counts = not mapping[1].startswith(str(but))
        elif counts and line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1]) * 1024
    return total


class Turns:
    """The CPU time between two looks at the loop, which asks to be woken every `TICK_S`: what the longest of its turns
    takes, and what is due before this is looked at again.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        """Looks on until cancelled."""
        while True:
            began_s = time.thread_time()
            await asyncio.sleep(TICK_S)
            self.longest_s = max(self.longest_s, time.thread_time() - began_s)

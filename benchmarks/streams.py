"""Many readers of events while API processes are killed and started again by turns: none loses one or gets one twice.

A whole cloud in one process, with two API processes' views and simulated hosts; a kill breaks every connection and
every call, and leaves the view as it was. What the readers have is held against the owners' own logs.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from freehold.runtime.log import configure
from tests.scenarios.test_streams import read_through_kills


def main() -> None:
    """Prints the figures. Raises AssertionError if an event was lost, came twice, or out of its log's order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--projects", type=int, default=20)
    parser.add_argument("--guests", type=int, default=4)
    parser.add_argument("--kills", type=int, default=6)
    asked = parser.parse_args()
    configure(level="critical")  # a stream that breaks with its process is meant here
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = read_through_kills(Path(folder), asked.readers, asked.projects, asked.guests, asked.kills)
        figures = asyncio.run(run)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    took_s = round(time.perf_counter() - began, 1)
    print(json.dumps({"figure": "streams", "lost": 0, "doubled": 0, **figures, "took_s": took_s, "machine": machine}))


if __name__ == "__main__":
    main()

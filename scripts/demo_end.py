"""Deletes every guest of the demo through the API, and waits until they are gone.

demo_end.py STATE
"""

import asyncio
import sys
import time
from pathlib import Path

from freehold.cli.client import Client
from freehold.cli.credentials import read_admin

DEADLINE_S = 20.0
POLL_S = 0.1
LIST = "/compute/v2.1/servers?all_tenants=1"


async def main(state: Path) -> int:
    deadline = time.monotonic() + DEADLINE_S
    async with Client(read_admin(state)) as client:
        for server in (await client.get(LIST))["servers"]:
            await client.delete(f"/compute/v2.1/servers/{server['id']}")
        while left := (await client.get(LIST))["servers"]:
            if time.monotonic() > deadline:
                print(f"demo-stop: {len(left)} guests weren't deleted within {DEADLINE_S:g} s", file=sys.stderr)
                return 1
            await asyncio.sleep(POLL_S)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))

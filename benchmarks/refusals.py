"""What it costs to refuse a guest, while more wait for hosts than are built.

    python -m benchmarks.refusals --count 100000 --at-once 64

A region of one host in one process (benchmarks/region.py), filled until the registrar takes no more. Then nothing is
done there but to refuse; CPU is that of its process, less what it uses when nobody asks.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from typing import Any, Final

import aiohttp
import uvloop

from benchmarks.boots import SERVERS, Tenant, tenants
from benchmarks.children import Child
from benchmarks.record import record
from benchmarks.wire import Connection, Connections, post

FULL: Final = 1000
"""Guests that are asked for in one request: none of them finds room, and all wait."""
IDLE_S: Final = 2.0
RAM_MIB: Final = 1 << 19


class Refused(Connections):
    """Asks again on the same connection, as soon as it was answered."""

    def __init__(self, url: str, requests: list[bytes]) -> None:
        super().__init__(url, len(requests))
        self._requests = requests

    def ended(self, connection: Connection) -> None:
        """See Connections."""
        super().ended(connection)
        if self._requests:
            self.ask(self._requests.pop())


async def _fill(session: aiohttp.ClientSession, tenant: Tenant) -> None:
    """Asks for guests of which two fit, until no more are taken."""
    flavor = {"name": "huge", "ram": RAM_MIB, "vcpus": 1, "disk": 0}
    made = await tenant.ask("POST", "/compute/v2.1/flavors", {"flavor": flavor})
    wanted = tenant.body["server"] | {"flavorRef": made["flavor"]["id"], "min_count": FULL, "max_count": FULL}
    while True:
        async with session.post(tenant.url + SERVERS, json={"server": wanted}, headers=tenant.headers) as answer:
            assert answer.status in (202, 503), await answer.text()
            if answer.status == 503:
                return


async def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        child = await Child.started("benchmarks.region", folder, "1", "1")
        told = await child.answer()
        async with aiohttp.ClientSession() as session:
            (tenant,) = await tenants(session, told["url"], told["password"], 1, 1)
            await _fill(session, tenant)
        began, began_s = await child.tell("count"), time.monotonic()
        await asyncio.sleep(IDLE_S)
        idle = (await child.tell("count"))["cpu_s"] - began["cpu_s"]
        idle_share = idle / (time.monotonic() - began_s)
        request = post(tenant.url, SERVERS, tenant.headers, tenant.body)
        refused = Refused(tenant.url, [request] * asked.count)
        before, began_s = await child.tell("count"), time.monotonic()
        for _ in range(asked.at_once):
            refused.ask(request)
        await refused.all_ended()
        took_s, after = time.monotonic() - began_s, await child.tell("count")
        refused.close()
        await child.close()
    answers: Counter[int] = refused.answers.by_status
    cpu_s = after["cpu_s"] - before["cpu_s"] - idle_share * took_s
    return {
        "answers": dict(answers),
        "broken": dict(refused.answers.broken),
        "without_retry_after": refused.answers.without_retry_after,
        "cpu_us": round(1e6 * cpu_s / answers.total(), 1),
        "per_s": round(answers.total() / took_s),
        "rss_mib": {"before": before["rss_mib"], "after": after["rss_mib"]},
        "cpu_share_idle": round(idle_share, 3),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--at-once", type=int, default=64)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        record("refusals", runner.run(measured(parser.parse_args())))


if __name__ == "__main__":
    main()

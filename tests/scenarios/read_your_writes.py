"""Create, GET, list, delete, GET: each call to another API process than the one before.

`python -m tests.scenarios.read_your_writes --sequences 10000` plays them over a cloud with two registrar shards, and
ends with a line that says how many answers were stale. Exit code 1 if one was.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import structlog

from tests.several import SERVERS, Person, Several, several

AT_ONCE = 16
PROJECTS = 4


class Stale(Exception):
    """An answer that didn't have what was written before it was asked for."""


async def sequence(cloud: Several, person: Person, turn: int, name: str) -> None:
    """One guest's life, as a tool sees it that goes round the API processes. Raises Stale."""
    made = await person.api(turn).post(SERVERS, cloud.server(name))
    if made.status != 202:
        raise Stale(f"POST was answered {made.status} {made.body!r}")
    path = f"{SERVERS}/{made.json['server']['id']}"
    shown = await person.api(turn + 1).get(path)
    if shown.status != 200:
        raise Stale(f"GET after POST was answered {shown.status}")
    for api in (turn + 2, turn + 3):  # that which took the POST, and another
        if await _listed(person, api, path) is None:
            raise Stale("the list after POST hasn't the server")
    deleted = await person.api(turn + 3).delete(path)
    if deleted.status != 204:
        raise Stale(f"DELETE was answered {deleted.status} {deleted.body!r}")
    gone = await person.api(turn + 4).get(path)
    if gone.status not in (200, 404):
        raise Stale(f"GET after DELETE was answered {gone.status}")
    left = await _listed(person, turn + 4, path)
    if left is not None and left["OS-EXT-STS:task_state"] != "deleting":
        raise Stale(f"the list after DELETE has the server, and it is {left['status']}")
    if gone.status == 404 and left is not None:
        raise Stale("the list has a server that GET said is gone")


async def _listed(person: Person, turn: int, path: str) -> Any:
    reply = await person.api(turn).get(f"{SERVERS}/detail?limit=1000")
    if reply.status != 200:
        raise Stale(f"the list was answered {reply.status} {reply.body!r}")
    return next((server for server in reply.json["servers"] if path.endswith(server["id"])), None)


async def play(cloud: Several, sequences: int) -> Counter[str]:
    """Plays sequences, `AT_ONCE` at a time; counts what went wrong with them, by what."""
    people = [await cloud.newcomer(number % 2, instances=1000, cores=1000) for number in range(PROJECTS)]
    numbers, found = itertools.count(), Counter[str]()

    async def client() -> None:
        while (number := next(numbers)) < sequences:
            try:
                await sequence(cloud, people[number % PROJECTS], number // PROJECTS, f"guest-{number}")
            except Stale as error:
                found[str(error)] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(client())
    return found


async def main(sequences: int) -> int:
    """Plays them in a folder of its own, and tells. Gives the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        async with several(Path(folder)) as cloud:
            began = time.monotonic()
            found = await play(cloud, sequences)
    for what, often in found.most_common():
        print(f"{often} times: {what}")
    seconds = time.monotonic() - began
    print(f"{sequences} sequences over 2 API processes in {seconds:.0f} s: {found.total()} stale")
    return 1 if found else 0


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=10_000)
    sys.exit(asyncio.run(main(parser.parse_args().sequences)))

"""Servers by the hundred thousand, written straight into their owners' stores, as if they had been built."""

import gc
import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from benchmarks.pages import a_server
from freehold.store.database import Store, put
from freehold.vocabulary.envelope import Owner
from freehold.vocabulary.guest import GuestState

TOGETHER: Final = 500
"""Records of a transaction."""


def hosts_in(file: str) -> list[str]:
    """The stores of all hosts, in order: the server of a number is on the host of that number, round and round."""
    stores: list[str] = json.loads(Path(file).read_bytes())
    return stores


def stores_here(role: str) -> list[Store]:
    """The open stores of a role in this process."""
    return [one for one in gc.get_objects() if isinstance(one, Store) and one.owner.role == role]


async def write_centre(registrar: Store, network: Store, numbers: range, project: str, hosts: list[str]) -> None:
    """What the registrar and the network worker have of servers."""
    owners = [Owner(store=host, role="host", cluster=network.owner.cluster) for host in hosts]
    servers = (a_server(number, project, owners[number % len(owners)]) for number in numbers)
    while some := list(islice(servers, TOGETHER)):
        registrar.stage([put(admission.guest, admission) for admission, _, _ in some], "filled")
        network.stage([put(port.id, port) for _, _, port in some], "filled")
        await registrar.durable()
        await network.durable()


async def write_host(store: Store, numbers: Iterable[int], project: str, state: GuestState) -> None:
    """What a host has of its servers: without ports, which the network worker would look at."""
    records = (replace(a_server(number, project, store.owner, state)[1], ports=()) for number in numbers)
    while some := list(islice(records, TOGETHER)):
        store.stage([put(guest.id, guest) for guest in some], "filled")
        await store.durable()

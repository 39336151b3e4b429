"""Servers that several families keep something in, each started once for a suite."""

from collections.abc import Callable, Iterator

import pytest

from tests.servers import SERVERS, Server


@pytest.fixture(scope="module")
def started() -> Iterator[Callable[[str], Server]]:
    """Starts a server at its first use."""
    servers: dict[str, Server] = {}

    def server(kind: str) -> Server:
        if kind not in servers:
            servers[kind] = SERVERS[kind]()
        return servers[kind]

    yield server
    for one in servers.values():
        one.close()

"""Connections are taken as they come, however long the turns of the loop are."""

import asyncio
import errno
import socket

import pytest

from freehold.runtime import accepting
from freehold.runtime.accepting import Accepting


class Listening:
    """A socket that listens, and what was taken from it."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.socket.setblocking(False)
        self.taken: list[socket.socket] = []
        self.clients: list[socket.socket] = []
        self.enough = asyncio.Event()

    async def take(self, taken: socket.socket) -> None:
        self.taken.append(taken)
        if len(self.taken) == len(self.clients):
            self.enough.set()

    def connect(self, count: int) -> None:
        self.clients += [socket.create_connection(self.socket.getsockname()) for _ in range(count)]

    def close(self) -> None:
        for each in (*self.clients, *self.taken, self.socket):
            each.close()


async def turns_until(event: asyncio.Event) -> int:
    """How many turns of the loop it took."""
    count = 0
    while not event.is_set():
        count += 1
        await asyncio.sleep(0)
    return count


async def test_many_are_taken_at_one_turn_of_the_loop() -> None:
    listening = Listening()
    taker = Accepting(listening.socket.fileno(), listening.take)
    listening.connect(50)
    assert await turns_until(listening.enough) < 10
    assert not any(taken.getblocking() for taken in listening.taken)
    await taker.close()
    listening.close()


async def test_a_turn_takes_so_many_and_the_next_one_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "TURN_MAX", 2)
    listening = Listening()
    taker = Accepting(listening.socket.fileno(), listening.take)
    listening.connect(6)
    assert await turns_until(listening.enough) >= 3
    await taker.close()
    listening.close()


async def test_without_files_it_waits_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "AGAIN_S", 0.0)
    listening = Listening()
    accept, failed = socket.socket.accept, 0

    def fails_at_first(self: socket.socket) -> tuple[socket.socket, object]:
        nonlocal failed
        failed += 1
        if failed <= 2:
            raise OSError(errno.EMFILE, "too many open files")
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", fails_at_first)
    taker = Accepting(listening.socket.fileno(), listening.take)
    listening.connect(1)
    await asyncio.wait_for(listening.enough.wait(), 10)
    assert failed >= 3
    await taker.close()
    listening.close()


async def test_closed_it_takes_no_more_and_leaves_the_socket_to_its_owner() -> None:
    listening = Listening()
    taker = Accepting(listening.socket.fileno(), listening.take)
    await taker.close()
    listening.connect(1)
    for _ in range(10):
        await asyncio.sleep(0)
    assert listening.taken == []
    listening.socket.accept()[0].close()
    listening.close()

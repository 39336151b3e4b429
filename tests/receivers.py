"""Receivers of notifications on this machine that behave as receivers do, and as they should not.

Run as a program it prints what came of sending to each.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, NamedTuple

from freehold.drivers.delivery.http import HttpDelivery
from freehold.drivers.delivery.interface import Answered, Outcome, Outgoing
from freehold.vocabulary.receiver import networks

LOOPBACK: Final = networks(("127.0.0.0/8",))
DEADLINE_S: Final = 2.0
NAME: Final = "receiver.example"

SPELLINGS: Final = (
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "0",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "169.254.169.254",
)
"""Of this machine, and of where clouds have their metadata."""

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


class Server(NamedTuple):
    """A receiver that runs: where, and what it was sent."""

    port: int
    got: list[bytes]
    """Whole requests, heads and bodies."""


@asynccontextmanager
async def serving(behaviour: Behaviour, address: str = "127.0.0.1") -> AsyncIterator[Server]:
    """A receiver on this machine that reads a request and then does as it is told."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            named = (one.partition(b":") for one in head.split(b"\r\n"))
            length = next((int(value) for name, _, value in named if name.lower() == b"content-length"), 0)
            got.append(head + await reader.readexactly(length))
            await behaviour(reader, writer, head)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, address, 0)
    try:
        yield Server(server.sockets[0].getsockname()[1], got)
    finally:
        server.close()


def answers(status: int, body: bytes = b"", *headers: str) -> Behaviour:
    """Answers with a status, some headers and a body."""

    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: bytes) -> None:
        lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return behave


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _head: bytes) -> None:
    """Says nothing."""
    await reader.read()


async def drips(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: bytes) -> None:
    """Says a letter of its head every tenth of a second, without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.1)


async def floods(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: bytes) -> None:
    """Answers with a gigabyte."""
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 30}\r\n\r\n".encode())
    for _ in range(1 << 10):
        writer.write(bytes(1 << 20))
        await writer.drain()


async def floods_heads(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: bytes) -> None:
    """Answers with headers without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"a" * 1000 + b"\r\n")
        await writer.drain()


async def goes_on(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: bytes) -> None:
    """Says "continue" without end."""
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()
        await asyncio.sleep(0.01)


async def cuts(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _head: bytes) -> None:
    """Takes the request and closes."""


async def babbles(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: bytes) -> None:
    """Answers in no known tongue."""
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "takes it": answers(204),
    "fails": answers(500, b"out of order"),
    "is gone": answers(410),
    "asks for patience": answers(429, b"", "Retry-After: 120"),
    "hangs": hangs,
    "drips": drips,
    "answers a gigabyte": floods,
    "sends headers without end": floods_heads,
    "says continue without end": goes_on,
    "cuts": cuts,
    "speaks another protocol": babbles,
}


class Row(NamedTuple):
    """What came of sending to a receiver."""

    receiver: str
    outcome: Outcome
    took_s: float
    reached: int
    """How often what must not be reached was reached."""

    def text(self) -> str:
        """The row for people."""
        if isinstance(self.outcome, Answered):
            said = f"answered {self.outcome.status}, {len(self.outcome.body)} bytes read"
        else:
            said = ("nothing sent: " if self.outcome.forbidden else "failed: ") + self.outcome.reason
        return f"{self.receiver:48} {self.took_s:5.2f} s  {self.reached:3}  {said}"


async def sent(delivery: HttpDelivery, name: str, url: str, got: Sequence[object] = ()) -> Row:
    """Sends something, and says what came of it."""
    began = monotonic()
    outcome = await delivery.send(Outgoing(url, body=b"{}", lane="a project"))
    return Row(name, outcome, monotonic() - began, len(got))


async def behaviours() -> list[Row]:
    """Each behaviour, at an address that the operator has allowed."""
    rows = []
    for name, behaviour in BEHAVIOURS.items():
        delivery = HttpDelivery(LOOPBACK, deadline_s=DEADLINE_S)
        async with serving(behaviour) as server:
            rows.append(await sent(delivery, name, f"http://127.0.0.1:{server.port}/hook"))
            await delivery.close()
    return rows


async def spellings() -> list[Row]:
    """This machine in many spellings, as the URL itself; nothing is allowed. It mustn't be reached."""
    delivery, rows = HttpDelivery(), []
    async with serving(answers(200)) as inside:
        for host in SPELLINGS:
            rows.append(await sent(delivery, host, f"http://{host}:{inside.port}/", inside.got))
    await delivery.close()
    return rows


async def redirects() -> list[Row]:
    """A receiver that redirects to a second server. The first is allowed; the second mustn't be reached."""
    rows = []
    async with serving(answers(200)) as inside:
        for host in SPELLINGS:
            location = f"Location: http://{host}:{inside.port}/"
            async with serving(answers(302, b"", location)) as outside:
                delivery = HttpDelivery(LOOPBACK, deadline_s=DEADLINE_S)
                url = f"http://127.0.0.1:{outside.port}/hook"
                rows.append(await sent(delivery, f"redirects to {host}", url, inside.got))
                await delivery.close()
    return rows


async def rebinding() -> list[Row]:
    """A name that stands for something else each time it is asked for; nothing is allowed."""
    rows = []
    async with serving(answers(200)) as inside:
        for name, turns in {
            "a name of this machine": [["127.0.0.1"]],
            "a name of something outside and of this machine": [["93.184.215.14", "127.0.0.1"]],
            "a name in the metadata": [["169.254.169.254"]],
            "a name in IPv6 clothes": [["::ffff:127.0.0.1"]],
            "a name on the link": [["fe80::1%lo"]],
        }.items():
            delivery = HttpDelivery(lookup=Names(*turns), deadline_s=DEADLINE_S)
            rows.append(await sent(delivery, name, f"http://{NAME}:{inside.port}/", inside.got))
            await delivery.close()
    return [*rows, await between_check_and_use()]


async def between_check_and_use() -> Row:
    """A name that stands for an allowed address when it is checked, and for another when it is asked for again."""
    async with serving(answers(200), "127.0.0.5") as outside, serving(answers(200)) as inside:
        names = Names(["127.0.0.5"], ["127.0.0.1"])
        delivery = HttpDelivery(networks(("127.0.0.5/32",)), names, deadline_s=DEADLINE_S)
        url = f"http://{NAME}:{outside.port}/"
        row = await sent(delivery, "a name that changes between check and use", url, inside.got)
        await delivery.close()
    assert len(outside.got) == 1 and names.asked == [NAME], "one question, and a connection to what it gave"
    return row


class Names:
    """A resolver whose one name stands for another thing each time."""

    def __init__(self, *turns: list[str]) -> None:
        self._turns = turns
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        """See Lookup."""
        self.asked.append(host)
        return self._turns[min(len(self.asked), len(self._turns)) - 1]


async def main() -> None:
    """The table."""
    print(f"{'receiver':48} {'took':>7}  not  what came of it")
    for rows in (behaviours, spellings, redirects, rebinding):
        print(f"-- {(rows.__doc__ or '').strip()}")
        for row in await rows():
            print(row.text())


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""A reader asks a server that isn't one. What real ones answer: `tests/live/test_volumestore.py`."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from freehold.drivers.volumestore import nbd
from freehold.drivers.volumestore.authority import Authority, write_credentials
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.errors import BadRequest, Broken, Forbidden, FreeholdError, Unavailable

GREETING = b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3)


def reply(option: int, kind: int, content: bytes = b"") -> bytes:
    return struct.pack(">QIII", 0x3E889045565A9, option, kind, len(content)) + content


@pytest.fixture
def credentials(tmp_path: Path) -> nbd.Credentials:
    authority = Authority(tmp_path, "pool-one", SystemClock())
    authority.make()
    key = Ed25519PrivateKey.generate()
    told = authority.certify("a reader", key.public_key().public_bytes_raw())
    write_credentials(tmp_path / "reader", key.private_bytes_raw(), told, authority.certificate_pem())
    return nbd.Credentials.of(tmp_path / "reader")


@asynccontextmanager
async def served(words: bytes, *, stays: bool = False) -> AsyncIterator[int]:
    """Somebody who says this to everybody, and hangs up unless it `stays`: its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        with suppress(OSError):
            while stays and await reader.read(1024):
                pass
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize(
    ("words", "stays", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, Broken),
        (b"NBDMAGIC" + struct.pack(">QQ", 0x420281861253, 1 << 30), False, Broken),
        (GREETING[:10], False, Unavailable),
        (GREETING, False, Unavailable),
        (GREETING + reply(5, (1 << 31) + 1), True, Forbidden),
        (GREETING + reply(7, 1), True, Broken),
        (GREETING + struct.pack(">QIII", 1, 5, 1, 0), True, Broken),
        (GREETING + struct.pack(">QIII", 0x3E889045565A9, 5, 1, 1 << 30), True, Broken),
        (GREETING + reply(5, 1) + b"no TLS at all", True, Forbidden),
        # What is slipped in before TLS begins is no answer.
        (GREETING + reply(5, 1) + reply(6, 3, struct.pack(">HQH", 0, 1 << 30, 1)) + reply(6, 1), True, Forbidden),
    ],
)
async def test_what_is_no_server_of_volumes_is_told_apart(
    credentials: nbd.Credentials, words: bytes, stays: bool, error: type[FreeholdError]
) -> None:
    async with served(words, stays=stays) as port:
        with pytest.raises(error):
            await nbd.describe("127.0.0.1", port, "a volume", "pool-one", credentials)


async def test_one_that_says_nothing_is_not_waited_for(
    credentials: nbd.Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nbd, "ANSWER_S", 0.05)
    async with served(b"", stays=True) as port:
        with pytest.raises(Unavailable):
            await nbd.describe("127.0.0.1", port, "a volume", "pool-one", credentials)


async def test_nobody_is_unavailable(credentials: nbd.Credentials) -> None:
    async with served(b"") as port:
        pass
    with pytest.raises(Unavailable):
        await nbd.describe("127.0.0.1", port, "a volume", "pool-one", credentials)


async def test_a_reader_without_its_files_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        await nbd.describe("127.0.0.1", 1, "a volume", "pool-one", nbd.Credentials.of(tmp_path))

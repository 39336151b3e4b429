"""Questions over a socket in a folder."""

import asyncio
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from freehold.runtime import local_socket
from freehold.runtime.local_socket import LocalSocket, ask_local, user_name
from freehold.vocabulary.errors import Broken, Forbidden, NoAnswer, Unavailable

ME = user_name(os.geteuid())


async def echo(user: str, question: bytes) -> bytes:
    return user.encode() + b":" + question


@asynccontextmanager
async def listening(path: Path, answer: Callable[[str, bytes], Awaitable[bytes]] = echo) -> AsyncIterator[LocalSocket]:
    made = LocalSocket(path, answer)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def test_who_asks_is_known_to_who_answers(tmp_path: Path) -> None:
    async with listening(tmp_path / "door") as _:
        assert await ask_local(tmp_path / "door", b"how?", 5) == f"{ME}:how?".encode()
        answers = await asyncio.gather(*(ask_local(tmp_path / "door", b"%d" % number, 5) for number in range(10)))
        assert answers == [f"{ME}:{number}".encode() for number in range(10)]


async def test_the_path_may_be_long(tmp_path: Path) -> None:
    path = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8, "door")
    path.parent.mkdir(parents=True)
    async with listening(path):
        assert await ask_local(path, b"x", 5) == f"{ME}:x".encode()


async def test_nobody_else_may_open_it(tmp_path: Path) -> None:
    async with listening(tmp_path / "door"):
        assert stat.S_IMODE((tmp_path / "door").stat().st_mode) == 0o600


async def test_another_user_gets_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def answer(user: str, question: bytes) -> bytes:
        asked.append(question)
        return b""

    someone_else = struct.pack("3i", 1, os.geteuid() + 4321, 1)
    async with listening(tmp_path / "door", answer):
        monkeypatch.setattr(socket.socket, "getsockopt", lambda *_: someone_else)
        monkeypatch.setattr(asyncio.trsock.TransportSocket, "getsockopt", lambda *_: someone_else)
        with pytest.raises(NoAnswer, match="root"):
            await ask_local(tmp_path / "door", b"x", 5)
    assert asked == []


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await ask_local(tmp_path / "door", b"x", 5)
    with pytest.raises(Unavailable):
        await ask_local(tmp_path / "no-folder" / "door", b"x", 5)
    async with listening(tmp_path / "door"):
        pass
    with pytest.raises(Unavailable):
        await ask_local(tmp_path / "door", b"x", 5)
    assert not (tmp_path / "door").exists()


async def test_what_a_killed_process_has_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "door"))
    with pytest.raises(Unavailable):
        await ask_local(tmp_path / "door", b"x", 5)
    async with listening(tmp_path / "door"):
        assert await ask_local(tmp_path / "door", b"x", 5)


async def test_a_file_in_its_place_is_left(tmp_path: Path) -> None:
    (tmp_path / "door").write_text("precious")
    with pytest.raises(Broken, match="isn't a socket"):
        await LocalSocket(tmp_path / "door", echo).open()
    assert (tmp_path / "door").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
async def test_a_user_who_may_not_open_it_is_told(tmp_path: Path) -> None:
    async with listening(tmp_path / "door"):
        (tmp_path / "door").chmod(0)
        with pytest.raises(Forbidden):
            await ask_local(tmp_path / "door", b"x", 5)


async def test_a_frame_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    async with listening(tmp_path / "door"):
        with pytest.raises(NoAnswer):
            await ask_local(tmp_path / "door", bytes(local_socket.QUESTION_BYTES_MAX + 1), 5)
        assert await ask_local(tmp_path / "door", b"x", 5)


async def test_an_answer_that_breaks_harms_nobody_else(tmp_path: Path) -> None:
    async def answer(user: str, question: bytes) -> bytes:
        if question == b"break":
            raise ZeroDivisionError
        return question

    async with listening(tmp_path / "door", answer):
        with pytest.raises(NoAnswer):
            await ask_local(tmp_path / "door", b"break", 5)
        assert await ask_local(tmp_path / "door", b"x", 5) == b"x"


async def test_an_answer_that_never_comes(tmp_path: Path) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def answer(user: str, question: bytes) -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    async with listening(tmp_path / "door", answer):
        with pytest.raises(NoAnswer, match="within"):
            await ask_local(tmp_path / "door", b"x", 0.05)
        await begun.wait()
    assert ended.is_set(), "closing ends what is being answered"


async def test_who_says_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_socket, "QUESTION_S", 0.05)
    async with listening(tmp_path / "door"):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "door"))
        assert await reader.read() == b""
        writer.close()

"""A socket in a folder of this machine: a question, an answer, and the system's word for who asked.

A frame is its length in 4 bytes, most significant first, and that many bytes. One question a connection. The system
allows a path of 107 bytes: longer ones are reached through the folder's descriptor.
"""

import asyncio
import os
import pwd
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from freehold.runtime.log import logger
from freehold.vocabulary.errors import Broken, Forbidden, NoAnswer, Unavailable

QUESTION_BYTES_MAX: Final = 64 * 1024
ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024
QUESTION_S: Final = 5.0
"""How long a question may take to come, and its answer to be taken."""
ANSWER_S: Final = 60.0
AT_ONCE_MAX: Final = 32
"""Questions that are answered at the same time; more are closed without an answer."""

_CREDENTIALS: Final = struct.Struct("3i")
_LENGTH: Final = struct.Struct("!I")

_log = logger("socket")

LocalAnswerer = Callable[[str, bytes], Awaitable[bytes]]
"""(name of the user who asks, question) -> answer. What it raises ends the connection without an answer."""


class LocalSocket:
    """Answers questions of this process's own user, and of root."""

    def __init__(self, path: Path, answer: LocalAnswerer) -> None:
        self._path, self._answer = path, answer
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], None] = {}

    async def open(self) -> None:
        """Listens, in the place of an earlier process's socket. Raises Broken if that can't be."""
        try:
            listener = _bound(self._path)
        except OSError as error:
            raise Broken(f"The socket {self._path} can't be made: {error}.") from error
        self._server = await asyncio.start_unix_server(self._connected, sock=listener)

    async def close(self) -> None:
        """Listens no more, and ends what is being answered."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = None
        try:
            user = _peer(writer)
            if user is not None and len(self._connections) <= AT_ONCE_MAX:
                await self._serve(user, reader, writer)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            _log.debug("an asker left before its answer")
        except Exception as error:  # noqa: BLE001 - what one asker brings about harms nobody else
            _log.error("a question on the socket can't be answered", exc_info=error)
        finally:
            del self._connections[task]
            writer.transport.abort()

    async def _serve(self, user: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(QUESTION_S):
            question = await _read(reader, QUESTION_BYTES_MAX)
        async with asyncio.timeout(ANSWER_S):
            answer = await self._answer(user, question)
        async with asyncio.timeout(QUESTION_S):
            await _write(writer, answer)
            writer.close()
            await writer.wait_closed()


async def ask_local(path: Path, question: bytes, deadline_s: float) -> bytes:
    """The answer of whoever listens at `path`.

    Raises Unavailable if nobody does, Forbidden if this user mustn't ask, NoAnswer if none came within `deadline_s`.
    """
    try:
        async with asyncio.timeout(deadline_s):
            return await _asked(path, question)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise Unavailable(f"Nobody listens at {path}.") from error
    except PermissionError as error:
        raise Forbidden(f"User {user_name(os.geteuid())} may not open {path}.") from error
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise NoAnswer(f"{path} was closed without an answer; only root and the host's own user get one.") from error
    except TimeoutError as error:
        raise NoAnswer(f"No answer came from {path} within {deadline_s:g} s.") from error


def user_name(uid: int) -> str:
    """The name of a user of this machine; the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


async def _asked(path: Path, question: bytes) -> bytes:
    with _reachable(path) as short:
        reader, writer = await asyncio.open_unix_connection(short)
    try:
        await _write(writer, question)
        return await _read(reader, ANSWER_BYTES_MAX)
    finally:
        writer.transport.abort()


def _bound(path: Path) -> socket.socket:
    """A socket at `path` that only its owner and root can open, from the moment that it listens."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
        raise Broken(f"{path} isn't a socket: something else of that name is in its place.")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with _reachable(path) as short:
            listener.bind(short)
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A name for `path` that is short enough for a socket, as long as the context lasts."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _peer(writer: asyncio.StreamWriter) -> str | None:
    """The name of the user on the other side; None for one who mustn't ask."""
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    if uid in (0, os.geteuid()):
        return user_name(uid)
    _log.warning("a user who mustn't has asked something on the socket", uid=uid)
    return None


async def _read(reader: asyncio.StreamReader, bytes_max: int) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > bytes_max:
        raise ConnectionAbortedError(f"a frame of {length} bytes; at most {bytes_max} are taken")
    return await reader.readexactly(length)


async def _write(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(_LENGTH.pack(len(body)) + body)
    await writer.drain()

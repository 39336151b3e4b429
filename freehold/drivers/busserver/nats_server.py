"""nats-server, as a child of this process: it ends with it, or is ended by the next one."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections import deque
from pathlib import Path
from typing import Final

from freehold.drivers.busserver.interface import CONFIGURATION, Files
from freehold.runtime.log import logger
from freehold.vocabulary.errors import Broken, Unavailable

PROGRAM: Final = "nats-server"
VERSION_MIN: Final = (2, 9)
START_S: Final = 15.0
CHANGE_S: Final = 4.0
END_S: Final = 5.0
WORDS_MAX: Final = 12
"""Lines of what it said that are told when something goes wrong."""
LINE_BYTES_MAX: Final = 64 * 1024
_PID: Final = "pid"
_VERSION: Final = re.compile(r"v(\d+)\.(\d+)")
_LINE: Final = re.compile(r"^\[\d+\] \S+ \S+ \[(\w{3})\] (.*)$")
_LINK: Final = re.compile("(?i)leafnode connection (created|closed)|route connection (created|closed)")
"""What an operator wants to know though nothing is wrong with the server."""
_DENIED: Final = re.compile(r" Violation - |- authentication error")
_READY: Final = "Server is ready"
_CHANGED: Final = "Reloaded server configuration"
_UNCHANGED: Final = "Failed to reload"

_log = logger("bus server")


def program() -> str:
    """Where it is: beside this Python, or on the PATH. Raises Unavailable."""
    beside = Path(sys.executable).parent / PROGRAM
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(PROGRAM)
    if found is None:
        raise Unavailable(
            f"there is no {PROGRAM} on this machine: install it (Debian has a package {PROGRAM}) or put it on the PATH"
        )
    return found


class NatsServer:
    """See BusServer. Its files are in `folder`; what it says goes into our log."""

    def __init__(self, folder: Path, at: str = "") -> None:
        self._folder, self._at = folder.absolute(), at
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._denied = 0
        self.words: deque[str] = deque(maxlen=WORDS_MAX)
        """The last that it said."""
        self._heard: dict[str, asyncio.Event] = {}

    @property
    def folder(self) -> str:
        """See BusServer."""
        return str(self._folder)

    async def start(self, files: Files) -> None:
        """See BusServer."""
        found = self._at or program()
        await _check_version(found)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._end_left()
        self._write(files)
        self.words.clear()
        self._process = await asyncio.create_subprocess_exec(
            *(found, "-c", str(self._folder / CONFIGURATION), "-P", str(self._folder / _PID)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,  # a Ctrl-C is for us: we end it when nobody needs it any more
        )
        ready = self._expect(_READY)
        self._reading = asyncio.create_task(self._read(self._process), name="bus server's words")
        if not await self._comes(ready, START_S):
            words = self._said()
            await self.close()
            raise Broken(f"{PROGRAM} doesn't run. It said: {words}")

    async def change(self, files: Files) -> None:
        """See BusServer."""
        process, before = self._process, self._read_back()
        if process is None or process.returncode is not None:
            raise Broken(f"{PROGRAM} has ended: {self._said()}")
        self._write(files)
        changed, unchanged = self._expect(_CHANGED), self._expect(_UNCHANGED)
        process.send_signal(signal.SIGHUP)
        if await self._comes(changed, CHANGE_S, unchanged):
            return
        words = self._said()
        if before is not None:
            (self._folder / CONFIGURATION).write_text(before)
        raise Broken(f"{PROGRAM} doesn't take its new configuration. It said: {words}")

    async def ended(self) -> str:
        """See BusServer."""
        assert self._process is not None and self._reading is not None
        await self._process.wait()
        await asyncio.wait([self._reading])
        return self._said()

    async def close(self) -> None:
        """See BusServer."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is None:
                process.send_signal(number)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(END_S):
                        await process.wait()
        if self._reading is not None:
            await asyncio.wait([self._reading])
        (self._folder / _PID).unlink(missing_ok=True)

    # --- its files -----------------------------------------------------------------------------------------------

    def _write(self, files: Files) -> None:
        for name, secret in files.items():
            part = self._folder / f"{name}.part"
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(secret.reveal())
            part.replace(self._folder / name)

    def _read_back(self) -> str | None:
        try:
            return (self._folder / CONFIGURATION).read_text()
        except FileNotFoundError:
            return None

    # --- one that was left ---------------------------------------------------------------------------------------

    async def _end_left(self) -> None:
        """Ends a server that a process of ours that was killed has left running here."""
        held = self._left()
        if held is None:
            return
        _log.warning("a server was left running by an earlier process; it is ended", folder=self.folder)
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(held, number)
                if await _gone(held, END_S):
                    return
        finally:
            os.close(held)
        raise Broken(f"a {PROGRAM} of {self.folder} was left running, and can't be ended")

    def _left(self) -> int | None:
        """A descriptor of it. The number alone could be another process's by now: its command line says who it is."""
        try:
            pid = int((self._folder / _PID).read_text())
            held = os.pidfd_open(pid)
        except (OSError, ValueError):
            return None
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            command = []
        if str(self._folder / CONFIGURATION).encode() in command:
            return held
        os.close(held)
        return None

    # --- its words -----------------------------------------------------------------------------------------------

    def _expect(self, words: str) -> asyncio.Event:
        self._heard[words] = asyncio.Event()
        return self._heard[words]

    async def _comes(self, event: asyncio.Event, within_s: float, or_not: asyncio.Event | None = None) -> bool:
        """Whether it said so, and not the other, before it ended or the time was over."""
        assert self._reading is not None
        waits = [asyncio.create_task(one.wait()) for one in (event, or_not) if one is not None]
        await asyncio.wait([*waits, self._reading], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return event.is_set()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:  # longer than any that is of interest
                continue
            if not line:
                break
            self._hear(line.decode(errors="replace").strip())
        await process.wait()

    def _hear(self, line: str) -> None:
        known = _LINE.match(line)
        level, said = (known[1], known[2]) if known else ("", line)
        self.words.append(said)
        for words, event in self._heard.items():
            if words in said:
                event.set()
        if _DENIED.search(said):  # anybody can make as many of these as he likes: not each becomes a line of our log
            self._denied += 1
            if self._denied.bit_count() == 1:
                _log.warning("the server has denied somebody a subject, or an entry", words=said, denied=self._denied)
        elif level in ("WRN", "ERR", "FTL") or _LINK.search(said):
            _log.warning("the server says", words=said)
        else:
            _log.debug("the server says", words=said)

    def _said(self) -> str:
        return "; ".join(self.words) or "nothing"


async def _check_version(found: str) -> None:
    """Raises Unavailable for one that is too old, or that can't be run."""
    try:
        asked = await asyncio.create_subprocess_exec(
            found, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await asked.communicate()
    except OSError as error:
        raise Unavailable(f"{found} can't be run: {error}") from error
    known = _VERSION.search(said.decode(errors="replace"))
    if known is None or (int(known[1]), int(known[2])) < VERSION_MIN:
        least = ".".join(map(str, VERSION_MIN))
        raise Unavailable(f"{found} says {said.decode(errors='replace').strip()!r}; version {least} or newer is needed")


async def _gone(held: int, within_s: float) -> bool:
    gone, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(held, gone.set)
    try:
        async with asyncio.timeout(within_s):
            await gone.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(held)
    return True

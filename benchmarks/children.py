"""Processes of a measurement: each is told what to do by lines on its input, and answers each by a line of JSON."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Self

LINE_BYTES_MAX: Final = 64 * 1024 * 1024

Answer = dict[str, Any]


class Child:
    """One of them, seen from the process that measures."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def started(cls, module: str, *arguments: str) -> Self:
        """Starts a module of ours."""
        command = (sys.executable, "-m", module, *arguments)
        return cls(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=LINE_BYTES_MAX))

    async def answer(self) -> Answer:
        """The next line of its output. Raises RuntimeError if it has ended."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the measurement has ended ({await self._process.wait()}); see above why")
        answer: Answer = json.loads(line)
        return answer

    async def tell(self, *words: str) -> Answer:
        """What it answers to a line."""
        assert self._process.stdin is not None
        async with self._turn:
            self._process.stdin.write(f"{' '.join(words)}\n".encode())
            return await self.answer()

    async def close(self) -> None:
        """It ends when there is nothing more to do."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def obey(ready: Answer, verbs: dict[str, Callable[..., Awaitable[Answer]]]) -> None:
    """In such a process: says that it is ready, and does what it is told until its input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps(ready), flush=True)
    async for verb, *words in _lines(reader):
        print(json.dumps(await verbs[verb](*words)), flush=True)


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[list[str]]:
    while line := await reader.readline():
        yield line.decode().split()

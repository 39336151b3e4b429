"""How a command ends: what went wrong is a sentence on standard error, and an exit code."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from freehold.vocabulary.errors import FreeholdError


def run(work: Coroutine[Any, Any, None]) -> None:
    """Does a command's work. Exits with 1 after an error, with 130 when it was broken off, with 143 when it was told to
    end: what it has made for a while, like a store's copy with its secrets, is removed first.
    """
    try:
        asyncio.run(_ended_by_signal(work))
    except FreeholdError as error:
        print(f"freehold: {error.message}", file=sys.stderr)
        raise SystemExit(1) from error
    except KeyboardInterrupt as error:
        raise SystemExit(130) from error
    except asyncio.CancelledError as error:
        raise SystemExit(143) from error


async def _ended_by_signal(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    assert task is not None, "it runs in one"
    with contextlib.suppress(ValueError, RuntimeError):  # only a process' first thread hears signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await work

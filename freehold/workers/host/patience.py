"""Waiting for something, but not for ever."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from freehold.runtime.clock import Clock


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, Any]) -> bool:
    """Whether `work` ended within `seconds`; else it is cancelled. Raises what it raised."""
    waited = asyncio.ensure_future(work)
    late = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({waited, late}, return_when=asyncio.FIRST_COMPLETED)
        if waited.done():
            waited.result()
        return waited.done()
    finally:
        waited.cancel()
        late.cancel()

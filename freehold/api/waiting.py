"""Calls that wait: ``Prefer: wait=N`` (RFC 7240), up to a stage or until what was asked is done.

Nobody looks again and again: the view wakes who waits, by the names of what it waits for. Meanwhile a call has no place
among those that are served (`Call.park`). It ends when what it waits for is there, when that can't come any more, at
the end of its time, when the client is gone, or when this process ends: the request goes on in any case.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Final

from freehold.api.call import Call

WAIT_S_MAX: Final = 300
"""No call waits longer; a longer wait that a client prefers is taken as this one."""
_PREFERENCE: Final = re.compile(r'\s*wait\s*=\s*(?:"(\d{1,9})"|(\d{1,9}))\s*(?:;.*)?', re.IGNORECASE | re.ASCII)


def preferred_s(call: Call) -> int:
    """How long the client would have the answer wait, in seconds; 0: not at all. A preference that can't be understood
    is ignored, as RFC 7240 has it; of several, the first counts.
    """
    for preference in call.headers.get("prefer", "").split(","):
        found = _PREFERENCE.fullmatch(preference)
        if found is not None:
            return min(int(found[1] or found[2]), WAIT_S_MAX)
        if re.match(r"\s*wait\s*(?:[=;]|$)", preference, re.IGNORECASE):
            return 0
    return 0


def applied(wait_s: int, until: str) -> dict[str, str]:
    """The header that says that the wait was granted, and how far it got."""
    return {"preference-applied": f"wait={wait_s}, until={until}"}


async def wait(call: Call, names: Iterable[str], is_over: Callable[[], bool], wait_s: int) -> bool:
    """Waits until `is_over`, which is asked whenever there is news of `names` (guests, URNs). False if there was no
    place to wait at.
    """
    newsroom = call.cloud.view.news
    with newsroom.watch(names) as watch:
        if is_over():
            return True
        if not await call.park():
            return False
        gone = asyncio.ensure_future(call.gone())
        gone.add_done_callback(lambda _: watch.wake())
        try:
            async with asyncio.timeout(wait_s):
                while not (is_over() or gone.done() or newsroom.is_over):
                    await watch.changed()
        except TimeoutError:
            pass
        finally:
            gone.cancel()
    return True

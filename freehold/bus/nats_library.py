"""nats-py as it is used here. It loads aiohttp if that is there, for websockets, which nobody here speaks: 70 of the
400 ms of CPU that an API process takes to start. So while it is loaded aiohttp isn't to be found.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _without(name: str) -> Iterator[None]:
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # the import system's word for a module that isn't there
    try:
        yield
    finally:
        del sys.modules[name]


with _without("aiohttp"):
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.errors import Error, NoRespondersError, StaleConnectionError

__all__ = ("Client", "Error", "Msg", "NoRespondersError", "StaleConnectionError", "Subscription")

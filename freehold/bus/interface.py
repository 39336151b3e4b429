"""The bus.

Promises of every member, checked by `tests/contract/test_bus.py`:

- A publication reaches each subscriber at most a few times and usually once: it may be lost, doubled, late or out of
  order. Of subscribers
  in one group, one gets it.
- A question is answered by one of its answerers, or `ask` raises NoAnswer at its deadline; what was asked may have
  happened then.
- A handler that fails or is slow harms nobody else; a subscriber that falls behind loses its oldest messages, and
  nobody waits for it.
- Subjects are tokens joined by dots; a subscription may use ``*`` for one token and ``>`` for the rest.
- Bodies are at most `BODY_BYTES_MAX`; a longer one is refused with TooLarge before it is sent.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

CARRIED_BYTES_MAX: Final = 1024 * 1024
"""The most that is carried in one message: NATS' default."""
BODY_BYTES_MAX: Final = CARRIED_BYTES_MAX - 16 * 1024
"""The largest message: what is left when it is sealed."""

Listener = Callable[[str, bytes], Awaitable[None]]
"""(subject, body) of a publication."""

Answerer = Callable[[str, bytes], Awaitable[bytes]]
"""(subject, body) of a question -> the answer's body."""


class Subscription(Protocol):
    """Something that hears."""

    async def close(self) -> None:
        """Hears no more; what it has begun is finished."""


class Hearing(Subscription, Protocol):
    """A subscription to publications."""

    async def caught_up(self) -> None:
        """Waits until all that has come by now was delivered, or lost. Others of the same bus may be ahead of it."""


class Bus(Protocol):
    """See the module."""

    async def publish(self, subject: str, body: bytes) -> None:
        """Says something to whoever listens. Doesn't wait for them."""

    async def ask(self, subject: str, body: bytes, deadline_s: float) -> bytes:
        """Asks and waits for one answer. Raises NoAnswer at the deadline, or at once if nobody answers this subject."""

    async def subscribe(self, subject: str, listener: Listener, group: str = "") -> Hearing:
        """Hears publications. Calls to one listener follow one another."""

    async def answer(self, subject: str, answerer: Answerer, group: str) -> Subscription:
        """Answers questions, sharing them with others of the group. Calls to one answerer may overlap."""

    def on_connect(self, listener: Callable[[float], None]) -> Subscription:
        """Tells of each connection to the others that is made from now on, and for how many seconds before it what was
        said, or was to be heard, may be lost; 0 for the first. A bus without connections never does.
        """

    async def close(self) -> None:
        """Ends all subscriptions."""

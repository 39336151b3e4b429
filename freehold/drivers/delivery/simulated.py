"""Receivers in memory, which keep what they were sent and fail as they are told."""

import asyncio
from collections.abc import Awaitable, Callable

from freehold.drivers.delivery.interface import Answered, Failed, Outcome, Outgoing
from freehold.vocabulary.receiver import Network, refused_url

Receiving = Callable[[Outgoing], Awaitable[Outcome]]
"""What a receiver does with a request; one that never returns hangs."""


class SimulatedDelivery:
    """See Delivery. `receivers`: by URL without its query; a URL that has none can't be reached."""

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]],
        receivers: dict[str, Receiving] | None = None,
        *,
        allowed: tuple[Network, ...] = (),
        deadline_s: float = 15.0,
    ) -> None:
        self._sleep, self._allowed, self._deadline_s = sleep, allowed, deadline_s
        self.receivers = {} if receivers is None else receivers

    def refused(self, url: str) -> str:
        """See Delivery."""
        return refused_url(url, self._allowed)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """See Delivery."""
        reason = self.refused(outgoing.url)
        if reason:
            return Failed(reason, forbidden=True)
        receiver = self.receivers.get(outgoing.url.partition("?")[0])
        if receiver is None:
            return Failed("no connection: nobody is there")
        try:
            async with asyncio.timeout(self._deadline_s):
                return await receiver(outgoing)
        except TimeoutError:
            return Failed(f"no answer within {self._deadline_s:g} s")

    async def close(self) -> None:
        """See Delivery."""


async def takes(outgoing: Outgoing) -> Outcome:
    """A receiver that takes everything; it answers a question with what the question's challenge is."""
    _, _, challenge = outgoing.url.partition("hub.challenge=")
    return Answered(200, challenge.partition("&")[0].encode())

"""The simulated deliveries: what is its own."""

from freehold.drivers.delivery.interface import Failed, Outcome, Outgoing
from freehold.drivers.delivery.simulated import SimulatedDelivery
from freehold.runtime.clock import SystemClock


async def test_a_receiver_is_found_without_the_query() -> None:
    got: list[str] = []

    async def receiver(outgoing: Outgoing) -> Outcome:
        got.append(outgoing.url)
        return Failed("the answer was lost")

    delivery = SimulatedDelivery(SystemClock().sleep, {"https://a.example/hook": receiver})
    assert await delivery.send(Outgoing("https://a.example/hook?x=1")) == Failed("the answer was lost")
    assert got == ["https://a.example/hook?x=1"]

"""WebSub: subscribers are asked back before anything is written about them; a wish lasts until they were."""

from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from freehold.drivers.delivery.interface import Answered
from freehold.runtime.chance import Chance
from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.store.writing import Change
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.notification import Feed, Subscribe
from freehold.vocabulary.units import clock_time, unix_ms
from freehold.workers.notifier import lifecycle
from freehold.workers.notifier.effects import Effects
from freehold.workers.notifier.lifecycle import VERIFY_PAUSE_S, Lease
from freehold.workers.notifier.queues import Queues
from freehold.workers.notifier.records import Records

CHALLENGE_BYTES: Final = 24
NO_FEED: Final = "The topic is gone."

_log = logger("notifier")


class Leasing:
    """Leases on feeds, and wishes for them."""

    def __init__(self, records: Records, queues: Queues, effects: Effects, clock: HybridClock, chance: Chance) -> None:
        self._records, self._queues, self._effects = records, queues, effects
        self._clock, self._chance = clock, chance
        self.tasks = Tasks("notifier.leasing")
        self._asking: set[str] = set()

    def open(self) -> None:
        """Asks those whom the last process hadn't asked yet."""
        for wish in tuple(self._records.wishes.values()):
            self._ask(wish.id)

    def wish(self, asked: Subscribe, feed: Feed) -> list[Change]:
        """Takes a wish; the subscriber is asked when it is durable. Raises BadRequest, QuotaExceeded."""
        lease = _name(feed.id, asked)
        reason = self._effects.refused(asked.callback.reveal())
        if reason:
            raise BadRequest(f"The callback can't be told: {reason}")
        held = self._records.leases.get(lease) or self._records.wishes.get(lease)
        known = {**self._records.leases, **self._records.wishes}.values()
        holders = sum(one.feed == feed.id for one in known)
        changes = self._records.put_wish(lifecycle.wished(asked, feed, lease, held, holders))
        self._ask(lease)
        return changes

    def end_feed(self, feed: str) -> list[Change]:
        """Ends every lease on a feed and every wish for one, and tells who had them."""
        changes: list[Change] = []
        for lease in [lease for lease in self._records.leases.values() if lease.feed == feed]:
            changes += self._records.drop_lease(lease.id, self._queues.clear(lease.id))
            self.tasks.start("deny", self._effects.deny(lease, NO_FEED))
        for wish in [wish for wish in self._records.wishes.values() if wish.feed == feed]:
            changes += self._records.drop_wish(wish.id)
        return changes

    def _ask(self, wish: str) -> None:
        if wish not in self._asking:
            self._asking.add(wish)
            self.tasks.start("ask back", self._asked(wish))

    async def _asked(self, name: str) -> None:
        """Asks until there is an answer, or it was tried enough; of a wish that was replaced meanwhile, anew."""
        try:
            await self._records.durable()
            while (wish := self._records.wishes.get(name)) is not None:
                left = await self._ask_once(wish)
                await self._records.durable()
                if left is not None:
                    await self._clock.clock.sleep(VERIFY_PAUSE_S)
        finally:
            self._asking.discard(name)

    async def _ask_once(self, wish: Lease) -> Lease | None:
        challenge = self._chance.bytes(CHALLENGE_BYTES).hex()
        outcome = await self._effects.ask_back(wish, challenge)
        if self._records.wishes.get(wish.id) is not wish:  # another has taken its place, or the feed is gone
            return None
        status, body = (outcome.status, outcome.body) if isinstance(outcome, Answered) else (0, b"")
        if lifecycle.is_confirmed(status, body, challenge):
            self._records.stage([*self._granted(wish), *self._records.drop_wish(wish.id)], "verified")
            return None
        left = lifecycle.asked_again(wish, status)
        if left is None:
            _log.info("a subscriber didn't confirm; nothing is changed", feed=wish.feed, status=status)
        self._records.stage(
            self._records.drop_wish(wish.id) if left is None else self._records.put_wish(left), "not verified"
        )
        return left

    def _granted(self, wish: Lease) -> list[Change]:
        """What a confirmed wish changes: what waits for a holder who renews goes on waiting."""
        if not wish.ends:
            until = clock_time(unix_ms(self._clock.now()) + wish.lease_s * 1000)
            return self._records.put_lease(replace(wish, until=until, tries=0))
        if wish.id not in self._records.leases:
            return []
        return self._records.drop_lease(wish.id, self._queues.clear(wish.id))


def _name(feed: str, asked: Subscribe) -> str:
    """One subscription has one name: that of its topic and callback."""
    text = f"{feed}\0{asked.topic}\0{asked.callback.reveal()}"
    return blake2b(text.encode(), digest_size=16).hexdigest()

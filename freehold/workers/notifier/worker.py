"""The loop: owners' logs in, deliveries out, and questions answered."""

from typing import Final

from msgspec.structs import replace

from freehold.bus import subjects
from freehold.bus.interface import Subscription
from freehold.drivers.delivery.interface import Answered, Delivery, Outcome
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks, periodically
from freehold.store.database import Store
from freehold.store.writing import Change
from freehold.views.follower import Follower
from freehold.vocabulary.notification import Attempt, NotifierQuestion
from freehold.vocabulary.word import Word
from freehold.workers.base import Desk, Means
from freehold.workers.notifier import lifecycle
from freehold.workers.notifier.effects import Effects
from freehold.workers.notifier.gathering import FOLLOWED, Gathering
from freehold.workers.notifier.leasing import Leasing
from freehold.workers.notifier.lifecycle import Again, Over
from freehold.workers.notifier.questions import Questions
from freehold.workers.notifier.queues import Queues
from freehold.workers.notifier.reconciler import LOOK_PERIOD_S, Reconciler
from freehold.workers.notifier.records import Parcel, Records

GROUP: Final = "notifier"
WRITE_PERIOD_S: Final = 1.0
"""How long what was seen may be unwritten: as much is read again after a crash."""

_log = logger("notifier")


class NotifierWorker:
    """Owner of webhooks, feeds, leases on them, and of what is to be delivered."""

    def __init__(self, means: Means, store: Store, delivery: Delivery, name: str = "notifier") -> None:
        self._means = means
        self._records = Records(store)
        self._desk = Desk(means, store, name)
        self._effects = Effects(delivery, means.clock)
        self.queues = Queues(means.clock.clock.monotonic_s, self._send, self._wake)
        self._reconciler = Reconciler(self._records, self.queues, means.clock)
        self._leasing = Leasing(self._records, self.queues, self._effects, means.clock, means.chance)
        self._questions = Questions(self._records, self.queues, self._effects, self._leasing, means)
        sink = Gathering(self._records, self.queues, means.clock, means.shards, self._over, self._questions.ended)
        self.follower = Follower(means.bus, FOLLOWED, sink, room="notifier")
        self._well: set[str] = set()
        """Receivers that took the last that was sent to them, and something since this process began."""
        self._subscriptions: list[Subscription] = []
        self.tasks = Tasks("notifier")
        self.tasks.watch(self._desk.tasks, self.follower.tasks, self._leasing.tasks)

    async def open(self) -> None:
        """Goes on with what waits, and hears owners and questions."""
        self._take_up()
        await self._desk.open()
        self.queues.open = True
        for target in self.queues.targets():
            self.queues.pump_one(target)
        self._leasing.open()
        await self.follower.open()
        self._subscriptions = [
            await self._desk.serve(subjects.ASK_NOTIFIER, NotifierQuestion, self._answer, GROUP),
        ]
        sleep = self._means.clock.clock.sleep
        self.tasks.start("write", periodically(sleep, WRITE_PERIOD_S, self._write))
        look = self._desk.watchdog.watched("reconcile", self._reconciler.look)
        self.tasks.start("reconcile", periodically(sleep, LOOK_PERIOD_S, look))

    async def close(self) -> None:
        """Hears no more. What is under way is sent again. The store is closed by whoever opened it."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self.follower.close()
        await self._leasing.tasks.close()
        await self.tasks.close()
        self._records.write()
        await self._records.durable()
        await self._desk.close()

    async def _write(self) -> None:
        self._records.write()

    def _take_up(self) -> None:
        """What waits on the disk; what waits for nobody is let go of."""
        changes: list[Change] = []
        for target, number, lane in list(self._records.waiting()):
            if self._records.target(target) is None:
                changes += self._records.clear(target, (number,))
            else:
                self.queues.add(target, number, lane)
        for target in self._records.health.keys() & set(self.queues.targets()):
            self.queues.doubt(target)
        if changes:
            self._records.stage(changes, "take up")

    async def _answer(self, question: NotifierQuestion) -> Word:
        answer = await self._questions.answer(question)
        await self._records.durable()
        self.queues.pump()
        return answer

    # --- deliveries ------------------------------------------------------------------------------------------------

    def _send(self, target: str, number: int) -> None:
        self.tasks.start("deliver", self._deliver(target, number))

    def _wake(self, target: str, seconds: float) -> None:
        self.tasks.start("wait", self._woken(target, seconds))

    async def _woken(self, target: str, seconds: float) -> None:
        await self._means.clock.clock.sleep(seconds)
        self.queues.woken(target)

    async def _deliver(self, target: str, number: int) -> None:
        # Nothing is told before it is durable: neither the event, nor that it was to be sent.
        await self._records.durable()
        parcel = self._records.parcel(target, number)
        if parcel is None:  # dropped meanwhile
            self.queues.end(target, number, taken=False)
            return
        tried = await self._tried(target, parcel)
        # While it was under way its receiver may have been given up, changed or deleted.
        if tried is None or self._records.parcel(target, number) is None:
            self.queues.end(target, number, taken=False)
        else:
            self._judge(target, number, parcel, *tried)

    async def _tried(self, target: str, parcel: Parcel) -> tuple[Attempt, Outcome] | None:
        doubtful = target not in self._well
        hook, lease = self._records.webhooks.get(target), self._records.leases.get(target)
        if hook is not None and hook.enabled:
            secrets = self._records.secrets(target)
            assert secrets is not None, "made with the webhook, in one transaction"
            return await self._effects.post(hook, secrets, parcel.event, doubtful=doubtful)
        if lease is not None and not self._reconciler.is_over(lease):
            return await self._effects.distribute(lease, parcel.event, doubtful=doubtful)
        return None

    def _judge(self, target: str, number: int, parcel: Parcel, attempt: Attempt, outcome: Outcome) -> None:
        asked_s = lifecycle.retry_after_s(outcome.retry_after) if isinstance(outcome, Answered) else 0.0
        drawn = self._means.chance.uniform(0.0, 1.0)
        of_it = lifecycle.after(parcel.health, attempt, drawn, asked_s)
        of_all = lifecycle.after(self._records.health_of(target), attempt, drawn, asked_s)
        (self._well.add if attempt.taken else self._well.discard)(target)
        parcel = replace(parcel, tries=parcel.tries + 1, attempt=attempt)
        match of_all, of_it:
            case Over(reason=reason), _:
                self._records.stage([*self._records.end(target, number, parcel), *self._over(target, reason)], "over")
            case Again(health=of_receiver), Again(health=health):
                changes = self._records.put_parcel(target, number, replace(parcel, health=health))
                self._records.stage([*changes, *self._records.put_health(target, of_receiver)], "failed")
                self.queues.fail(target, number, of_receiver.pause_s, health.pause_s)
            case _:  # taken, or given up alone: others were taken meanwhile
                health = lifecycle.WELL if attempt.taken else self._records.health_of(target)
                changes = [*self._records.end(target, number, parcel), *self._records.put_health(target, health)]
                self._records.stage(changes, "delivered" if attempt.taken else "given up")
                self.queues.end(target, number, taken=attempt.taken)

    def _over(self, target: str, reason: str) -> list[Change]:
        """Gives what is to be written when nothing is sent to a receiver any more."""
        self._well.discard(target)
        numbers = self.queues.clear(target)
        hook = self._records.webhooks.get(target)
        if hook is None:
            return self._records.drop_lease(target, numbers) if target in self._records.leases else []
        _log.warning("a webhook is disabled", webhook=target, project=hook.project, reason=reason, dropped=len(numbers))
        disabled = replace(hook, enabled=False, reason=reason, updated=self._means.clock.now())
        return [*self._records.put_webhook(disabled), *self._records.clear(target, numbers)]

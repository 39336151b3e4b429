"""What the notifier is asked: each question decided and staged, or refused."""

import hmac
from hashlib import sha256
from itertools import accumulate
from typing import Final

from msgspec.structs import replace

from freehold.runtime.chance import new_id
from freehold.store.writing import Change
from freehold.views.feed import Event
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.notification import (
    PING,
    TRIED_MAX,
    Attempt,
    CreateFeed,
    CreateWebhook,
    DeleteFeed,
    DeleteWebhook,
    Deliveries,
    DeliveriesOf,
    Delivery,
    Feed,
    FeedMade,
    FeedPage,
    NotifierQuestion,
    PingWebhook,
    ReadFeed,
    RenewSecret,
    Resend,
    Subscribe,
    UpdateWebhook,
    Webhook,
    WebhookMade,
)
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import clock_time, unix_ms
from freehold.vocabulary.word import Word
from freehold.workers.base import Means
from freehold.workers.notifier import lifecycle
from freehold.workers.notifier.effects import Effects, fresh_secret
from freehold.workers.notifier.gathering import missed
from freehold.workers.notifier.leasing import Leasing
from freehold.workers.notifier.lifecycle import Secrets
from freehold.workers.notifier.queues import Queues
from freehold.workers.notifier.records import Parcel, Records, lane_of

SECRET_BYTES: Final = 32
KEY_BYTES: Final = 24
BOTH_SECRETS_S: Final = 24 * 3600
WAITING_SHOWN_MAX: Final = 50
PAGE_BYTES_MAX: Final = 256 * 1024
"""Of events in one answer: what a feed shows besides is too long to be shown."""


class Questions:
    """See the module."""

    def __init__(self, records: Records, queues: Queues, effects: Effects, leasing: Leasing, means: Means) -> None:
        self._records, self._queues, self._effects = records, queues, effects
        self._leasing, self._means = leasing, means

    async def answer(self, question: NotifierQuestion) -> Word:
        """The answer, which rests on what is staged. Raises what the question says."""
        match question:
            case PingWebhook(webhook=webhook, project=project):
                return await self._ping(self._webhook(webhook, project))
            case DeliveriesOf(webhook=webhook, project=project):
                return self._deliveries(self._webhook(webhook, project))
            case ReadFeed(feed=feed, key=key):
                return self._read(self._opened(feed, key))
            case CreateWebhook(webhook=given):
                return self._create(given)
            case RenewSecret(webhook=webhook, project=project):
                return self._renew(self._webhook(webhook, project))
            case CreateFeed(feed=given_feed):
                return self._create_feed(given_feed)
            case _:
                return self._change(question)

    def _change(self, question: UpdateWebhook | DeleteWebhook | Resend | DeleteFeed | Subscribe) -> Done:
        match question:
            case UpdateWebhook(webhook=given):
                return self._stage(self._updated(self._webhook(given.id, given.project), given), question, given.id)
            case DeleteWebhook(webhook=webhook, project=project):
                self._webhook(webhook, project)
                return self._stage(self._dropped(webhook), question, webhook)
            case Resend(webhook=webhook, project=project, delivery=delivery):
                return self._stage(self._resent(self._webhook(webhook, project), delivery), question, webhook)
            case DeleteFeed(feed=feed, project=project):
                lifecycle.owned(self._records.feeds.get(feed), project, "Feed", feed)
                return self._stage(self._dropped_feed(feed), question, feed)
            case Subscribe(feed=feed, key=key):
                return self._stage(self._leasing.wish(question, self._opened(feed, key)), question, feed)

    def ended(self, project: str) -> list[Change]:
        """Gives what is to be written when a project is gone: nobody is told of it any more."""
        hooks = [hook.id for hook in self._records.webhooks.values() if hook.project == project]
        feeds = [feed.id for feed in self._records.feeds.values() if feed.project == project]
        dropped = [change for hook in hooks for change in self._dropped(hook)]
        return [*dropped, *(change for feed in feeds for change in self._dropped_feed(feed))]

    # --- webhooks --------------------------------------------------------------------------------------------------

    def _webhook(self, webhook: str, project: str) -> Webhook:
        found = self._records.webhooks.get(webhook)
        lifecycle.owned(found, project, "Webhook", webhook)
        assert found is not None
        return found

    def _create(self, given: Webhook) -> WebhookMade:
        owned = sum(hook.project == given.project for hook in self._records.webhooks.values())
        hook = lifecycle.created(given, new_id(self._means.chance), owned, self._means.clock.now())
        self._check_receiver(hook.url)
        secret = fresh_secret(self._means.chance.bytes(SECRET_BYTES))
        changes = [*self._records.put_webhook(hook), *self._records.put_secrets(hook.id, Secrets(now=secret))]
        return WebhookMade(done=self._staged(changes, CreateWebhook.__name__, hook.id), secret=secret)

    def _check_receiver(self, url: str) -> None:
        reason = self._effects.refused(url)
        if reason:
            raise BadRequest(reason)

    def _renew(self, hook: Webhook) -> WebhookMade:
        stands, now = self._records.secrets(hook.id), self._means.clock.now()
        secret = fresh_secret(self._means.chance.bytes(SECRET_BYTES))
        until = clock_time(unix_ms(now) + BOTH_SECRETS_S * 1000)
        secrets = Secrets(now=secret, before=None if stands is None else stands.now, before_until=until)
        changes = [*self._records.put_secrets(hook.id, secrets), *self._records.put_webhook(replace(hook, updated=now))]
        return WebhookMade(done=self._staged(changes, RenewSecret.__name__, hook.id), secret=secret)

    def _updated(self, stands: Webhook, given: Webhook) -> list[Change]:
        now = self._means.clock.now()
        hook = lifecycle.updated(stands, given, now)
        self._check_receiver(hook.url)
        changes = self._records.put_webhook(hook)
        if not hook.enabled:
            changes += self._records.clear(hook.id, self._queues.clear(hook.id))
        elif not stands.enabled:
            event = missed(new_id(self._means.chance).replace("-", ""), hook.project, now, "others")
            changes += self._add(hook.id, event)
        return changes

    def _dropped(self, webhook: str) -> list[Change]:
        return self._records.drop_webhook(webhook, self._queues.clear(webhook))

    def _add(self, webhook: str, event: Event) -> list[Change]:
        number, changes = self._records.add(webhook, event)
        self._queues.add(webhook, number, lane_of(event))
        return changes

    async def _ping(self, hook: Webhook) -> Attempt:
        secrets = self._records.secrets(hook.id)
        assert secrets is not None, "made with the webhook, in one transaction"
        event = Event(
            id=new_id(self._means.chance).replace("-", ""),
            type=PING,
            subject=("webhook", hook.id),
            project=hook.project,
            time=self._means.clock.now(),
            data={"id": hook.id, "name": hook.name},
        )
        await self._records.durable()
        attempt, _ = await self._effects.post(hook, secrets, event, doubtful=True)
        return attempt

    def _resent(self, hook: Webhook, delivery: str) -> list[Change]:
        if not hook.enabled:
            raise Conflict(f"Webhook {hook.id} is disabled: enable it first.")
        number = int(delivery) if delivery.isascii() and delivery.isdigit() and len(delivery) < 17 else -1
        parcel = self._records.parcel(hook.id, number, "tried") if number in self._records.tried(hook.id) else None
        if parcel is None:
            raise NotFound(f"Delivery {delivery[:64]} could not be found.")
        return self._add(hook.id, parcel.event)

    def _deliveries(self, hook: Webhook) -> Deliveries:
        waiting, tried = self._queues.numbers(hook.id), self._records.tried(hook.id)
        shown = waiting[:WAITING_SHOWN_MAX]  # the oldest: on them the others wait
        found = [
            _shown(number, parcel, waits=kind == "waiting")
            for kind, numbers in (("waiting", shown), ("tried", tried[-TRIED_MAX:]))
            for number in reversed(numbers)
            if (parcel := self._records.parcel(hook.id, number, kind)) is not None
        ]
        return Deliveries(deliveries=tuple(found), waiting=len(waiting) - len(shown))

    # --- feeds -----------------------------------------------------------------------------------------------------

    def _opened(self, feed: str, key: Secret) -> Feed:
        found, digest = self._records.feeds.get(feed), sha256(key.reveal().encode()).digest()
        if found is None or not hmac.compare_digest(self._records.feed_key(feed), digest):
            raise NotFound("There is no feed at this URL, or not any more.")
        return found

    def _read(self, feed: Feed) -> FeedPage:
        events = self._records.recent(feed.id)
        updated = decode(events[0], Event).time if events else feed.created
        sizes = accumulate(len(event) for event in events)
        shown = tuple(event for event, size in zip(events, sizes, strict=True) if size <= PAGE_BYTES_MAX)
        return FeedPage(feed=feed, events=shown, updated=updated)

    def _create_feed(self, given: Feed) -> FeedMade:
        owned = len(self._records.feeds_of(given.project))
        feed = lifecycle.created_feed(given, new_id(self._means.chance), owned, self._means.clock.now())
        key = Secret(self._means.chance.bytes(KEY_BYTES).hex())
        changes = self._records.put_feed(feed, sha256(key.reveal().encode()).digest())
        return FeedMade(done=self._staged(changes, CreateFeed.__name__, feed.id), key=key)

    def _dropped_feed(self, feed: str) -> list[Change]:
        return [*self._leasing.end_feed(feed), *self._records.drop_feed(feed)]

    # ---------------------------------------------------------------------------------------------------------------

    def _stage(self, changes: list[Change], question: Word, key: str) -> Done:
        return self._staged(changes, type(question).__name__, key)

    def _staged(self, changes: list[Change], cause: str, key: str) -> Done:
        return self._records.done(self._records.stage(changes, cause), key)


def _shown(number: int, parcel: Parcel, *, waits: bool) -> Delivery:
    event = parcel.event
    return Delivery(
        id=str(number),
        event=event.id,
        type=event.type,
        subject=event.subject,
        waits=waits,
        tries=parcel.tries,
        attempt=parcel.attempt,
    )

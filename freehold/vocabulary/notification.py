"""Who is told what happened, and how it went: webhooks, feeds, and those who hold a lease on a feed (WebSub)."""

from freehold.vocabulary.envelope import Done
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Message, Word

MISSED = "freehold.events.missed"
"""The type of the event that says that something wasn't told."""
PING = "freehold.ping"

WEBHOOKS_MAX = 20
"""Of a project."""
FEEDS_MAX = 50
"""Of a project."""
LEASES_MAX = 50
"""Of a feed."""
FILTERS_MAX = 50
"""Types, or things, that one webhook names."""
RECENT_MAX = 100
"""Events that a feed shows."""
TRIED_MAX = 50
"""Deliveries that a webhook's log shows."""
WAITING_MAX = 10_000
"""Deliveries that may wait for one receiver."""
NAME_LETTERS_MAX = 255
HUB_SECRET_BYTES_MAX = 199
"""WebSub: "MUST be less than 200 bytes in length"."""
CALLBACK_LETTERS_MAX = 1000
"""Of a subscriber: to it is added what it is asked, and the whole must be a URL still."""
LEASE_S_MIN = 300
LEASE_S_MAX = 30 * 24 * 3600
LEASE_S = 10 * 24 * 3600
"""Where the subscriber names none."""


class Webhook(Word, frozen=True, kw_only=True):
    """A project's wish to be told by POST (kind ``webhook``, key its id). Its secret is a private row."""

    id: str
    project: str
    user: str
    name: str = ""
    url: str
    types: tuple[str, ...] = ()
    """Types of events, or what they begin with and ``*``; none: all."""
    about: tuple[str, ...] = ()
    """Ids of guests and of other things, URNs of requests; none: all of the project's."""
    enabled: bool = True
    reason: str = ""
    """Why it isn't, as a sentence."""
    created: int = 0
    updated: int = 0


class Feed(Word, frozen=True, kw_only=True):
    """Events of a project as a document, for whoever has its URL (kind ``feed``, key its id). What makes its URL one
    that nobody guesses is a private row.
    """

    id: str
    project: str
    user: str
    about: str = ""
    """A guest, another thing, or a request's URN; empty: the whole project."""
    created: int = 0


class CreateWebhook(Message, frozen=True, kw_only=True):
    """Id and times are the notifier's. Errors: BadRequest (URL), QuotaExceeded. Answer: WebhookMade."""

    webhook: Webhook


class UpdateWebhook(Message, frozen=True, kw_only=True):
    """Replaces it, but for id, project, user and times. Disabled: what waits is dropped. Enabled again: it begins with
    a `MISSED` event. Errors: NotFound, BadRequest. Answer: Done.
    """

    webhook: Webhook


class RenewSecret(Message, frozen=True, kw_only=True):
    """A fresh secret; for a day deliveries are signed with the one before as well. Errors: NotFound. Answer:
    WebhookMade.
    """

    webhook: str
    project: str


class DeleteWebhook(Message, frozen=True, kw_only=True):
    """`project` empty, here and below: an admin asks. Errors: NotFound. Answer: Done."""

    webhook: str
    project: str


class PingWebhook(Message, frozen=True, kw_only=True):
    """Sends a `PING` now, once, whether it is enabled or not. Errors: NotFound. Answer: Attempt."""

    webhook: str
    project: str


class DeliveriesOf(Message, frozen=True, kw_only=True):
    """What waits, and what was tried last. Errors: NotFound. Answer: Deliveries."""

    webhook: str
    project: str


class Resend(Message, frozen=True, kw_only=True):
    """Sends an event of the log once more, behind what waits. Errors: NotFound, Conflict (disabled). Answer: Done."""

    webhook: str
    project: str
    delivery: str


class CreateFeed(Message, frozen=True, kw_only=True):
    """Errors: QuotaExceeded. Answer: FeedMade."""

    feed: Feed


class DeleteFeed(Message, frozen=True, kw_only=True):
    """Ends its leases; their holders are told. Errors: NotFound. Answer: Done."""

    feed: str
    project: str


class ReadFeed(Message, frozen=True, kw_only=True):
    """Asks for what a feed shows. Errors: NotFound, also for a wrong key. Answer: FeedPage."""

    feed: str
    key: Secret


class Subscribe(Message, frozen=True, kw_only=True):
    """WebSub: somebody wants to hold (or, with `ends`, to give up) a lease on a feed; they are asked back. Errors:
    NotFound (feed or key), BadRequest (callback, secret), QuotaExceeded. Answer: Done.
    """

    feed: str
    key: Secret
    topic: str
    """The feed's URL, as it was named."""
    hub: str
    callback: Secret
    secret: Secret | None = None
    lease_s: int | None = None
    ends: bool = False


NotifierQuestion = (
    CreateWebhook
    | UpdateWebhook
    | RenewSecret
    | DeleteWebhook
    | PingWebhook
    | DeliveriesOf
    | Resend
    | CreateFeed
    | DeleteFeed
    | ReadFeed
    | Subscribe
)


class WebhookMade(Word, frozen=True, kw_only=True):
    """The secret is told this once."""

    done: Done
    secret: Secret


class FeedMade(Word, frozen=True, kw_only=True):
    """The key is told this once."""

    done: Done
    key: Secret


class Attempt(Word, frozen=True, kw_only=True):
    """One try. `status`: HTTP's, 0 for no answer."""

    time: int
    taken: bool
    status: int = 0
    reason: str = ""
    took_ms: int = 0


class Delivery(Word, frozen=True, kw_only=True):
    """An event on its way to a receiver, or there. `attempts`: the newest; how many there were is `tries`."""

    id: str
    event: str
    type: str
    subject: tuple[str, str]
    waits: bool = True
    tries: int = 0
    attempt: Attempt | None = None


class Deliveries(Word, frozen=True, kw_only=True):
    """Answer to DeliveriesOf, newest first. `waiting`: how many there are beyond those shown."""

    deliveries: tuple[Delivery, ...]
    waiting: int = 0


class FeedPage(Word, frozen=True, kw_only=True):
    """Answer to ReadFeed: events (as `freehold.views.feed` has them, encoded), newest first."""

    feed: Feed
    events: tuple[bytes, ...]
    updated: int

"""The rules of telling: who wants an event, and what comes of a receiver's answer. Pure.

    answer                          the delivery        the receiver
    2xx                             is done             is well
    410                             is dropped          is over: a webhook is disabled, a lease ends
    anything else, or none          waits, and is sent  fails: nothing else is sent to it but this one delivery, after a
                                    again               pause that grows threefold, with a drawn part, to four hours
    the same, for a day by then     is dropped          is over

A receiver that names a pause (Retry-After) is given it, but not more than the longest. The day is the sum of the
pauses: it counts on the clock that can't jump, and not while the notifier is down. What is never taken while others are
is dropped alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, NotFound, QuotaExceeded
from freehold.vocabulary.notification import (
    CALLBACK_LETTERS_MAX,
    FEEDS_MAX,
    FILTERS_MAX,
    HUB_SECRET_BYTES_MAX,
    LEASE_S,
    LEASE_S_MAX,
    LEASE_S_MIN,
    LEASES_MAX,
    NAME_LETTERS_MAX,
    WAITING_MAX,
    WEBHOOKS_MAX,
    Attempt,
    Feed,
    Subscribe,
    Webhook,
)
from freehold.vocabulary.receiver import receiver_of
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Word

FIRST_PAUSE_S: Final = 5.0
PAUSE_FACTOR: Final = 3.0
PAUSE_S_MAX: Final = 4 * 3600.0
JITTER: Final = (0.75, 1.25)
PATIENCE_S: Final = 24 * 3600.0
"""How long a receiver may fail without a break before it is given up."""
GONE: Final = 410

VERIFY_TRIES_MAX: Final = 3
VERIFY_PAUSE_S: Final = 10.0
"""A subscriber that can't be asked back is asked again so soon, and so often."""

LATE_S: Final = 24 * 3600.0
"""How late one owner's log may be read after another's: so long an event of a guest waits for the ledger to say that it
is its owner's to tell, and so long what the ledger said of a guest that was deleted is kept for events of others.
"""

_FILTER: Final = re.compile(r"[a-z][a-z0-9_.]{0,99}\*?|\*")
_ABOUT: Final = re.compile(r"[A-Za-z0-9:._-]{1,100}")


class Target(Word, frozen=True, kw_only=True):
    """Somebody who is told: a webhook, or the holder of a lease on a feed."""

    id: str
    project: str
    url: Secret
    types: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    feed: str = ""
    """Of a lease."""


class Lease(Word, frozen=True, kw_only=True):
    """WebSub: who is told of a feed until when. Private: the callback and the topic are for who knows them."""

    id: str
    """Of feed, format and callback: a second subscription of the same takes the place of the first."""
    feed: str
    project: str
    about: str
    topic: Secret
    hub: str
    callback: Secret
    secret: Secret | None = None
    lease_s: int
    until: int = 0
    """Clock time; 0: not verified yet."""
    ends: bool = False
    """Asked to end: a wish that isn't verified yet."""
    tries: int = 0


class Secrets(Word, frozen=True, kw_only=True):
    """What a webhook's deliveries are signed with; the one before until a clock time, so that it can be changed."""

    now: Secret
    before: Secret | None = None
    before_until: int = 0


class Health(Word, frozen=True, kw_only=True):
    """How a receiver that fails has done since it was last well."""

    failures: int = 0
    waited_s: float = 0.0
    """The pauses until now, and the one it is in."""
    pause_s: float = 0.0
    """The one it is in."""


WELL: Final = Health()


@dataclass(frozen=True, slots=True)
class Done:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Again:
    """It is sent again after `health.pause_s`."""

    health: Health


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing is sent there any more."""

    reason: str


def after(health: Health, attempt: Attempt, drawn: float, asked_s: float = 0.0) -> Done | Again | Over:
    """What comes of an attempt. `drawn`: a number from 0 to 1; `asked_s`: the pause that the receiver has named."""
    if attempt.taken:
        return Done()
    if attempt.status == GONE:
        return Over("It answered 410: it is gone.")
    if health.waited_s >= PATIENCE_S:
        hours = round(health.waited_s / 3600)
        return Over(f"It failed {health.failures + 1} times within {hours} hours, the last time so: {attempt.reason}")
    pause_s = min(FIRST_PAUSE_S * PAUSE_FACTOR ** min(health.failures, 20), PAUSE_S_MAX)
    low, high = JITTER
    pause_s = max(pause_s * (low + (high - low) * drawn), min(asked_s, PAUSE_S_MAX))
    return Again(Health(failures=health.failures + 1, waited_s=health.waited_s + pause_s, pause_s=pause_s))


def retry_after_s(text: str) -> float:
    """The pause that a Retry-After header names in seconds; 0 for one that is a date, or isn't one."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def wants(target: Target, project: str, kind: str, names: Sequence[str]) -> bool:
    """Whether a target is told of an event: of its own project alone, of the types and things that it names."""
    if target.project != project:
        return False
    if target.about and not any(name in target.about for name in names):
        return False
    return not target.types or any(_fits(pattern, kind) for pattern in target.types)


def _fits(pattern: str, kind: str) -> bool:
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern


def is_full(waiting: int) -> str:
    """Why no more may wait for a receiver; empty while more may."""
    return f"More than {WAITING_MAX} events wait for it: it is too slow, or fails." if waiting >= WAITING_MAX else ""


def created(given: Webhook, webhook: str, owned: int, now: int) -> Webhook:
    """A new webhook. Raises BadRequest, QuotaExceeded."""
    if owned >= WEBHOOKS_MAX:
        raise QuotaExceeded(f"A project can have {WEBHOOKS_MAX} webhooks; delete one first.")
    return replace(checked(given), id=webhook, enabled=True, reason="", created=now, updated=now)


def updated(stands: Webhook, given: Webhook, now: int) -> Webhook:
    """A webhook as it is now wanted. Raises BadRequest."""
    given = checked(given)
    reason = "" if given.enabled else stands.reason or "It was disabled by its project."
    return replace(
        stands,
        name=given.name,
        url=given.url,
        types=given.types,
        about=given.about,
        enabled=given.enabled,
        reason=reason,
        updated=now,
    )


def checked(webhook: Webhook) -> Webhook:
    """The webhook, if it is well-formed. Raises BadRequest with what isn't."""
    receiver_of(webhook.url)
    if len(webhook.name) > NAME_LETTERS_MAX:
        raise BadRequest(f"A webhook's name has at most {NAME_LETTERS_MAX} letters.")
    for name, values, shape in (("types", webhook.types, _FILTER), ("about", webhook.about, _ABOUT)):
        if len(values) > FILTERS_MAX:
            raise BadRequest(f"'{name}' has more than {FILTERS_MAX} entries; leave it out to be told of all.")
        for value in values:
            if not shape.fullmatch(value):
                raise BadRequest(f"'{name}' has {value[:100]!r}, which isn't one of what it can have.")
    return webhook


def owned(stands: Webhook | Feed | None, project: str, noun: str, key: str) -> None:
    """Raises NotFound unless it is there, and the project's (an admin's `project` is empty)."""
    if stands is None or (project and stands.project != project):
        raise NotFound(f"{noun} {key[:64]} could not be found.")


def created_feed(given: Feed, feed: str, owned: int, now: int) -> Feed:
    """A new feed. Raises BadRequest, QuotaExceeded."""
    if owned >= FEEDS_MAX:
        raise QuotaExceeded(f"A project can have {FEEDS_MAX} feeds; delete one first.")
    if given.about and not _ABOUT.fullmatch(given.about):
        raise BadRequest("'about' is the id of a guest or another thing, or a request's URN.")
    return replace(given, id=feed, created=now)


def wished(asked: Subscribe, feed: Feed, lease: str, held: Lease | None, holders: int) -> Lease:
    """The lease that a subscriber asks for, not verified yet. Raises BadRequest, QuotaExceeded."""
    receiver_of(asked.callback.reveal())
    if len(asked.callback.reveal()) > CALLBACK_LETTERS_MAX:
        raise BadRequest(f"hub.callback has more than {CALLBACK_LETTERS_MAX} letters.")
    if asked.secret is not None and len(asked.secret.reveal().encode()) > HUB_SECRET_BYTES_MAX:
        raise BadRequest(f"hub.secret has more than {HUB_SECRET_BYTES_MAX} bytes.")
    if held is None and not asked.ends and holders >= LEASES_MAX:
        raise QuotaExceeded(f"The topic has {LEASES_MAX} subscribers; more aren't taken.")
    wanted_s = LEASE_S if asked.lease_s is None else asked.lease_s
    return Lease(
        id=lease,
        feed=feed.id,
        project=feed.project,
        about=feed.about,
        topic=Secret(asked.topic),
        hub=asked.hub,
        callback=asked.callback,
        secret=asked.secret,
        lease_s=min(max(wanted_s, LEASE_S_MIN), LEASE_S_MAX),
        ends=asked.ends,
    )


def is_confirmed(status: int, body: bytes, challenge: str) -> bool:
    """Whether a subscriber has answered the question back: with 2xx, and the challenge and nothing else."""
    return 200 <= status < 300 and body == challenge.encode()


def asked_again(wish: Lease, status: int) -> Lease | None:
    """A wish whose subscriber couldn't be asked, to be asked again; None where it said no, or was asked enough."""
    refused = 200 <= status < 500
    return None if refused or wish.tries + 1 >= VERIFY_TRIES_MAX else replace(wish, tries=wish.tries + 1)

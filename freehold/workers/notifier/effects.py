"""What the notifier does to the world: it sends, and answers with what came of it. To send again harms nobody: the
event's id stays the same.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

import msgspec
from standardwebhooks import Webhook as Signer

from freehold.drivers.delivery.interface import Answered, Delivery, Failed, Outcome, Outgoing
from freehold.runtime.clock import HybridClock
from freehold.views.feed import CONTENT_TYPE, Event, envelope
from freehold.views.syndication import TYPES, document, links
from freehold.vocabulary.notification import Attempt, Webhook
from freehold.vocabulary.secret import Secret
from freehold.workers.notifier.lifecycle import Lease, Secrets

REASON_LETTERS_MAX: Final = 300
DENIED: Final = "denied"


class Effects:
    """The receivers."""

    def __init__(self, delivery: Delivery, clock: HybridClock) -> None:
        self._delivery, self._clock = delivery, clock

    def refused(self, url: str) -> str:
        """Why nothing will ever be sent to a URL; empty if it may be."""
        return self._delivery.refused(url)

    async def post(self, hook: Webhook, secrets: Secrets, event: Event, *, doubtful: bool) -> tuple[Attempt, Outcome]:
        """Sends an event to a webhook, signed as Standard Webhooks has it."""
        body = msgspec.json.encode(envelope(event))
        now = self._clock.now()
        # The wall clock's, which receivers compare with theirs: the other may be ahead of it.
        signed_at = datetime.fromtimestamp(self._clock.clock.unix_ms() // 1000, UTC)
        keys = [secrets.now]
        if secrets.before is not None and now < secrets.before_until:
            keys.append(secrets.before)
        signatures = (Signer(key.reveal()).sign(event.id, signed_at, body.decode()) for key in keys)
        headers = (
            ("Content-Type", CONTENT_TYPE),
            ("webhook-id", event.id),
            ("webhook-timestamp", str(int(signed_at.timestamp()))),
            ("webhook-signature", " ".join(signatures)),
        )
        return await self._tried(
            Outgoing(hook.url, headers=headers, body=body, lane=hook.project, doubtful=doubtful), now
        )

    async def distribute(self, lease: Lease, event: Event, *, doubtful: bool) -> tuple[Attempt, Outcome]:
        """WebSub's content distribution: the feed's document with what is new in it."""
        topic, now = lease.topic.reveal(), self._clock.now()
        how = format_of(topic)
        body = document(how, title_of(lease.project, lease.about), topic, lease.hub, (event,), event.time)
        headers = [("Content-Type", TYPES[how]), ("Link", links(topic, lease.hub))]
        if lease.secret is not None:
            digest = hmac.new(lease.secret.reveal().encode(), body, hashlib.sha256).hexdigest()
            headers.append(("X-Hub-Signature", f"sha256={digest}"))
        outgoing = Outgoing(lease.callback.reveal(), headers=tuple(headers), body=body, lane=lease.project)
        return await self._tried(outgoing._replace(doubtful=doubtful), now)

    async def ask_back(self, wish: Lease, challenge: str) -> Outcome:
        """WebSub's verification of intent."""
        asked = {
            "hub.mode": "unsubscribe" if wish.ends else "subscribe",
            "hub.topic": wish.topic.reveal(),
            "hub.challenge": challenge,
        }
        if not wish.ends:
            asked["hub.lease_seconds"] = str(wish.lease_s)
        return await self._get(wish, asked)

    async def deny(self, lease: Lease, reason: str) -> None:
        """Tells a subscriber that it isn't told any more, or won't be; once, since nothing depends on it."""
        await self._get(lease, {"hub.mode": DENIED, "hub.topic": lease.topic.reveal(), "hub.reason": reason})

    async def _get(self, lease: Lease, asked: dict[str, str]) -> Outcome:
        url = with_query(lease.callback.reveal(), asked)
        return await self._delivery.send(Outgoing(url, "GET", lane=lease.project, doubtful=True))

    async def _tried(self, outgoing: Outgoing, now: int) -> tuple[Attempt, Outcome]:
        began_s = self._clock.clock.monotonic_s()
        outcome = await self._delivery.send(outgoing)
        took_ms = round((self._clock.clock.monotonic_s() - began_s) * 1000)
        return attempt_of(outcome, now, took_ms), outcome


def attempt_of(outcome: Outcome, now: int, took_ms: int) -> Attempt:
    """What came of a try, for rules and for people."""
    match outcome:
        case Failed(reason=reason):
            return Attempt(time=now, taken=False, reason=reason[:REASON_LETTERS_MAX], took_ms=took_ms)
        case Answered(status=status, location=location):
            reason = "" if outcome.is_taken else f"it answered {status}."
            if 300 <= status < 400:
                reason = f"it answered {status}, a redirect to {location[:200]!r}. Give the URL that it leads to."
            return Attempt(time=now, taken=outcome.is_taken, status=status, reason=reason, took_ms=took_ms)


def with_query(url: str, asked: dict[str, str]) -> str:
    """A callback with what is asked of it behind what its own query has."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"


def format_of(topic: str) -> str:
    """The format that a feed's URL names."""
    return "json" if topic.partition("?")[0].endswith(".json") else "atom"


def title_of(project: str, about: str) -> str:
    """What a feed is called."""
    return f"What happens to {about}" if about else f"What happens in project {project}"


def fresh_secret(random: bytes) -> Secret:
    """A webhook's secret, from 32 random bytes."""
    return Secret(f"whsec_{base64.b64encode(random).decode()}")

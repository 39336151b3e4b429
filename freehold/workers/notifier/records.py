"""The notifier's own store.

Everyone is told of webhooks and feeds. Private rows:

    seen_KIND   STORE/KEY        the record that an owner last told, for what differs in the next
    stands      STORE            how far an owner's log was read: written with what followed from it. What nobody is
                                 told of may be read again: it is gathered, and written with whatever comes next
    gone        GUEST            the admission of a guest that was deleted, as it last was
    held        GUEST/NUMBER     an event that the ledger hasn't given to its owner yet
    waiting     TARGET/NUMBER    an event that is to be delivered
    tried       TARGET/NUMBER    one that was, or was given up: a webhook's log
    recent      FEED/NUMBER      what a feed shows
    health      TARGET           how a receiver that fails has done
    secret      WEBHOOK          what its deliveries are signed with
    feed_key    FEED             the digest of what its URL has behind ``?key=``
    lease, wish LEASE            WebSub: who holds one, and who wants one, or wants to end it
    number      -                the last of the numbers, which order what waits
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from freehold.store.database import Store, drop, keep_private, put
from freehold.store.writing import Change
from freehold.views.feed import Event
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Done, Owner, Position
from freehold.vocabulary.notification import RECENT_MAX, TRIED_MAX, Attempt, Feed, Webhook
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Word
from freehold.workers.notifier.lifecycle import WELL, Health, Lease, Secrets, Target

W = TypeVar("W", bound=Word)


class Stands(Word, frozen=True, kw_only=True):
    """How far an owner's log was read."""

    owner: Owner
    position: Position


class Parcel(Word, frozen=True, kw_only=True):
    """An event for one receiver."""

    event: Event
    tries: int = 0
    health: Health = WELL
    """How its receiver has done about this one."""
    attempt: Attempt | None = None


class Held(Word, frozen=True, kw_only=True):
    """An event, and who told it when."""

    owner: Owner
    event: Event
    time: int


class Gone(Word, frozen=True, kw_only=True):
    """A guest that was deleted: its admission as it last was, and when that was heard. Others may tell of it late."""

    admission: bytes
    time: int


UNWRITTEN_MAX: Final = 5_000

_NUMBER: Final = "number"


class Records:
    """What is decided is staged here: rows, and what of them is kept in memory, change together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.webhooks = {hook.id: hook for hook in store.scan(Webhook)}
        self.feeds = {feed.id: feed for feed in store.scan(Feed)}
        self.leases = self._private("lease", Lease)
        self.wishes = self._private("wish", Lease)
        self.health = self._private("health", Health)
        self.stands = self._private("stands", Stands)
        self.held: defaultdict[str, int] = defaultdict(int)
        """How many events of a guest are held."""
        for key, _ in store.scan_private("held"):
            self.held[key.partition("/")[0]] += 1
        self._unwritten: dict[tuple[str, str], Change] = {}
        self._tried = self._numbers("tried")
        self._recent = self._numbers("recent")
        self._number = int(store.read_private(_NUMBER, "") or 0)
        self._targets: dict[str, dict[str, Target]] = {}
        self._feeds_of: dict[str, list[Feed]] = {}
        self._sort()

    def _private(self, kind: str, shape: type[W]) -> dict[str, W]:
        return {key: decode(value, shape) for key, value in self._store.scan_private(kind)}

    def _numbers(self, kind: str) -> defaultdict[str, list[int]]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for key, _ in self._store.scan_private(kind):
            whose, _, number = key.partition("/")
            found[whose].append(int(number))
        return found

    def _sort(self) -> None:
        """Takes who is told from webhooks, feeds and leases."""
        self._targets, self._feeds_of = {}, {}
        for feed in self.feeds.values():
            self._feeds_of.setdefault(feed.project, []).append(feed)
        hooks = (target_of(hook) for hook in self.webhooks.values() if hook.enabled)
        for target in (*hooks, *(target_of(lease) for lease in self.leases.values())):
            self._targets.setdefault(target.project, {})[target.id] = target

    # --- reading ---------------------------------------------------------------------------------------------------

    def targets(self, project: str) -> Iterable[Target]:
        """Who of a project is told."""
        return self._targets.get(project, {}).values()

    def target(self, key: str) -> Target | None:
        """One of those who are told."""
        hook, lease = self.webhooks.get(key), self.leases.get(key)
        if hook is not None and hook.enabled:
            return target_of(hook)
        return None if lease is None else target_of(lease)

    def feeds_of(self, project: str) -> list[Feed]:
        """The feeds of a project."""
        return self._feeds_of.get(project, [])

    def tells(self, project: str) -> bool:
        """Whether anything of a project is told to anybody."""
        return project in self._targets or project in self._feeds_of

    def seen(self, kind: str, store: str, key: str) -> bytes | None:
        """What an owner last told of something."""
        place = f"seen_{kind}", f"{store}/{key}"
        unwritten = self._unwritten.get(place)
        return self._store.read_private(*place) if unwritten is None else unwritten.value

    def all_seen(self, kind: str, store: str) -> dict[str, bytes]:
        """All that an owner last told of a kind, by key."""
        self.write()
        found = self._store.scan_private(f"seen_{kind}", f"{store}/")
        return {key.partition("/")[2]: value for key, value in found}

    def gone(self, guest: str) -> bytes | None:
        """The admission of a guest that was deleted a while ago."""
        value = self._store.read_private("gone", guest)
        return None if value is None else decode(value, Gone).admission

    def held_of(self, guest: str) -> list[tuple[str, Held]]:
        """The events that are held of a guest (of all, if it is empty), in order, and their keys."""
        found = self._store.scan_private("held", f"{guest}/" if guest else "")
        return [(key, decode(value, Held)) for key, value in found]

    def waiting(self) -> Iterator[tuple[str, int, str]]:
        """All that waits, in order: the receiver, the number, and what it is about."""
        for key, value in self._store.scan_private("waiting"):
            target, _, number = key.partition("/")
            yield target, int(number), lane_of(decode(value, Parcel).event)

    def parcel(self, target: str, number: int, kind: str = "waiting") -> Parcel | None:
        """What waits under a number, or (``tried``) was delivered."""
        value = self._store.read_private(kind, _key(target, number))
        return None if value is None else decode(value, Parcel)

    def tried(self, target: str) -> list[int]:
        """The numbers of a webhook's log, oldest first."""
        return self._tried.get(target, [])

    def recent(self, feed: str) -> list[bytes]:
        """The events of a feed, encoded, newest first."""
        return [value for _, value in reversed(self._store.scan_private("recent", f"{feed}/"))]

    def secrets(self, webhook: str) -> Secrets | None:
        """What a webhook's deliveries are signed with."""
        value = self._store.read_private("secret", webhook)
        return None if value is None else decode(value, Secrets)

    def feed_key(self, feed: str) -> bytes:
        """The digest of what opens a feed."""
        return self._store.read_private("feed_key", feed) or b""

    def health_of(self, target: str) -> Health:
        """How a receiver does."""
        return self.health.get(target, WELL)

    # --- writing ---------------------------------------------------------------------------------------------------

    def stage(self, changes: list[Change], cause: str) -> Position:
        """Takes changes as one transaction, and with them what is unwritten."""
        unwritten, self._unwritten = self._unwritten, {}
        return self._store.stage([*unwritten.values(), *changes], cause)

    def stage_later(self, changes: Iterable[Change]) -> None:
        """Takes private changes that are made anew if they are lost, and needn't be on disk one by one."""
        self._unwritten.update({(change.kind, change.key): change for change in changes})
        if len(self._unwritten) >= UNWRITTEN_MAX:
            self.write()

    def write(self) -> None:
        """Stages what is unwritten."""
        if self._unwritten:
            self.stage([], "seen")

    async def durable(self) -> None:
        """Waits until all that was staged is on disk. Raises StoreFailed: the worker must end."""
        await self._store.durable()

    async def compact(self) -> None:
        """Lets go of what is left of deleted private rows: the log of this store is short, and wouldn't do it."""
        await self._store.compact()

    def done(self, position: Position, key: str) -> Done:
        """The answer to a change."""
        return Done(store=self._store.id, position=position, key=key)

    def put_webhook(self, hook: Webhook) -> list[Change]:
        """A webhook is, or is now so."""
        self.webhooks[hook.id] = hook
        self._sort()
        return [put(hook.id, hook)]

    def put_secrets(self, webhook: str, secrets: Secrets) -> list[Change]:
        """What its deliveries are signed with from now on."""
        return [keep_private("secret", webhook, encode(secrets))]

    def drop_webhook(self, webhook: str, numbers: Iterable[int]) -> list[Change]:
        """A webhook is gone, with all that is kept of it; `numbers`: of what waits for it."""
        del self.webhooks[webhook]
        self._sort()
        log = [keep_private("tried", _key(webhook, number), None) for number in self._tried.pop(webhook, [])]
        return [drop("webhook", webhook), keep_private("secret", webhook, None), *log, *self.clear(webhook, numbers)]

    def clear(self, target: str, numbers: Iterable[int]) -> list[Change]:
        """Nothing waits for a receiver any more, and it has no past."""
        dropped = [keep_private("waiting", _key(target, number), None) for number in numbers]
        return [*dropped, *self.put_health(target, WELL)]

    def put_feed(self, feed: Feed, key: bytes) -> list[Change]:
        """A feed is; `key`: the digest of what opens it."""
        self.feeds[feed.id] = feed
        self._sort()
        return [put(feed.id, feed), keep_private("feed_key", feed.id, key)]

    def drop_feed(self, feed: str) -> list[Change]:
        """A feed is gone. Its leases are the caller's to end."""
        del self.feeds[feed]
        self._sort()
        shown = [keep_private("recent", _key(feed, number), None) for number in self._recent.pop(feed, [])]
        return [drop("feed", feed), keep_private("feed_key", feed, None), *shown]

    def put_lease(self, lease: Lease) -> list[Change]:
        """Somebody holds a lease."""
        self.leases[lease.id] = lease
        self._sort()
        return [keep_private("lease", lease.id, encode(lease))]

    def drop_lease(self, lease: str, numbers: Iterable[int]) -> list[Change]:
        """A lease has ended, and what waits for its holder isn't sent."""
        del self.leases[lease]
        self._sort()
        return [keep_private("lease", lease, None), *self.clear(lease, numbers)]

    def put_wish(self, wish: Lease) -> list[Change]:
        """Somebody wants a lease, or to end it, and is to be asked."""
        self.wishes[wish.id] = wish
        return [keep_private("wish", wish.id, encode(wish))]

    def drop_wish(self, wish: str) -> list[Change]:
        """They were asked."""
        self.wishes.pop(wish, None)
        return [keep_private("wish", wish, None)]

    def put_health(self, target: str, health: Health) -> list[Change]:
        """How a receiver does now."""
        if health == self.health_of(target):
            return []
        if health == WELL:
            del self.health[target]
            return [keep_private("health", target, None)]
        self.health[target] = health
        return [keep_private("health", target, encode(health))]

    def add(self, target: str, event: Event) -> tuple[int, list[Change]]:
        """An event waits for a receiver, under a number."""
        number, change = self._next()
        return number, [keep_private("waiting", _key(target, number), encode(Parcel(event=event))), change]

    def put_parcel(self, target: str, number: int, parcel: Parcel) -> list[Change]:
        """What came of a try that is followed by another."""
        return [keep_private("waiting", _key(target, number), encode(parcel))]

    def end(self, target: str, number: int, parcel: Parcel) -> list[Change]:
        """It doesn't wait any more; a webhook's log has it."""
        changes = [keep_private("waiting", _key(target, number), None)]
        if target in self.webhooks:
            changes.append(keep_private("tried", _key(target, number), encode(parcel)))
            changes += _bounded("tried", target, self._tried[target], number, TRIED_MAX)
        return changes

    def show(self, feed: str, event: Event) -> list[Change]:
        """A feed shows an event, and forgets the oldest."""
        number, change = self._next()
        shown = keep_private("recent", _key(feed, number), encode(event))
        return [shown, change, *_bounded("recent", feed, self._recent[feed], number, RECENT_MAX)]

    def hold(self, guest: str, held: Held) -> list[Change]:
        """An event waits for the ledger."""
        number, change = self._next()
        self.held[guest] += 1
        return [keep_private("held", _key(guest, number), encode(held)), change]

    def release(self, key: str) -> list[Change]:
        """It doesn't any more."""
        guest = key.partition("/")[0]
        self.held[guest] -= 1
        if not self.held[guest]:
            del self.held[guest]
        return [keep_private("held", key, None)]

    def keep_seen(self, kind: str, store: str, key: str, value: bytes | None) -> Change:
        """What an owner has told."""
        return keep_private(f"seen_{kind}", f"{store}/{key}", value)

    def keep_gone(self, guest: str, gone: Gone | None) -> Change:
        """A guest was deleted; None: long ago."""
        return keep_private("gone", guest, None if gone is None else encode(gone))

    def all_gone(self) -> dict[str, int]:
        """The guests that were deleted a while ago, and when."""
        return {guest: decode(value, Gone).time for guest, value in self._store.scan_private("gone")}

    def keep_stands(self, owner: Owner, position: Position) -> Change:
        """How far an owner's log was read."""
        stands = self.stands[owner.store] = Stands(owner=owner, position=position)
        return keep_private("stands", owner.store, encode(stands))

    def _next(self) -> tuple[int, Change]:
        self._number += 1
        return self._number, keep_private(_NUMBER, "", str(self._number).encode())


def target_of(told: Webhook | Lease) -> Target:
    """Somebody who is told."""
    if isinstance(told, Webhook):
        url = Secret(told.url)
        return Target(id=told.id, project=told.project, url=url, types=told.types, about=told.about)
    about = (told.about,) if told.about else ()
    return Target(id=told.id, project=told.project, url=told.callback, about=about, feed=told.feed)


def lane_of(event: Event) -> str:
    """What is told in order: a guest's events, or those of whatever else it is."""
    return event.guest or event.subject[1]


def _key(whose: str, number: int) -> str:
    return f"{whose}/{number:016d}"


def _bounded(kind: str, whose: str, numbers: list[int], number: int, most: int) -> list[Change]:
    numbers.append(number)
    gone, numbers[:] = numbers[:-most], numbers[-most:]
    return [keep_private(kind, _key(whose, one), None) for one in gone]

"""Who waits for news: calls that wait until something has come to a stage, and streams of a project's events.

A view tells it of every entry right after it has taken it. Nobody looks again and again: a watch is woken by the names
it waits for, and a stream is given what is its project's.

What a host tells of a guest before the ledger's word that it was given the guest has come is kept aside (`_early`), and
given to the streams when that word comes. Cursors owe it until then.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol, TypeVar

from freehold.runtime.log import logger
from freehold.views import feed
from freehold.views.cursor import Place
from freehold.views.feed import Event
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Entry, Owner
from freehold.vocabulary.network import Port
from freehold.vocabulary.request import Admission
from freehold.vocabulary.word import Word

R = TypeVar("R", bound=Word)
Told = tuple[Entry, bytes | None]
"""An entry, and what stood under its key before it in the same log."""

QUEUED_MAX: Final = 2000
"""Events that a stream may be behind; then it is cut off."""
EARLY_MAX: Final = 2000
"""Events of one project that are kept aside."""
ENDED_MAX: Final = 10_000
"""Admissions that are remembered after their guests' end: hosts may still have something to tell of them."""

SLOW: Final = "slow"
"""The reader took too little, too late. It may go on where it was."""
REPLACED: Final = "replaced"
"""An owner's state was taken as a whole: what led to it isn't known."""
OVER: Final = "over"
"""This process ends."""

_log = logger("news")


class Known(Protocol):
    """What is asked of the view."""

    def get(self, shape: type[R], key: str) -> R | None:
        """One record; None if there is none."""

    def place(self, store: str) -> Place | None:
        """Where it stands for an owner; None for one that it doesn't know."""

    def owners_of(self, role: str, cluster: str = "") -> Sequence[str]:
        """The stores of the owners of a role, of one cluster if it is named."""


class News(NamedTuple):
    """Something for a stream: an event (None: only a step of the cursor), where it was told, places in logs that matter
    from here on, and what may still have to be given.
    """

    event: Event | None
    place: Place
    places: tuple[Place, ...] = ()
    owed: tuple[Place, ...] = ()
    guest: str = ""
    """The guest for whose sake `places` matter."""


class Watch:
    """Wakes who waits for news of some names."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is news."""
        self._woken.set()

    async def changed(self) -> None:
        """Waits until there has been news since the last time this returned."""
        await self._woken.wait()
        self._woken.clear()


class Listening(Watch):
    """A stream's side: what has come for one project, in the order in which it came. `ended`: why no more will come."""

    def __init__(self, project: str, ledger: str) -> None:
        super().__init__()
        self.project, self.ledger = project, ledger
        self.stores = {ledger}
        """Whose logs matter to it."""
        self.ended = ""
        self._came: deque[News] = deque()

    def give(self, news: News) -> None:
        """Adds something, unless it has ended. A stream that is too far behind ends."""
        if self.ended:
            return
        if len(self._came) >= QUEUED_MAX:
            self.end(SLOW)
            return
        self._came.append(news)
        self.stores.add(news.place.store)
        self._woken.set()

    def end(self, why: str) -> None:
        """No more will come. What has come already may still be taken, unless it was too much."""
        self.ended = self.ended or why
        if why == SLOW:
            self._came.clear()
        self._woken.set()

    def take(self) -> News | None:
        """The next that has come; None if there is none now."""
        return self._came.popleft() if self._came else None

    @property
    def has_come(self) -> bool:
        """Whether there is something to take."""
        return bool(self._came)

    async def changed(self) -> None:
        """Waits until something has come, it has ended, or it was woken for something else."""
        if not self._came and not self.ended:
            await super().changed()


class Newsroom:
    """See the module."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._watches: dict[str, set[Watch]] = {}
        self._listening: dict[str, set[Listening]] = {}
        self._early: dict[str, OrderedDict[Place, tuple[Owner, Event]]] = {}
        """By project."""
        self._ended: OrderedDict[str, Admission] = OrderedDict()
        self.is_over = False

    # --- who waits -------------------------------------------------------------------------------------------------

    @contextmanager
    def watch(self, names: Iterable[str], watch: Watch | None = None) -> Iterator[Watch]:
        """A watch (a new one, or one that is there) for news of whatever is kept under some names: ids and URNs."""
        watch, watched = watch or Watch(), frozenset(names)
        for name in watched:
            self._watches.setdefault(name, set()).add(watch)
        try:
            yield watch
        finally:
            for name in watched:
                self._watches[name].discard(watch)
                if not self._watches[name]:
                    del self._watches[name]

    @contextmanager
    def listen(self, project: str, ledger: str) -> Iterator[Listening]:
        """A stream of a project's events from now on; `ledger`: the store of its registrar shard."""
        listening = Listening(project, ledger)
        self._listening.setdefault(project, set()).add(listening)
        if self.is_over:
            listening.end(OVER)
        try:
            yield listening
        finally:
            self._listening[project].discard(listening)
            if not self._listening[project]:
                del self._listening[project]
                self._early.pop(project, None)

    def end(self) -> None:
        """This process ends: nobody waits any longer."""
        self.is_over = True
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()
        for listening in self._all():
            listening.end(OVER)

    def admission(self, guest: str) -> Admission | None:
        """The admission of a guest, or as it was at its end if that was lately."""
        return self._known.get(Admission, guest) or self._ended.get(guest)

    def early(self, project: str) -> tuple[Place, ...]:
        """Where was told what is kept aside for a project's streams."""
        return tuple(self._early.get(project, ()))

    # --- what has come ---------------------------------------------------------------------------------------------

    @property
    def needs_before(self) -> bool:
        """Whether anybody wants to know what stood before an entry."""
        return bool(self._listening)

    def took(self, owner: Owner, epoch: str, told: Sequence[Told]) -> None:
        """The view has taken an owner's entries, each given with what stood before it in that owner's log."""
        for entry, before in told:
            if self._watches:
                self._wake(entry)
            if entry.kind == "admission" and before is not None and entry.value is None:
                self._remember(entry.key, decode(before, Admission))
            if self._listening:
                self._tell(owner, Place(owner.store, epoch, entry.seq), entry, before)

    def replaced(self, owner: Owner) -> None:
        """The view has taken an owner's complete state: all may have changed, and how isn't known."""
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()
        for listening in self._all():
            if owner.store in listening.stores:
                listening.end(REPLACED)
        for kept in self._early.values():
            for place in [place for place in kept if place.store == owner.store]:
                del kept[place]

    def _all(self) -> list[Listening]:
        return [listening for some in self._listening.values() for listening in some]

    def _wake(self, entry: Entry) -> None:
        names = {entry.key, *entry.key.split("/", 1)}
        if entry.kind == "port" and entry.value is not None:
            names.add(decode(entry.value, Port).device)
        for name in names:
            for watch in self._watches.get(name, ()):
                watch.wake()

    def _remember(self, guest: str, admission: Admission) -> None:
        self._ended[guest] = admission
        if len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)

    def _tell(self, owner: Owner, at: Place, entry: Entry, before: bytes | None) -> None:
        event = feed.event_of(owner, at.epoch, entry, before)
        if event is not None and event.deed:
            if feed.is_early(owner, event, self.admission(event.guest)):
                self._keep(owner, at, event)
            elif feed.is_given(owner, event, self.admission(event.guest)):
                self._give(event.project, News(event, at))
            return
        if event is not None:
            self._give(event.project, News(event, at))
        if entry.kind == "admission" and entry.value is not None:
            self._deed_told(at, decode(entry.value, Admission), before)

    def _keep(self, owner: Owner, at: Place, event: Event) -> None:
        if event.project not in self._listening:
            return
        kept = self._early.setdefault(event.project, OrderedDict())
        kept[at] = owner, event
        if len(kept) > EARLY_MAX:
            kept.popitem(last=False)
            _log.warning("events of guests that nobody knows are dropped", project=event.project, store=at.store)

    def _deed_told(self, at: Place, admission: Admission, before: bytes | None) -> None:
        """A guest has been given to a host: that host's log matters from now on, and what it told too early counts."""
        deed, project = admission.deed, admission.project
        if deed is None or (before is not None and decode(before, Admission).deed == deed):
            return
        stores = (deed.host, *self._known.owners_of("network", deed.cluster))
        for listening in self._listening.get(project, ()):
            listening.stores.update(stores)
        places = tuple(place for place in map(self._known.place, stores) if place is not None)
        kept = self._early.get(project, OrderedDict())
        given = [place for place, (_, event) in kept.items() if event.guest == admission.guest]
        self._give(project, News(None, at, places, guest=admission.guest))
        for place in given:
            owner, event = kept.pop(place)
            if feed.is_given(owner, event, admission):
                self._give(project, News(event, place))

    def _give(self, project: str, news: News) -> None:
        """Gives every stream of a project some news. What is kept aside then is owed."""
        owed = tuple(self._early.get(project, ()))
        for listening in self._listening.get(project, ()):
            listening.give(news._replace(owed=owed))

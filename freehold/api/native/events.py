"""Streams of events (server-sent events): of a project, of a guest, of a request.

Each event is a CloudEvents envelope; its ``id:`` is the reader's place in all the logs that its project's events come
from, so that whichever API process it comes back to, with ``Last-Event-ID``, goes on exactly there. Where that can't be
(`Unknown`), the reader is told so and given the complete state. Lines that only carry an ``id:`` move a reader on where
nothing of its project happened. A stream ends when its token does.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from freehold.api.call import Answer, Call
from freehold.api.compute import server_view
from freehold.api.native import requests
from freehold.api.policy import Rule, check
from freehold.api.reading import find, not_found, registrars
from freehold.runtime.chance import new_id
from freehold.views import cursor as cursors
from freehold.views import feed
from freehold.views.cursor import Cursor, Place, Unknown
from freehold.views.feed import Event
from freehold.views.missed import Missed
from freehold.views.news import OVER, REPLACED, SLOW, Listening, News
from freehold.vocabulary.errors import BadRequest, FreeholdError, NotFound
from freehold.vocabulary.request import Admission, Request

BEAT_S: Final = 15.0
RETRY_MS: Final = 1000
"""How long a client waits before it comes back, as the stream tells it."""
NETWORKS_MAX: Final = 32
"""Network workers whose logs all matter to every project; where there are more, those of its guests' clusters do."""
CONTENT_TYPE: Final = "text/event-stream"
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}

BEHIND: Final = "freehold.feed.behind"
COMPLETE: Final = "freehold.feed.complete"
CUT: Final = "freehold.feed.cut"
GUEST: Final = "freehold.guest.state"
REQUEST: Final = "freehold.request.state"
LAST: Final = frozenset(f"freehold.request.{word}" for word in ("active", "failed", "done"))
"""With one of these a request has ended, and its stream does."""

_ENDS: Final = {SLOW: "You read too slowly. Come back with the last id.", OVER: "This API process ends. Come back."}

_json = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream is of: a project; of that one guest, if it is named; of that one request."""

    project: str
    guest: str = ""
    urn: str = ""

    def takes(self, event: Event) -> bool:
        """Whether an event belongs there."""
        if self.urn:
            return self.urn in (event.request, event.subject[1])
        return self.guest in ("", event.guest)


async def of_project(call: Call) -> Answer:
    """GET /v1/events: all that happens in the caller's project."""
    if not call.caller.project:
        raise BadRequest("ask with a token for the project whose events are wanted")
    return _answer(call, Wanted(call.caller.project))


async def of_guest(call: Call) -> Answer:
    """GET /v1/guests/{id}/events: begins with how the guest stands."""
    guest = call.params["id"]
    admission = await find(call, Admission, guest)
    if admission is None or not call.caller.owns(admission.project):
        raise NotFound(not_found("Guest", guest[:64]))
    return _answer(call, Wanted(admission.project, guest))


async def of_request(call: Call) -> Answer:
    """GET /v1/requests/{urn}/events: begins with how the request stands, and ends with it."""
    record = await requests.found(call, call.params["urn"])
    return _answer(call, Wanted(record.project, record.guest, record.urn))


def _answer(call: Call, wanted: Wanted) -> Answer:
    last = call.headers.get("last-event-id") or call.query.one("last_event_id") or ""
    ledger = registrars(call, Request, wanted.project)[0].store
    return Answer(200, headers=_HEADERS, content_type=CONTENT_TYPE, stream=_Stream(call, wanted, ledger).run(last))


class _Stream:
    def __init__(self, call: Call, wanted: Wanted, ledger: str) -> None:
        self._call, self._wanted, self._ledger = call, wanted, ledger
        self._view, self._clock = call.cloud.view, call.cloud.clock
        self._cursor = Cursor(wanted.project)
        self._given: set[str] = set()
        """What was read from the logs when the reader came back, and may come once more as news."""
        self._over = False

    async def run(self, last: str) -> AsyncGenerator[bytes, None]:
        """The bytes of the stream, from the place `last` on."""
        why = ""
        try:
            while not self._is_over():
                async with aclosing(self._listened(last, why)) as parts:
                    async for part in parts:
                        yield part
                last, why = "", "an owner of what is told has begun anew"
        except FreeholdError as error:
            yield self._said(CUT, {"reason": error.message})

    async def _listened(self, last: str, why: str) -> AsyncGenerator[bytes, None]:
        """Until it is over, or how it goes on isn't known: then the complete state follows."""
        with self._listening() as listening:
            yield f"retry: {RETRY_MS}\n\n".encode()
            async with aclosing(self._begun(last, why)) as parts:
                async for part in parts:
                    yield part
            listening.stores.update(self._cursor.seen)
            while not self._is_over():
                async for part in self._news(listening):
                    yield part
                if self._is_over() or listening.ended == REPLACED:
                    return
                if listening.ended:
                    yield self._said(CUT, {"reason": _ENDS[listening.ended]})
                    self._over = True
                elif await self._nothing_for_a_while(listening):
                    yield self._beat()

    @contextmanager
    def _listening(self) -> Iterator[Listening]:
        caller, newsroom = self._call.caller, self._view.news
        with ExitStack() as stack:
            listening = stack.enter_context(newsroom.listen(self._wanted.project, self._ledger))
            names = {caller.audit_id, caller.user, caller.project, caller.credential} - {""}
            stack.enter_context(newsroom.watch(names, listening))
            yield listening

    # --- how it begins ---------------------------------------------------------------------------------------------

    async def _begun(self, last: str, why: str) -> AsyncGenerator[bytes, None]:
        """What was missed since `last`; or how things stand, if that can't be known (`why`)."""
        await self._view.fresh(["registrar"], [self._call.cloud.shards.of(self._wanted.project)])
        if last:
            try:
                steps = await self._missed(last)
            except Unknown as unknown:
                why = str(unknown.args[0])
            else:
                for step in steps:
                    for part in self._step(step):
                        yield part
                self._given = {step.event.id for step in steps if step.event is not None}
                self._end_with_its_request()
                yield self._place()
                return
        self._cursor = self._present()
        if why:
            yield self._said(BEHIND, {"reason": f"The stream can't go on where it was: {why}. The state follows."})
        if why or self._wanted.guest:
            for part in self._state():
                yield part
                await asyncio.sleep(0)  # a large project's state holds nobody up
        if why:
            yield self._said(COMPLETE, {}, with_place=True)
        self._end_with_its_request()
        yield self._place()

    async def _missed(self, last: str) -> list[News]:
        epochs = {seen.owner.store: seen.position.epoch for seen in self._view.owners() if seen.position.epoch}
        self._cursor = cursors.read(self._wanted.project, last, epochs)
        missed = Missed(self._call.cloud.questions, self._view, self._cursor, self._ledger, self._wanted.guest)
        return await missed.read()

    def _present(self) -> Cursor:
        """The place at which everything has been given that is known here."""
        view, wanted = self._view, self._wanted
        stores = dict.fromkeys([self._ledger, *view.owners_of("image")])
        networks, clusters = view.owners_of("network"), set[str]()
        for admission in self._admissions():
            deed = admission.live_deed()
            if deed is not None:
                stores[deed.host] = None
                clusters.add(deed.cluster)
        if len(networks) > NETWORKS_MAX:
            networks = [store for cluster in sorted(clusters) for store in view.owners_of("network", cluster)]
        stores |= dict.fromkeys(networks)
        places = [place for place in map(view.place, stores) if place is not None]
        cursor = Cursor(wanted.project, places)
        cursor.owe(view.news.early(wanted.project))
        return cursor

    def _admissions(self) -> Iterator[Admission]:
        if self._wanted.guest:
            one = self._view.get(Admission, self._wanted.guest)
            return iter(() if one is None else (one,))
        return self._view.list(Admission, self._wanted.project)

    def _state(self) -> Iterator[bytes]:
        """How things stand: each guest, and each request that hasn't ended."""
        call, wanted = self._call, self._wanted
        if wanted.urn:
            record = requests.known(call, wanted.urn)
            if record is not None:
                yield self._said(REQUEST, requests.shown(call, record), ("request", wanted.urn))
            return
        for admission in self._admissions():
            server = server_view.joined(call, admission)
            yield self._said(GUEST, requests.server_shown(call, server), ("guest", admission.guest))
        if not wanted.guest:
            for request in self._view.list(Request, wanted.project):
                if request.finished is None:
                    yield self._said(REQUEST, requests.shown(call, request), ("request", request.urn))

    # --- how it goes on --------------------------------------------------------------------------------------------

    async def _news(self, listening: Listening) -> AsyncGenerator[bytes, None]:
        """What has come, while the caller may have it."""
        await self._check_caller()
        while not self._is_over() and (news := listening.take()) is not None:
            for part in self._step(news, news.owed):
                yield part

    def _step(self, news: News, owed: tuple[Place, ...] | None = None) -> Iterator[bytes]:
        """Moves on by one step, and gives its event if that is wanted and wasn't given when the reader came back.
        `owed`: what may still have to be given then; None: as it was.
        """
        wanted, event = self._wanted, news.event
        if event is not None and event.id in self._given:
            self._given.discard(event.id)
            return
        is_mine = event is not None and wanted.takes(event)
        if wanted.guest in ("", news.guest):
            for place in news.places:
                self._cursor.seen.setdefault(place.store, place)
        if is_mine or news.place.store in self._cursor.seen:
            self._cursor.move(news.place)
        if owed is not None:
            self._cursor.owe(owed)
        if event is not None and is_mine:
            yield self._told(event)

    def _told(self, event: Event) -> bytes:
        self._over = self._over or (event.type in LAST and event.subject[1] == self._wanted.urn)
        return _message(event.type, feed.envelope(event), self._cursor.text())

    def _is_over(self) -> bool:
        return self._over

    async def _nothing_for_a_while(self, listening: Listening) -> bool:
        left_s = self._call.caller.expires - self._clock.clock.unix_ms() / 1000
        try:
            async with asyncio.timeout(max(0.0, min(BEAT_S, left_s + 0.1))):
                await listening.changed()
        except TimeoutError:
            return not listening.has_come
        return False

    def _beat(self) -> bytes:
        """A sign of life with the place up to which nothing happened: all that came has been given."""
        for store in self._cursor.seen:
            place = self._view.place(store)
            if place is not None:
                self._cursor.move(place)
        self._cursor.owe(self._view.news.early(self._wanted.project))
        return b": still here\n" + self._place()

    async def _check_caller(self) -> None:
        token = self._call.caller.token
        if token is not None:
            check(Rule.READER, await self._call.tokens.caller(token.reveal()))

    def _end_with_its_request(self) -> None:
        record = requests.known(self._call, self._wanted.urn) if self._wanted.urn else None
        self._over = self._over or (record is not None and record.finished is not None)

    # --- what it looks like ----------------------------------------------------------------------------------------

    def _place(self) -> bytes:
        return f"id: {self._cursor.text()}\n\n".encode()

    def _said(
        self, kind: str, data: dict[str, Any], subject: tuple[str, str] | None = None, *, with_place: bool = False
    ) -> bytes:
        """An event of this stream's own: no owner's log has it."""
        project = self._wanted.project
        event = Event(
            id=new_id(self._call.cloud.chance),
            type=kind,
            subject=subject or ("project", project),
            project=project,
            time=self._clock.now(),
            data=data,
        )
        return _message(kind, feed.envelope(event), self._cursor.text() if with_place else "")


def _message(kind: str, envelope: dict[str, Any], place: str) -> bytes:
    head = f"id: {place}\n" if place else ""
    return f"{head}event: {kind}\ndata: ".encode() + _json.encode(envelope) + b"\n\n"

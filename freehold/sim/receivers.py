"""Receivers of notifications that fail, hang and lose their answers, and what must hold of what they are told.

- Nobody is told of another project's events.
- An event is told only when it is durable: every one that comes is in some owner's log.
- Of what an owner says of a guest, the earlier comes first. What has come may come again; but not what was answered
  for, while the notifier's process goes on.
- Nothing is lost: when nothing goes wrong any more every event of a project has come, but for those of a log that
  didn't reach back to where the notifier had read it, or that was put back. Then it says that something was missed.
"""

import json
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode

import msgspec

from freehold.drivers.delivery.interface import Answered, Failed, Outcome, Outgoing
from freehold.drivers.delivery.simulated import Receiving
from freehold.views.feed import KINDS_TOLD, event_of
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Entry, Owner
from freehold.vocabulary.notification import MISSED
from freehold.vocabulary.request import Admission

if TYPE_CHECKING:
    from freehold.sim.calls import Caller
    from freehold.sim.site import Site
    from freehold.sim.world import World

URL: Final = "https://hooks.example/{project}/{name}"
HOOKS: Final[dict[str, tuple[str, ...]]] = {"all": (), "guests": ("freehold.guest.*",)}
"""The webhooks of each project, and the types that each wants."""
FEED: Final = "feed"
FILTERS: Final = {**HOOKS, FEED: ()}
"""And a subscriber of its feed."""
ASKED_BACK_S: Final = 60.0
ANSWER_S: Final = (0.01, 0.4)
FAILS: Final = 0.15
HANGS: Final = 0.02
LOST: Final = 0.1
"""How often, while things go wrong: it doesn't take it, says nothing, or takes it and its answer is lost."""


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """An event of a log, and what is needed to say whether it must come."""

    id: str
    type: str
    project: str
    guest: str
    deed: int
    owner: Owner
    site: str
    seq: int
    number: int
    """Of all events, in the order in which they were written."""


@dataclass(slots=True)
class Told:
    """What one receiver was told."""

    project: str
    name: str
    since: int = 1 << 60
    """The number of events that there had been when its webhook was made."""
    got: dict[str, None] = field(default_factory=dict)
    newest: dict[tuple[str, str], int] = field(default_factory=dict)
    """The sequence of the newest that came, by site and guest."""
    answered: dict[str, int] = field(default_factory=dict)
    """What was answered for, and the incarnation of the notifier's process that heard it."""


class Receivers:
    """All of them, and the events that they are to be told."""

    def __init__(self, world: "World") -> None:
        self._world, self._random = world, Random(f"receivers {world.seed}")
        self._of: dict[str, Told] = {}
        self.table: dict[str, Receiving] = {}
        self._asked: dict[str, None] = {}
        """Callbacks that were asked back."""
        self._wanted: dict[str, Wanted] = {}
        self._rows: dict[tuple[str, str, str], bytes] = {}
        self._admissions: dict[str, Admission] = {}
        """The newest of each guest; it is kept when the ledger forgets it."""
        self._passed: dict[str, dict[tuple[int, str, tuple[str, ...]], None]] = {}
        """What the ledger has said of a guest so far: the deed's number, its host, and who has refused."""
        self._gone: dict[str, tuple[str, int]] = {}
        """Where a guest's admission was dropped."""
        self._unsure: dict[str, int] = {}
        """Sites of whose log not everything is told, and up to which sequence."""
        self._put_back: set[str] = set()
        """Those that have shown an old copy: what it says is told once more, as news."""

    async def ask(self, caller: "Caller", project: str) -> None:
        """Has a project told to its receivers: webhooks, and a subscriber of its feed."""
        sure = self._world.sure
        for name, types in HOOKS.items():
            url = self._url(project, name)
            await sure(caller, "POST", "/freehold/v1/webhooks", {"webhook": {"url": url, "types": types}})
            self._of[url].since = len(self._wanted)
        feed = (await sure(caller, "POST", "/freehold/v1/feeds", {"feed": {}})).json["feed"]
        url = self._url(project, FEED)
        form = {"hub.mode": "subscribe", "hub.topic": feed["json_url"], "hub.callback": url}
        kind = {"content-type": "application/x-www-form-urlencoded"}
        reply = await caller.call(self._world.apis[0], "POST", "/freehold/v1/hub", urlencode(form).encode(), kind)
        assert reply.status == 202, reply.body
        until = self._world.loop.time() + ASKED_BACK_S
        while self._world.loop.time() < until and url not in self._asked:
            await self._world.people_wait(0.1)
        await self._world.people_wait(1.0)  # until the notifier has the answer
        self._of[url].since = len(self._wanted)

    def _url(self, project: str, name: str) -> str:
        """The URL of a receiver, which is there from now on."""
        url = URL.format(project=project, name=name)
        self._of[url], self.table[url] = Told(project, name), self.receive
        return url

    # --- the receivers ---------------------------------------------------------------------------------------------

    async def receive(self, outgoing: Outgoing) -> Outcome:
        """Takes what is sent, or doesn't."""
        world, random = self._world, self._random
        if outgoing.method == "GET":
            callback, _, query = outgoing.url.partition("?")
            self._asked[callback] = None
            return Answered(200, parse_qs(query)["hub.challenge"][0].encode())
        fate = 1.0 if world.calm else random.random()
        await world.people_wait(random.uniform(*ANSWER_S))
        if fate < FAILS:
            world.faults["receiver failed"] += 1
            return Answered(500)
        if fate < FAILS + HANGS:
            world.faults["receiver hung"] += 1
            await world.people_wait(3600.0)
        told, body = self._of[outgoing.url], json.loads(outgoing.body)
        body = body["items"][0]["_freehold"] if told.name == FEED else body
        self._come(told, body)
        if fate < FAILS + HANGS + LOST:
            world.faults["receiver's answer lost"] += 1
            return Failed("the answer was lost")
        told.answered[body["id"]] = self._incarnation()
        return Answered(200)

    def _incarnation(self) -> int:
        notifier = self._world.notifier
        return 0 if notifier is None else notifier.incarnations

    def _come(self, told: Told, body: dict[str, Any]) -> None:
        checkers, event = self._world.checkers, body["id"]
        checkers.checks += 1
        if body["source"] != f"/freehold/projects/{told.project}":
            checkers.violated(f"a receiver of project {told.project} was told of {body['source']}")
        wanted = self._wanted.get(event)
        is_old = bool(self._put_back) if wanted is None else wanted.site in self._put_back
        if told.answered.get(event) == self._incarnation() and not is_old:
            checkers.violated(f"event {event} had been answered for, and came again: {body['type']}")
        if body["type"] == MISSED:
            return
        if wanted is None:
            if not self._unsure:
                checkers.violated(f"event {event} came, and is in no log: {body['type']} {body['subject']}")
            return
        # Of an old copy of a disk, another event may have the place that this one had before.
        kind = body["type"] if is_old else wanted.type
        if not any(_fits(pattern, kind) for pattern in FILTERS[told.name] or ("*",)):
            checkers.violated(f"{body['type']} came to a receiver that wants {FILTERS[told.name]}")
        place = (wanted.site, wanted.guest)
        late = event not in told.got and told.newest.get(place, 0) > wanted.seq
        if late and wanted.guest and not is_old:
            checkers.violated(f"{body['type']} of {body['subject']} came after what followed on it")
        told.newest[place] = max(told.newest.get(place, 0), wanted.seq)
        told.got[event] = None

    # --- what is to come -------------------------------------------------------------------------------------------

    def written(self, site: "Site", entry: Entry) -> None:
        """An owner has written an entry."""
        if entry.kind not in KINDS_TOLD or site.store is None:
            return
        place = (site.name, entry.kind, entry.key)
        before = self._rows.get(place)
        if entry.value is None:
            self._rows.pop(place, None)
        else:
            self._rows[place] = entry.value
        if entry.kind == "admission" and entry.value is not None:
            admission = self._admissions[entry.key] = decode(entry.value, Admission)
            if (deed := admission.deed) is not None:
                said = (deed.number, deed.host, tuple(admission.refused_hosts))
                self._passed.setdefault(entry.key, {})[said] = None
        elif entry.kind == "admission":
            self._gone[entry.key] = (site.name, entry.seq)
        if not self._of:
            return
        owner = Owner(store=site.store.id, role=site.role, cluster="default", shard=site.shard)
        event = event_of(owner, site.store.position().epoch, entry, before)
        if event is not None:
            self._wanted[event.id] = Wanted(
                event.id,
                event.type,
                event.project,
                event.guest,
                event.deed,
                owner,
                site.name,
                entry.seq,
                len(self._wanted),
            )

    def put_back(self, site: "Site") -> None:
        """A store shows an old copy: what it had told isn't known by it any more."""
        assert site.store is not None
        self._unsure[site.name] = 1 << 60
        self._put_back.add(site.name)
        for place in [place for place in self._rows if place[0] == site.name]:
            del self._rows[place]
        self._rows |= {(site.name, kind, key): value for kind, key, value in site.store.rows() if kind in KINDS_TOLD}

    def gap(self, store: str, seq: int) -> None:
        """The notifier has taken an owner's complete state, as it stood at `seq`."""
        for site in self._world.sites.values():
            if site.store is not None and site.store.id == store:
                self._unsure[site.name] = max(self._unsure.get(site.name, 0), seq)

    def lost(self) -> str:
        """An event that should have come and hasn't; empty if all have."""
        dead = {site.name for site in self._world.sites.values() if site.dead}
        for told in self._of.values():
            for event in self._wanted.values():
                if event.project != told.project or event.id in told.got or event.site in dead:
                    continue
                if event.number < told.since or event.seq <= self._unsure.get(event.site, 0):
                    continue
                if not any(_fits(pattern, event.type) for pattern in FILTERS[told.name] or ("*",)):
                    continue
                if self._is_given(event):
                    return f"{event.type} of {event.guest or 'no guest'}, {event.site} {event.seq}, came to nobody"
        return ""

    def _is_given(self, event: Wanted) -> bool:
        """Whether the ledger gave the guest to who told of it, and the notifier can know that. Read while the ledger
        was past its deed, it was an old copy's word and was dropped, even if its host was given the guest again.
        """
        if not event.guest or not event.deed:
            return True
        ledger, seq = self._gone.get(event.guest, ("", 1))
        if seq <= self._unsure.get(ledger, 0):
            return False
        admission = self._admissions.get(event.guest)
        if admission is None or event.owner.role == "network":
            return admission is not None and admission.deed is not None
        store = event.owner.store
        for number, host, refused in self._passed.get(event.guest, ()):
            if number > event.deed and store != host and store not in refused:
                return False
        deed = admission.deed
        return store in admission.refused_hosts or (
            deed is not None and deed.host == store and deed.number >= event.deed
        )


def _fits(pattern: str, kind: str) -> bool:
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern

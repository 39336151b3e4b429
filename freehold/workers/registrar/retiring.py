"""Hosts that leave the cloud: what a shard of the registrar makes of it.

Who has retired has written on its own disk that it has no guests and takes none: that refuses every deed that was still
on its way there. A host that can't be asked any more is let go of only if nothing is deeded to it: it might have it.
From then on it gets no deed, and is told no more what it might hold: should it come back, it isn't cleared, and starts
nothing.
"""

from typing import Final

from freehold.bus import subjects, talk
from freehold.runtime.log import logger
from freehold.store.database import put
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import Conflict, NoAnswer
from freehold.vocabulary.guest import Refusal
from freehold.vocabulary.host import Retire, RetireHost, Retirement
from freehold.vocabulary.request import Admission
from freehold.workers.base import Means
from freehold.workers.registrar import lifecycle
from freehold.workers.registrar.fences import Fences
from freehold.workers.registrar.reconciler import Reconciler
from freehold.workers.registrar.records import Records

NAMED_MAX: Final = 100
"""Guests that a refusal names."""

_log = logger("registrar")


class Retiring:
    """Retires hosts for one shard."""

    def __init__(self, means: Means, records: Records, reconciler: Reconciler, fences: Fences) -> None:
        self._means, self._records, self._reconciler, self._fences = means, records, reconciler, fences

    def check(self, host: str) -> None:
        """Raises Conflict if a host is retired."""
        if self._records.store.read_as(Retirement, host) is not None:
            raise Conflict(f"host {host} is retired; start it over a new state folder to have it back")

    async def retire(self, asked: RetireHost) -> Position:
        """Where it stands durably. Raises Conflict, NoAnswer, or whatever the host refuses with."""
        store = self._records.store
        if store.read_as(Retirement, asked.host) is None:
            check_free(asked, self._records.deeded(asked.host))
            if asked.only_look:
                return store.position()
            if not asked.dead:
                await self._ask(asked)
            self._keep(asked)
        await store.durable()
        return store.position()

    async def _ask(self, asked: RetireHost) -> None:
        question = Retire(urn=asked.urn, host=asked.host, user=asked.user)
        subject = subjects.ask_host(asked.host, self._means.beyond(self._fences.cluster(asked.host)))
        try:
            await talk.ask(self._means.bus, subject, question, Done)
        except NoAnswer as error:
            raise NoAnswer(
                f"Host {asked.name} doesn't answer. If it is gone for good, retire it as dead: it isn't asked then."
            ) from error

    def _keep(self, asked: RetireHost) -> None:
        """In one go with what is still deeded to it: a host that has retired has refused that, on its disk."""
        left, now = self._records.deeded(asked.host), self._means.clock.now()
        if asked.dead:
            check_free(asked, left)
        record = Retirement(host=asked.host, name=asked.name, user=asked.user, time=now, dead=asked.dead)
        self._records.store.stage([put(asked.host, record)], asked.urn)
        for admission in left:
            after = lifecycle.refusal_seen(admission, refusal_of(admission, asked, now), asked.host, now)
            self._records.moved(admission, after, asked.urn, now)
            self._reconciler.wake(admission.guest)
        _log.warning("a host was retired", host=asked.host, name=asked.name, user=asked.user, dead=asked.dead)


def check_free(asked: RetireHost, deeded: list[Admission]) -> None:
    """Raises Conflict if a host may have guests. Of one that can be asked, what it hasn't shown yet doesn't count: it
    refuses that itself.
    """
    held = [one for one in deeded if asked.dead or lifecycle.is_shown(one) or one.delete_urn]
    if not held:
        return
    what = f"{len(held)} guest{'s are' if len(held) > 1 else ' is'} deeded to host {asked.name}"
    if asked.dead:
        todo = f"Evacuate them first: `freehold host fence {asked.name}`, then `freehold evacuate {asked.name}`."
    else:
        todo = "Delete them first; guests can't be moved yet."
    raise Conflict(f"{what}. {todo}", tuple(one.guest for one in held[:NAMED_MAX]))


def refusal_of(admission: Admission, asked: RetireHost, now: int) -> Refusal:
    """What a host that has retired has said of each deed to it."""
    assert admission.deed is not None
    fault = Conflict(f"Host {asked.name} is retired and takes no guests any more.").fault()
    deed, urn = admission.deed.number, admission.urn
    return Refusal(guest=admission.guest, project=admission.project, deed=deed, urn=urn, fault=fault, time=now)

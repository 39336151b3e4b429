"""Hosts that are taken for dead, and the guests that leave them: what a shard of the registrar makes of it.

A fence is evidence, as a host's refusal on its disk is: the machine runs nothing. By it guests may get the next deed
elsewhere, and those that are to be deleted have ended. Who made it vouches for it; what may be known here of the
contrary, that the host is heard, is held against it.
"""

from typing import Final

from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.runtime.chance import new_urn
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.store.database import put
from freehold.store.writing import Change
from freehold.vocabulary.envelope import Done, Owner, Position, Stands
from freehold.vocabulary.errors import Conflict, Fault, FreeholdError, NoAnswer, NotFound
from freehold.vocabulary.fence import Evacuate, Fence, FenceHost, FenceStands, UnfenceHost
from freehold.vocabulary.host import Fenced
from freehold.vocabulary.request import Admission, Build, Request, Stage
from freehold.vocabulary.units import clock_time, unix_ms
from freehold.workers.base import Means
from freehold.workers.registrar import lifecycle
from freehold.workers.registrar.fences import Fences
from freehold.workers.registrar.reconciler import Reconciler
from freehold.workers.registrar.records import Records

ASK_HOST_DEADLINE_S: Final = 5.0
ANSWERS_S: Final = 2.0
"""Within which a host that is to be fenced answers, if it is there."""
LET_IN: Final = Fault(code="Conflict", message="Its host was let in again, and has it.")

_log = logger("registrar")


class Fencing:
    """Fences and evacuates for one shard."""

    def __init__(self, means: Means, records: Records, reconciler: Reconciler, fences: Fences, tasks: Tasks) -> None:
        self._means, self._records, self._reconciler = means, records, reconciler
        self._fences, self._tasks = fences, tasks
        self._telling: set[str] = set()
        self._shard = records.store.owner.shard

    # --- the fence -------------------------------------------------------------------------------------------------

    async def fence(self, asked: FenceHost) -> FenceStands:
        """Durably. Raises Conflict while the host is heard or answers, and for an order of an earlier fence."""
        answers = not asked.force and self._fences.stands(asked.host) is None and await self._answers(asked.host)
        if self._fences.stands(asked.host) is None:
            self._check(asked, "It answers." if answers else "")
            if not asked.only_look:
                self._keep(asked)
        return await self._stands(asked.host)

    async def _answers(self, host: str) -> bool:
        """Whether a host is there, though what it tells may not be heard. An order may be old: who gave it has vouched
        for what was so then.
        """
        cluster = self._fences.cluster(host)
        if not cluster:
            return False
        subject = subjects.owner(Owner(store=host, role="host", cluster=cluster))
        try:
            await talk.ask(self._means.bus, subject, Stands(), Position, ANSWERS_S)
        except FreeholdError:
            return False
        return True

    def _check(self, asked: FenceHost, answers: str) -> None:
        heard = "" if asked.force else self._fences.is_heard(asked.host) or answers
        if heard:
            raise Conflict(
                f"Host {asked.name} isn't off. {heard} Switch it off, or cut it from network and disks, and fence it "
                "then; force it only if you know that it runs no guest."
            )
        if not asked.only_look and asked.term != self._next_term(asked.host):
            raise Conflict(f"Host {asked.name} was let in again since this was ordered. Look at it again.")

    def _next_term(self, host: str) -> int:
        last = self._records.last_fence(host)
        return 1 if last is None else last.term + 1

    def _keep(self, asked: FenceHost) -> None:
        """In one go with the ends of guests that were to be deleted there: nothing of them runs any more."""
        now = self._means.clock.now()
        fence = Fence(
            host=asked.host,
            shard=self._shard,
            name=asked.name,
            user=asked.user,
            evidence=asked.evidence,
            time=now,
            term=asked.term,
            forced=asked.force,
        )
        self._records.store.stage([self._records.put_fence(fence)], asked.urn)
        for admission in self._records.deeded(asked.host):
            if admission.delete_urn:
                self._records.moved(admission, None, asked.urn, now)
        _log.warning("a host was fenced", host=asked.host, name=asked.name, user=asked.user, evidence=asked.evidence)

    async def _stands(self, host: str) -> FenceStands:
        await self._records.store.durable()
        fence, store = self._fences.stands(host), self._records.store
        term = self._next_term(host) if fence is None else fence.term
        return FenceStands(store=store.id, position=store.position(), term=term, stands=fence is not None)

    async def unfence(self, asked: UnfenceHost) -> FenceStands:
        """Durably. Raises NoAnswer if the host doesn't say that it knows: it may run guests that have left it; Conflict
        for an order of an earlier fence.
        """
        if self._meant(asked) is not None:
            await self._tell(asked.host, asked.urn)
        fence = self._meant(asked)
        if fence is not None:
            self._lift(fence, asked)
        return replace(await self._stands(asked.host), lifted=fence is not None)

    def _meant(self, asked: UnfenceHost) -> Fence | None:
        fence = self._fences.stands(asked.host)
        if fence is not None and asked.term not in (0, fence.term):
            raise Conflict(f"Host {asked.name} was fenced again since this was ordered. Look at it again.")
        return fence

    def _lift(self, fence: Fence, asked: UnfenceHost) -> None:
        """In one go with the ends of evacuations that haven't got a deed: none is given from now on."""
        now = self._means.clock.now()
        lifted = replace(fence, lifted=now, lifted_by=asked.user)
        changes = [self._records.put_fence(lifted)]
        self._records.store.stage([*changes, *self._records.told_of_ends(asked.host, now)], asked.urn)
        for admission in self._records.deeded(asked.host):
            if admission.moving:
                self._records.stays(admission, LET_IN, now)
                self._reconciler.wake(admission.guest)
        _log.warning("a host was let in again", host=asked.host, name=asked.name, user=asked.user)

    # --- a host that is heard though it is fenced ------------------------------------------------------------------

    def heard(self, owner: Owner) -> None:
        """It is told that it is fenced, so that it stops what has left it."""
        self._fences.hear(owner)
        host = owner.store
        if host in self._telling or self._fences.stands(host) is None:
            return
        self._telling.add(host)
        self._tasks.start("tell a fenced host", self._tell_now(host))

    async def _tell_now(self, host: str) -> None:
        try:
            await self._tell(host, "fenced")
        except FreeholdError as error:
            _log.info("a fenced host isn't told yet", host=host, error=error.message)
        finally:
            self._telling.discard(host)

    async def _tell(self, host: str, urn: str) -> None:
        question = Fenced(urn=urn, host=host, user="", shard=self._shard)
        subject = subjects.ask_host(host, self._means.beyond(self._fences.cluster(host)))
        try:
            await talk.ask(self._means.bus, subject, question, Done, ASK_HOST_DEADLINE_S)
        except NoAnswer as error:
            raise NoAnswer(
                "The host doesn't answer. Start it: it runs nothing until it is let in, and can be let in then."
            ) from error

    # --- guests that leave it --------------------------------------------------------------------------------------

    async def evacuate(self, asked: Evacuate) -> str:
        """The URN of the request, durably. Raises NotFound; Conflict if the guest can't leave now."""
        admission, now = self._records.admission(asked.guest), self._means.clock.now()
        if admission is None:
            raise NotFound(f"Instance {asked.guest} could not be found.")
        again = admission.live_deed() is None and asked.host in admission.left
        if not again:
            self._check_leaving(admission, asked)
        urn = new_urn(self._means.chance)
        after = lifecycle.evacuation_asked(admission, asked.host, urn, now)
        if after is not admission:
            self._stage(admission, after, asked, urn, now)
        await self._records.store.durable()
        return after.moving or after.urn

    def _check_leaving(self, admission: Admission, asked: Evacuate) -> None:
        fence, why = self._fences.stands(asked.host), self._fences.why_not_leave(asked.host)
        if why or fence is None:
            raise Conflict(f"Instance {admission.guest} can't be evacuated. {why}")
        if fence.term != asked.term:
            raise Conflict("The host was let in again since this was ordered. Look at it again.")

    def _stage(self, before: Admission, after: Admission, asked: Evacuate, urn: str, now: int) -> None:
        changes: list[Change] = []
        if after.moving != before.urn:  # else it goes on with the request, and the message, that it has
            build = _build(before, asked, urn, now)
            changes = [self._records.keep_build(build), put(urn, _request(build, asked, now))]
        self._records.moved(before, after, urn, now, changes)
        self._reconciler.wake(before.guest)
        _log.warning("a guest is evacuated", guest=before.guest, host=asked.host, user=asked.user, urn=urn)

    def check_leaves(self, admission: Admission) -> None:
        """Raises Conflict unless a guest may get the next deed elsewhere, though its host hasn't refused the last."""
        assert admission.deed is not None
        why = self._fences.why_not_leave(admission.deed.host)
        if why:
            raise Conflict(f"guest {admission.guest} gets no deed. {why}")

    def left(self, admission: Admission) -> Admission:
        """An admission that has just left its host, as its guest was last."""
        build = self._records.build(admission.guest)
        return admission if build is None else replace(admission, labels=build.labels)

    def ends(self, admission: Admission) -> bool:
        """Whether a guest that is deleted has ended by that alone: its host is fenced."""
        deed = admission.live_deed()
        return deed is not None and self._fences.stands(deed.host) is not None


def _build(admission: Admission, asked: Evacuate, urn: str, now: int) -> Build:
    return Build(
        urn=urn,
        guest=admission.guest,
        project=admission.project,
        user=admission.user,
        created=admission.created,
        expires=clock_time(unix_ms(now) + round(asked.deadline_s * 1000)),
        hostname=admission.hostname,
        labels=asked.labels or admission.labels,
        spec=admission.spec,
        networks=admission.networks if asked.networks is None else asked.networks,
        ties=asked.ties,
        image_owner=asked.image_owner,
        user_data=asked.user_data,
        admin_password=asked.admin_password,
        action="evacuate",
        target=asked.target,
        stopped=asked.stopped,
    )


def _request(build: Build, asked: Evacuate, now: int) -> Request:
    return Request(
        urn=build.urn,
        project=build.project,
        user=asked.user,
        action=build.action,
        guest=build.guest,
        created=now,
        expires=build.expires,
        stages=((Stage.ADMITTED.value, now),),
    )

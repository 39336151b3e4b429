"""What hasn't ended is pursued: a build is sent again, a delete carried to its host, until the owner's evidence is
seen.

News only wakes it; what to do is decided from the store, so the first try and the tenth, and those after a restart,
are one path.
"""

import asyncio
from typing import Final

from msgspec.structs import replace

from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.runtime.watchdog import Watchdog
from freehold.vocabulary.errors import Fault, FreeholdError
from freehold.vocabulary.request import Admission, Build
from freehold.vocabulary.units import unix_ms
from freehold.workers.base import Means
from freehold.workers.registrar import effects, lifecycle
from freehold.workers.registrar.due import Due
from freehold.workers.registrar.fences import Fences
from freehold.workers.registrar.records import Records

BUSY_PAUSE_S: Final = 0.25
CARRIED_AT_ONCE_MAX: Final = 64
PURSUED_AT_ONCE_MAX: Final = 256

_log = logger("registrar")


class Reconciler:
    """Does the next thing for each guest that is due."""

    def __init__(self, means: Means, records: Records, tasks: Tasks, watchdog: Watchdog, fences: Fences) -> None:
        self._means, self._records, self._tasks, self._fences = means, records, tasks, fences
        self._watchdog = watchdog
        self._due = Due(means.clock.clock, means.chance)
        self._ends_s: dict[str, tuple[str, float]] = {}
        """By guest: its request, and when that is over."""
        self._carrying: set[str] = set()

    def wake(self, guest: str) -> None:
        """Something about this guest was written: look at it now, and start the retries anew."""
        self._due.wake(guest)

    def wake_all(self) -> None:
        """After a start: look at everything that hasn't ended."""
        for admission in self._records.admissions():
            if self._unfinished(admission):
                self.wake(admission.guest)

    async def run(self) -> None:
        """Pursues what is due, until cancelled."""
        while True:
            while guests := self._due.take(PURSUED_AT_ONCE_MAX):
                await self._watchdog.turn("resend", self._pursue_all(guests))
            await self._due.wait()

    async def _pursue_all(self, guests: list[str]) -> None:
        """They wait for the disk together."""
        await asyncio.gather(*(self.pursue(guest) for guest in guests))

    async def pursue(self, guest: str) -> None:
        """Does the next thing for one guest, and plans the try after it."""
        admission = self._records.admission(guest)
        if admission is None or not self._unfinished(admission):
            self._due.forget(guest)
            self._ends_s.pop(guest, None)
            return
        self._due.plan(guest)
        admission = await self._on_disk(admission)
        if admission is None or not self._unfinished(admission):  # it has moved meanwhile
            return
        if admission.moving:
            await self._send_away(admission)
        elif admission.lost:
            await effects.send_back(self._means, admission)
        elif admission.delete_urn or admission.stage in lifecycle.ENDED:
            self._carry(admission)
        else:
            await self._send(admission)

    async def _on_disk(self, admission: Admission) -> Admission | None:
        """An admission as it is and as the disk has it: nobody acts on what isn't there, be it a build or a delete.
        What was staged while this waited is waited for as well.
        """
        now: Admission | None = admission
        while True:
            before = now
            await self._records.store.durable()
            now = self._records.admission(admission.guest)
            if now is None or now == before:
                return now

    def _unfinished(self, admission: Admission) -> bool:
        if admission.delete_urn or admission.lost or admission.moving:
            return True
        if admission.stage in lifecycle.ENDED:
            return admission.fault is not None and lifecycle.may_hold(admission)
        return True

    async def _send(self, admission: Admission) -> None:
        build = self._records.build(admission.guest)
        if build is None or self._is_over(build):
            await self._expire(admission, self._means.clock.now())
            return
        deed = admission.deed if lifecycle.may_hold(admission) else None
        next_number = 1 if admission.deed is None else admission.deed.number + 1
        refused = admission.refused_hosts
        sent = replace(build, attempt=admission.attempts, refused=refused, deed=deed, number=next_number)
        await effects.send_build(self._means, sent)

    async def _send_away(self, admission: Admission) -> None:
        """A guest that is to leave its host, as soon as it may."""
        build, deed = self._records.build(admission.guest), admission.deed
        assert deed is not None
        if build is None or self._is_over(build):
            await self._stay(admission)
        elif self._fences.why_not_leave(deed.host):
            _log.info("a guest can't leave its host now", guest=admission.guest, host=deed.host)
        else:
            attempt, refused = admission.attempts + 1, (deed.host,)
            sent = replace(build, attempt=attempt, refused=refused, deed=None, number=deed.number + 1)
            await effects.send_build(self._means, sent)

    async def _stay(self, admission: Admission) -> None:
        """The request to evacuate is over; one to build goes on, as it has its own end."""
        now = self._means.clock.now()
        if admission.moving == admission.urn:
            await self._expire(admission, now)
            return
        assert admission.deed is not None
        why = self._fences.why_not_leave(admission.deed.host) or "No other host took it before the deadline."
        fault = Fault(code="NoAnswer", message=f"The guest wasn't evacuated: {why} It stays where it was.")
        position = self._records.stays(admission, fault, now)
        self.wake(admission.guest)
        await self._records.store.durable(position)

    def _is_over(self, build: Build) -> bool:
        """Whether a build's deadline has passed. It is counted on the clock that can't jump, from when this process
        first saw the build: what is left by the wall clock then, and never more than it was given.
        """
        monotonic_s = self._means.clock.clock.monotonic_s()
        if self._ends_s.get(build.guest, ("", 0.0))[0] != build.urn:
            given_ms = unix_ms(build.expires) - unix_ms(build.created)
            left_ms = unix_ms(build.expires) - unix_ms(self._means.clock.now())
            self._ends_s[build.guest] = (build.urn, monotonic_s + min(left_ms, given_ms) / 1000)
        return self._ends_s[build.guest][1] <= monotonic_s

    async def _expire(self, admission: Admission, now: int) -> None:
        position = self._records.moved(admission, lifecycle.expired(admission, now), "deadline", now)
        self.wake(admission.guest)
        await self._records.store.durable(position)

    def _carry(self, admission: Admission) -> None:
        if admission.guest in self._carrying:
            return
        if len(self._carrying) >= CARRIED_AT_ONCE_MAX:  # not a try: its turn comes when others are done
            self._due.put_off(admission.guest, BUSY_PAUSE_S)
            return
        self._carrying.add(admission.guest)
        self._tasks.start("carry delete", self._carry_now(admission))

    async def _carry_now(self, admission: Admission) -> None:
        try:
            await effects.carry_delete(self._means, admission)
        except FreeholdError as error:
            _log.info("a delete waits for its host", guest=admission.guest, error=error.message)
        finally:
            self._carrying.discard(admission.guest)

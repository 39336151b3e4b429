"""The directory's loop."""

from msgspec.structs import replace

from freehold.bus import subjects
from freehold.bus.interface import Subscription
from freehold.bus.tickets import Cloud
from freehold.runtime.chance import new_id
from freehold.runtime.keys import SigningKey
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks, periodically
from freehold.store.database import Store
from freehold.vocabulary.codec import encode
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Conflict, NotFound, Unauthorized
from freehold.vocabulary.machine import (
    Bar,
    DirectoryQuestion,
    Enroll,
    Invite,
    Invited,
    Passported,
    Renew,
    Roll,
)
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Word
from freehold.workers.base import Desk, Means
from freehold.workers.directory import effects, lifecycle
from freehold.workers.directory.effects import Office
from freehold.workers.directory.reconciler import PERIOD_S, Reconciler
from freehold.workers.directory.records import Records

GROUP = "directory"
SECRET_BYTES = 24

_log = logger("directory")


class DirectoryWorker:
    """See the package. `authority` is its key: `Records.authority`."""

    def __init__(self, means: Means, store: Store, authority: SigningKey) -> None:
        self._means, self._store = means, store
        self._office = Office(authority, Cloud(store.owner.cluster, means.shards))
        self._records = Records(store)
        self._reconciler = Reconciler(self._records, means.clock)
        self._desk = Desk(means, store, "directory")
        self.tasks = Tasks("directory")
        self.tasks.watch(self._desk.tasks)
        self._subscriptions: list[Subscription] = []

    async def open(self) -> None:
        """Starts to answer, and to say who is barred."""
        await self._desk.open()
        self._subscriptions = [
            await self._desk.serve(subjects.ASK_DIRECTORY, DirectoryQuestion, self._answer, GROUP),
            await self._desk.serve(subjects.ASK_PASSPORT, Renew, self._renew, GROUP),
        ]
        look = self._desk.watchdog.watched("barred", self._say_barred)
        self.tasks.start("barred", periodically(self._means.clock.clock.sleep, PERIOD_S, look))

    async def close(self) -> None:
        """Stops. The store is closed by whoever opened it."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self.tasks.close()
        await self._desk.close()

    async def _answer(self, question: DirectoryQuestion) -> Word:
        match question:
            case Invite():
                return await self._invite(question)
            case Enroll():
                return await self._enroll(question)
            case Bar(machine=machine):
                return await self._bar(machine)

    async def _invite(self, asked: Invite) -> Invited:
        chance, now = self._means.chance, self._means.clock.now()
        secret = Secret(chance.bytes(SECRET_BYTES).hex())
        invitation = lifecycle.invited(asked, self._records.machines(), new_id(chance), secret, now)
        await self._store.durable(self._records.keep_invitation(invitation))
        return Invited(id=invitation.id, secret=secret, authority=self._office.public, expires_ms=invitation.expires_ms)

    async def _enroll(self, asked: Enroll) -> Passported:
        now, invitation = self._means.clock.now(), self._records.invitation(asked.invitation)
        request = lifecycle.admitted(invitation, asked, now)
        assert invitation is not None
        effects.check_proof(request, invitation.id)
        machine = self._records.machine(invitation.machine)
        if machine is not None and machine.barred:
            raise Unauthorized("This invitation can't be used.")
        if machine is None:
            lifecycle.check_stores(request, self._records.machines())
            machine = lifecycle.enrolled(invitation, request, new_id(self._means.chance), now)
            used = replace(invitation, request=asked.request, machine=machine.id)
            self._records.keep_machine(machine, f"invitation {invitation.id}", used)
            _log.info("a machine was let in", machine=machine.id, name=machine.name, roles=machine.roles)
        await self._store.durable()
        passport = lifecycle.passport_of(machine, now)
        return self._office.first_papers(passport, self._roll(now), invitation.secret)

    async def _renew(self, asked: Renew) -> Passported:
        machine, now = self._records.machine(asked.machine), self._means.clock.now()
        request = lifecycle.requested(asked.request)
        after = lifecycle.renewed(machine, request, now)
        assert machine is not None
        effects.check_proof(request, machine.id)
        if request.key != machine.key:  # else it has that key already, and only the answer was lost
            effects.check_renewal(machine.key, asked)
        lifecycle.check_stores(request, self._records.machines(), but=machine.id)
        self._records.keep_machine(after, "renewal")
        await self._store.durable()
        papers = self._office.papers(lifecycle.passport_of(after, now), self._roll(now))
        return Passported(papers=encode(papers), passport=papers.passport)

    def _roll(self, now: int) -> Roll:
        return self._office.roll(lifecycle.refused_keys(self._records.machines(), now), now)

    async def _bar(self, machine: str) -> Done:
        known = self._records.machine(machine)
        if known is None:
            raise NotFound(f"There is no machine {machine}.")
        if self._store.id in known.stores:
            raise Conflict("this is the directory's own machine: without it nobody could be let in or shut out")
        now = self._means.clock.now()
        position = self._records.keep_machine(lifecycle.barred(known, now), "barred")
        await self._store.durable(position)
        _log.warning("a machine was shut out", machine=machine, name=known.name)
        await self._say_barred()
        return self._desk.done(position, machine)

    async def _say_barred(self) -> None:
        barred, refused = self._reconciler.look()
        await effects.say_roll(self._means, self._office.roll(refused, self._means.clock.now()))
        await effects.say_barred(self._means, barred)

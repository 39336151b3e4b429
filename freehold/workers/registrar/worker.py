"""The registrar's loop: questions and hosts' news in, rules, store, and what follows."""

from collections.abc import Callable
from typing import Any, Final

from argon2 import PasswordHasher
from msgspec.structs import replace

from freehold.bus import subjects
from freehold.bus.interface import Subscription
from freehold.runtime.chance import new_id, new_urn
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks, periodically
from freehold.store.database import Store, keep_private, put
from freehold.views.follower import Follower
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import BadRequest, Busy, Conflict, NotFound
from freehold.vocabulary.fence import Evacuate, FenceHost, UnfenceHost
from freehold.vocabulary.host import RetireHost
from freehold.vocabulary.request import (
    Admit,
    Admitted,
    Build,
    ChangePassword,
    CloseProject,
    DeedsOf,
    DeleteGuest,
    DropTenant,
    GiveUp,
    HostNotice,
    Idempotency,
    Intent,
    IntentList,
    Intents,
    LedgerNotice,
    Lost,
    NetworkNotice,
    RecordDeed,
    RegistrarQuestion,
    SaveTenant,
    SchedulerNotice,
    Stage,
    VolumeNotice,
)
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import IDENTITY_SHARD
from freehold.vocabulary.tenant import ApplicationCredential, Project, Resource, User
from freehold.vocabulary.token import Revoke, SignIn, SignInAgain, SignInByCredential
from freehold.vocabulary.units import clock_time, unix_ms
from freehold.vocabulary.volume_request import AdmitVolume, DeleteVolume, ExtendVolume
from freehold.vocabulary.word import Word
from freehold.workers.base import Desk, Means
from freehold.workers.registrar import effects, groups, lifecycle, tenancy
from freehold.workers.registrar.effects import Passwords
from freehold.workers.registrar.entrance import Entrance
from freehold.workers.registrar.fences import Fences
from freehold.workers.registrar.fencing import Fencing
from freehold.workers.registrar.first import first_records
from freehold.workers.registrar.hosts import HostSink
from freehold.workers.registrar.reconciler import Reconciler
from freehold.workers.registrar.records import Records
from freehold.workers.registrar.retiring import Retiring
from freehold.workers.registrar.sharding import check_mine, take_place
from freehold.workers.registrar.volumes.part import Volumes

GUESTS_AT_ONCE_MAX: Final = 1000
DEEDS_PAGE: Final = 1000
WAITING_MAX: Final = 200
"""Builds that may wait for a host. Each takes some milliseconds: more would be late, and asked for again meanwhile."""
WAITING_MS: Final = 30_000
"""Who has waited for longer waits for something else than others' builds: for a host that isn't heard, or for room."""
AT_ONCE_MAX: Final = 512
"""Questions that are answered at once: past it, who asks is told to come again."""
TIDY_PERIOD_S: Final = 3600.0
ENDED_HORIZON_MS: Final = 30 * 24 * 3600 * 1000
"""How long it is known of a guest that it was deleted: as old a copy of a host's disk may come back."""

_NOTICES = {"scheduler": SchedulerNotice, "image": GiveUp, "network": NetworkNotice, "volume": VolumeNotice}
_log = logger("registrar")


class RegistrarWorker:
    """See the package."""

    def __init__(
        self, means: Means, store: Store, name: str = "registrar", hasher: PasswordHasher | None = None
    ) -> None:
        self._means, self._store = means, store
        self.tasks = Tasks("registrar")
        self.records = Records(store)
        self.desk = Desk(means, store, name)
        self._fences = Fences(self.records, means.clock.clock)
        self._reconciler = Reconciler(means, self.records, self.tasks, self.desk.watchdog, self._fences)
        self._retiring = Retiring(means, self.records, self._reconciler, self._fences)
        self._fencing = Fencing(means, self.records, self._reconciler, self._fences, self.tasks)
        sink = HostSink(self.records, means.clock, self._reconciler, means.shards, self._fencing.heard)
        self.follower = Follower(means.bus, ["host"], sink, "registrar", heeds=self._fences.heeds)
        self._passwords = Passwords(means, hasher or PasswordHasher())
        self._entrance = Entrance(means, store, self._passwords)
        self.volumes = Volumes(means, store, self.desk.watchdog)
        self.tasks.watch(self.desk.tasks, self.follower.tasks, self.volumes.tasks)
        self._subscriptions: list[Subscription] = []

    async def open(self) -> None:
        """Starts to answer, to follow hosts, and to pursue what hadn't ended."""
        await take_place(self._means, self._store)
        if self._store.owner.shard == IDENTITY_SHARD:
            await self._entrance.open()
        await self.desk.open()
        await self._listen()
        await self.follower.open()
        await self.volumes.open()
        self._reconciler.wake_all()
        self.tasks.start("reconciler", self._reconciler.run())
        self.tasks.start("tidy", periodically(self._means.clock.clock.sleep, TIDY_PERIOD_S, self._tidy))

    async def _listen(self) -> None:
        shard = self._store.owner.shard
        served: list[tuple[str, Any, Callable[[Any, str], str] | None]] = [
            (subjects.ask_shard(shard), RegistrarQuestion, None),
            *((subjects.ask_ledger(shard, role), notice, None) for role, notice in _NOTICES.items()),
            (
                subjects.ask_ledger_as_hosts(shard),
                HostNotice,
                lambda question, asked: subjects.of_store(asked, question.host),
            ),
        ]
        self._subscriptions = [
            await self.desk.serve(subject, questions, self._answer, "registrar", AT_ONCE_MAX, subject_of)
            for subject, questions, subject_of in served
        ]

    async def close(self) -> None:
        """Stops; what was staged is durable when the store is closed."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self.follower.close()
        await self.volumes.close()
        await self.tasks.close()
        await self.desk.close()

    # --- questions ---
    async def _answer(self, question: RegistrarQuestion | LedgerNotice) -> Word:
        check_mine(self._means, self._store, question)
        match question:
            case Admit():
                return await self._admit(question)
            case RecordDeed(deed=deed):
                return await self._record_deed(deed)
            case GiveUp():
                return await self._give_up(question)
            case DeleteGuest():
                return await self._delete(question)
            case Intents() | DeedsOf() | Lost() | RetireHost():
                return await self._about_host(question)
            case FenceHost() | UnfenceHost() | Evacuate():
                return await self._about_fence(question)
            case SignIn() | SignInByCredential() | SignInAgain() | Revoke() | ChangePassword():
                return await self._about_entrance(question)
            case AdmitVolume() | DeleteVolume() | ExtendVolume():
                return await self.volumes.answer(question)
            case SaveTenant():
                return await self._save(question)
            case CloseProject(project=project):
                return await self._close_project(project)
            case DropTenant(kind=kind, key=key):
                return await self._drop(kind, key)

    async def _about_host(self, question: Intents | DeedsOf | Lost | RetireHost) -> Word:
        match question:
            case Intents():
                return await self._on_disk(self._intents(question))
            case DeedsOf(host=host, after=after):
                self._retiring.check(host)
                self._fences.check(host)
                return await self._on_disk(self.records.deeds_of(host, after, DEEDS_PAGE))
            case Lost():
                return await self._lost(question)
            case RetireHost(host=host):
                return self.desk.done(await self._retiring.retire(question), host)

    async def _on_disk(self, answer: Word) -> Word:
        """An answer, when all that it says is on disk: hosts act on what they are told."""
        await self._store.durable()
        return answer

    def _intents(self, asked: Intents) -> IntentList:
        host = asked.host
        fenced = bool(host) and self._fences.stands(host) is not None
        intents = tuple(self._intent(guest, host) for guest in asked.guests)
        return IntentList(intents=intents, fenced=fenced, read=self.follower.stands_at(host) if host else None)

    async def _about_fence(self, question: FenceHost | UnfenceHost | Evacuate) -> Word:
        match question:
            case FenceHost():
                self._retiring.check(question.host)
                return await self._fencing.fence(question)
            case UnfenceHost():
                return await self._fencing.unfence(question)
            case Evacuate():
                urn = await self._fencing.evacuate(question)
                return self.desk.done(self._store.position(), urn)

    async def _about_entrance(
        self, question: SignIn | SignInByCredential | SignInAgain | Revoke | ChangePassword
    ) -> Word:
        match question:
            case Revoke(audit_id=audit_id):
                return self.desk.done(await self._entrance.revoke(question), audit_id)
            case ChangePassword(user=user):
                return self.desk.done(await self._entrance.change_password(question), user)
            case _:
                return await self._entrance.sign_in(question)

    async def _admit(self, asked: Admit) -> Admitted:
        if not 0 < len(asked.builds) <= GUESTS_AT_ONCE_MAX:
            raise BadRequest(f"ask for 1 to {GUESTS_AT_ONCE_MAX} guests at once")
        project = asked.builds[0].project
        if any(build.project != project for build in asked.builds):
            raise BadRequest("guests that are asked for at once belong to one project")
        if tenancy.is_closed(self._store, project):
            raise Conflict(f"project {project} is being deleted; it gets no guests")
        used_for = self._asked_before(project, asked)
        if used_for is not None:
            await self._store.durable()
            return self._admitted(used_for, self._store.position(), again=True)
        self._check_waiting()
        more: dict[Resource, int] = {}
        for build in asked.builds:
            for resource, amount in lifecycle.wanted(build).items():
                more[resource] = more.get(resource, 0) + amount
        quota = self.records.quota(project)
        lifecycle.check_quota(quota, self.records.used(project), more)
        groups.check_room(asked.builds, self.records.server_group, self.records.members, quota)
        builds = [self._with_ids(build, asked.deadline_s) for build in asked.builds]
        guests = tuple(build.guest for build in builds)
        used_for = Idempotency(body_digest=asked.body_digest, guests=guests, urn=builds[0].urn)
        requests = [lifecycle.create_request(build) for build in builds]
        position = self.records.admit(builds, requests, asked.idempotency_key, used_for)
        await self._store.durable(position)
        for guest in guests:
            self._reconciler.wake(guest)
        return self._admitted(used_for, position)

    def _check_waiting(self) -> None:
        """Raises Busy if as many builds wait for hosts as are soon built: more would only make all of them late."""
        if self._room() <= 0:
            raise Busy("More guests have been asked for than are built at the moment, and this one isn't taken yet.")

    def _room(self) -> int:
        """How many more builds are taken; 0 or less: none."""
        return WAITING_MAX - self.records.waiting(self._means.clock.clock.unix_ms() - WAITING_MS)

    def _admitted(self, used_for: Idempotency, position: Position, again: bool = False) -> Admitted:
        guests, store, room = used_for.guests, self._store.id, max(self._room(), 0)
        return Admitted(urn=used_for.urn, guests=guests, store=store, position=position, again=again, room=room)

    def _asked_before(self, project: str, asked: Admit) -> Idempotency | None:
        if not asked.idempotency_key:
            return None
        used_for = self.records.idempotency(project, asked.idempotency_key)
        if used_for is not None and used_for.body_digest != asked.body_digest:
            raise Conflict("this idempotency key was used for another request; use a new key for a new request")
        return used_for

    def _with_ids(self, build: Build, deadline_s: float) -> Build:
        now = self._means.clock.now()
        return replace(
            build,
            urn=new_urn(self._means.chance),
            guest=build.guest or new_id(self._means.chance),
            created=now,
            expires=clock_time(unix_ms(now) + round(deadline_s * 1000)),
        )

    async def _record_deed(self, deed: Deed) -> Deed:
        admission = self.records.admission(deed.guest)
        now = self._means.clock.now()
        after = lifecycle.deed_recorded(admission, deed, now)
        if admission is not None and after is not admission:
            if admission.moving:
                self._fencing.check_leaves(admission)
                after = self._fencing.left(after)
            self._retiring.check(deed.host)
            self._fences.check(deed.host)
            groups.check_deed(after, self.records.members(after.spec.server_group))
            self.records.moved(admission, after, deed.urn, now)
        await self._store.durable()
        assert after.deed is not None
        return after.deed

    async def _give_up(self, given_up: GiveUp) -> Done:
        admission = self.records.admission(given_up.guest)
        if admission is not None and (admission.moving or admission.urn) == given_up.urn:
            now = self._means.clock.now()
            after = lifecycle.given_up(admission, given_up.deed, given_up.fault, now)
            if admission.moving:
                self.records.stays(admission, given_up.fault, now)
                self._reconciler.wake(admission.guest)
            elif after is not admission:
                self.records.moved(admission, after, given_up.urn, now)
                self._reconciler.wake(admission.guest)
        await self._store.durable()
        return self.desk.done(self._store.position(), given_up.guest)

    async def _delete(self, asked: DeleteGuest) -> Done:
        admission = self.records.admission(asked.guest)
        if admission is None or (asked.project and admission.project != asked.project):
            raise NotFound(f"Instance {asked.guest} could not be found.")
        now, urn = self._means.clock.now(), new_urn(self._means.chance)
        ends = self._fencing.ends(admission)
        after = None if ends else lifecycle.delete_asked(admission, urn, now, asked.cancelled)
        if after is not admission:
            request = lifecycle.delete_request(admission, asked.user, urn, now, ended=after is None)
            self.records.moved(admission, after, urn, now, [put(urn, request)])
        self._reconciler.wake(asked.guest)
        await self._store.durable()
        return self.desk.done(self._store.position(), urn if after is None else after.delete_urn)

    def _intent(self, guest: str, host: str) -> Intent:
        admission = self.records.admission(guest)
        if admission is None:
            return Intent(guest=guest, ended=self.records.has_ended(guest))
        came_back = lifecycle.is_shown(admission) and admission.deed is not None and admission.deed.host == host
        return Intent(
            guest=guest,
            deed=admission.deed,
            delete_urn=admission.delete_urn,
            refused_deed=admission.refused_deed,
            has_run=admission.stage is Stage.ACTIVE,
            failed=admission.stage is Stage.FAILED,
            left=host in admission.left and not came_back if host else bool(admission.left),
        )

    async def _lost(self, asked: Lost) -> Done:
        now = self._means.clock.now()
        for guest in asked.guests:
            admission = self.records.admission(guest)
            after = lifecycle.lost(admission, asked.host, now)
            if admission is not None and after is not None:
                _log.error(
                    "a host has lost its record of a guest; it is sent there again", guest=guest, host=asked.host
                )
                self.records.moved(admission, after, "lost", now)
                self._reconciler.wake(guest)
        await self._store.durable()
        return self.desk.done(self._store.position())

    async def _tidy(self) -> None:
        horizon = clock_time(self._means.clock.clock.unix_ms() - ENDED_HORIZON_MS)
        self.records.forget_ended(horizon)
        self.volumes.tidy(horizon)
        await self._store.durable()

    # --- tenancy and tokens ---
    async def _save(self, asked: SaveTenant) -> Done:
        secret = None if asked.secret is None else await self._passwords.hashed(asked.secret)
        record = tenancy.saved(self._store, asked.kind, asked.key, asked.record, asked.new, secret is not None)
        changes = [put(asked.key, record)]
        if secret is not None and isinstance(record, User):
            changes.append(keep_private("password", asked.key, secret))
        elif secret is not None and isinstance(record, ApplicationCredential):
            changes.append(keep_private("credential_secret", asked.key, secret))
        return self.desk.done(await self._store.commit(changes, f"save {asked.kind}"), asked.key)

    async def _drop(self, kind: str, key: str) -> Done:
        tenancy.dropped(self._store, kind, key)
        if kind == "project":
            await effects.close_project(self._means, key)
        changes = tenancy.dropped(self._store, kind, key)  # again: what hangs on it may have changed meanwhile
        return self.desk.done(await self._store.commit(changes, f"drop {kind}"), key)

    async def _close_project(self, project: str) -> Done:
        changes = tenancy.closed(self._store, project)
        return self.desk.done(await self._store.commit(changes, "close project"), project)

    # --- the first start ---
    async def bootstrap(self, password: Secret) -> bool:
        """Makes the first admin, project, roles and flavors. False, and no change, if there are users already."""
        await take_place(self._means, self._store)
        if self._store.scan(User):
            return False
        secret = await self._passwords.hashed(password)
        admin, changes = first_records(self._means)
        await self._store.commit([*changes, keep_private("password", admin.id, secret)], "bootstrap")
        return True

    async def set_password(self, user_name: str, password: Secret) -> None:
        """Sets a user's password from the machine itself. Raises NotFound."""
        user = next((u for u in self._store.scan(User) if u.name == user_name), None)
        if user is None:
            raise NotFound(f"there is no user {user_name!r}")
        secret = await self._passwords.hashed(password)
        changes = [put(user.id, replace(user, generation=user.generation + 1, enabled=True))]
        await self._store.commit([*changes, keep_private("password", user.id, secret)], "set password")

    def project_named(self, name: str) -> Project | None:
        """A project by its name."""
        return next((p for p in self._store.scan(Project) if p.name == name), None)

"""What the API asks of the registrar about volumes: admitted against the quota, and carried to their owners."""

from freehold.runtime.chance import new_id, new_urn
from freehold.store.database import Store
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Conflict, FreeholdError, NotFound
from freehold.vocabulary.tenant import Quota, Resource
from freehold.vocabulary.volume_request import (
    MAKING_DEADLINE_S,
    AdmitVolume,
    DeleteVolume,
    ExtendVolume,
    VolumeAdmission,
    VolumeAdmitted,
    VolumePlace,
)
from freehold.vocabulary.word import Word
from freehold.workers.base import Means
from freehold.workers.registrar import tenancy
from freehold.workers.registrar.lifecycle import check_quota
from freehold.workers.registrar.volumes import effects, lifecycle
from freehold.workers.registrar.volumes.reconciler import Reconciler
from freehold.workers.registrar.volumes.records import Records


class Questions:
    """See the module."""

    def __init__(self, means: Means, store: Store, records: Records, reconciler: Reconciler) -> None:
        self._means, self._store, self._records, self._reconciler = means, store, records, reconciler

    async def answer(self, question: AdmitVolume | DeleteVolume | ExtendVolume) -> Word:
        """The answer, when what it promises is on disk. Raises FreeholdError."""
        match question:
            case AdmitVolume():
                return await self._admit(question)
            case DeleteVolume() | ExtendVolume():
                return await self._change(question)

    async def _change(self, asked: DeleteVolume | ExtendVolume) -> Done:
        """What is refused stays so, however often it comes."""
        self._records.refused.check(asked.urn)
        try:
            return await self._delete(asked) if isinstance(asked, DeleteVolume) else await self._extend(asked)
        except FreeholdError as error:
            if effects.is_final(error):
                self._records.refused.keep(asked.urn, error, self._means.clock.now())
            raise

    async def _admit(self, asked: AdmitVolume) -> VolumeAdmitted:
        if tenancy.is_closed(self._store, asked.project):
            raise Conflict(f"project {asked.project} is being deleted; it gets no volumes")
        before = self._asked_before(asked)
        if before is not None:
            await self._store.durable()
            return self._admitted(before, again=True)
        lifecycle.check_size(asked.spec.size_gib)
        now, identifier = self._means.clock.now(), new_id(self._means.chance)
        place = self._place_of(asked)
        admission = lifecycle.admitted(asked, identifier, new_urn(self._means.chance), place, now, MAKING_DEADLINE_S)
        self._check_quota(asked.project, lifecycle.wanted(admission), asked.spec.size_gib)
        self._records.admit(admission, asked.image_owner, asked.idempotency_key, asked.body_digest)
        await self._store.durable()
        self._reconciler.wake(identifier)
        return self._admitted(admission)

    def _admitted(self, admission: VolumeAdmission, *, again: bool = False) -> VolumeAdmitted:
        position = self._store.position()
        return VolumeAdmitted(id=admission.id, urn=admission.urn, store=self._store.id, position=position, again=again)

    def _asked_before(self, asked: AdmitVolume) -> VolumeAdmission | None:
        if not asked.idempotency_key:
            return None
        used_for = self._records.asked_before(asked.project, asked.idempotency_key)
        if used_for is None:
            return None
        if used_for[0] != asked.body_digest:
            raise Conflict("this idempotency key was used for another request; use a new key for a new request")
        admission = self._records.admission(used_for[1])
        if admission is None:
            raise Conflict("what was asked for with this idempotency key has been deleted; use a new key")
        return admission

    def _place_of(self, asked: AdmitVolume) -> VolumePlace | None:
        """Where it must lie: with the volume that it is a snapshot or a copy of. None: in any pool."""
        volume = asked.snapshot_of or asked.copy_of
        if not volume:
            return None
        admission = self._records.admission(volume)
        place = None if admission is None else admission.live_place()
        if admission is None or admission.project != asked.project or place is None:
            raise NotFound(f"Volume {volume} could not be found.")
        if admission.delete_urn:
            raise Conflict(f"Volume {volume} is being deleted.")
        return VolumePlace(store=place.store, cluster=place.cluster, number=1)

    def _check_quota(self, project: str, more: dict[Resource, int], size_gib: int) -> None:
        quota = self._store.read_as(Quota, project) or Quota(project=project)
        check_quota(quota, self._records.used(project), more)
        one = quota.per_volume_gigabytes
        if one >= 0 and size_gib > one:
            raise lifecycle.too_large(size_gib, one)

    async def _delete(self, asked: DeleteVolume) -> Done:
        admission = self._found(asked.id, asked.project)
        now, urn = self._means.clock.now(), asked.urn
        after = lifecycle.delete_asked(admission, urn, now, force=asked.force)
        if after is not admission:
            self._records.moved(admission, after, urn, now)
        await self._store.durable()
        if after is not None:
            await self._carry_delete(after)
        return self._done(urn if after is None else after.delete_urn)

    async def _carry_delete(self, admission: VolumeAdmission) -> None:
        """Its owner says at once whether it may go; one that isn't heard is asked again later. Raises what it is
        refused for, and then it stays.
        """
        place = admission.live_place()
        assert place is not None
        try:
            await effects.remove(self._means, admission, place)
        except FreeholdError as error:
            if effects.is_final(error):
                await self._reconciler.delete_refused(admission.id, admission.delete_urn, error)
                raise
            self._records.refused.check(admission.delete_urn)  # it was asked once more meanwhile
        self._reconciler.wake(admission.id)

    async def _extend(self, asked: ExtendVolume) -> Done:
        admission = self._found(asked.id, asked.project)
        more = asked.size_gib - admission.size_gib()
        now, urn = self._means.clock.now(), asked.urn
        after = lifecycle.grow_asked(admission, asked.size_gib, urn, now)
        self._check_quota(admission.project, {Resource.GIGABYTES: max(more, 0)}, asked.size_gib)
        if after is not admission:
            self._records.moved(admission, after, urn, now)
        await self._store.durable()
        place = after.live_place()
        assert place is not None
        try:
            await effects.grow(self._means, after, place)
        except FreeholdError as error:
            if effects.is_final(error):
                await self._reconciler.grow_refused(admission.id, urn)
                raise
        self._reconciler.wake(admission.id)
        return self._done(urn)

    def _found(self, identifier: str, project: str) -> VolumeAdmission:
        admission = self._records.admission(identifier)
        if admission is None or project not in ("", admission.project):
            raise NotFound(f"Volume {identifier} could not be found.")
        return admission

    def _done(self, urn: str) -> Done:
        return Done(store=self._store.id, position=self._store.position(), key=urn)

"""Attachments pursued: a guest's host is told what its guest is to have, and opens it; what has ended is cut off.

Nobody waits for another: an attachment has a turn of its own, and one that isn't done is tried again until it is. From
time to time all are gone through, so that what a host or this store has lost is found again.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from freehold.bus import subjects, talk
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.attachment import (
    Attached,
    Attachment,
    AttachmentState,
    AttachVolume,
    ClaimVolume,
    DetachVolume,
    DiskQuestion,
    GuestVolume,
    Opened,
    OpenVolume,
    PlugVolume,
    ReleaseVolume,
    UnplugVolume,
)
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Conflict, FreeholdError, NotFound, Unavailable
from freehold.vocabulary.request import Intent, IntentList, Intents
from freehold.vocabulary.volume import Volume, VolumeState
from freehold.workers.base import Means
from freehold.workers.volume import attachments as rules
from freehold.workers.volume import lifecycle
from freehold.workers.volume.doing import Doing
from freehold.workers.volume.effects import Effects
from freehold.workers.volume.records import Records

ASK_S: Final = 5.0
"""How long a host has to answer."""
AGAIN_S: Final = 2.0
AGAIN_S_MAX: Final = 30.0
"""Between two tries: doubled up to this."""

_log = logger("volume")


class Attaching:
    """See the module. `tasks` ends what is tried."""

    def __init__(self, means: Means, records: Records, effects: Effects, doing: Doing, tasks: Tasks) -> None:
        self._means, self._records, self._effects, self._doing, self._tasks = means, records, effects, doing, tasks
        self._pursued: dict[tuple[str, str], bool] = {}
        """By volume and attachment; True: it is to be looked at once more."""
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._unclaimed: dict[str, tuple[int, ...]] = {}
        """Numbers that a volume was served under at the last look, and which nothing here knew of."""

    # --- questions -----------------------------------------------------------------------------------------------

    async def attach(self, asked: AttachVolume, cluster: str) -> Attached:
        """Promises a volume to a guest, and asks its host at once. Raises NotFound or Conflict, also what the host
        refuses it for; where that isn't heard it is asked on.
        """
        wanted = asked.attachment
        volume = self._found(asked.volume, asked.project)
        if wanted.cluster != cluster:
            raise Conflict(f"Volume {volume.id} is in availability zone {cluster}, and the server in another one.")
        if self._records.attachment_has_ended(wanted.id):
            raise Conflict(f"Attachment {wanted.id} has ended.")
        try:
            after = rules.attached(volume, wanted, self._now())
        except Conflict:
            self._records.refuse_attachment(wanted.id)  # nor when the same request comes late, or a second time
            raise
        if after is not volume:
            self._records.keep(after, wanted.urn)
        await self._records.durable()
        told = await self._told(volume.id, wanted.id)
        if self._attachment(volume.id, wanted.id) is None:
            raise Conflict(f"Volume {volume.id} was detached meanwhile.")
        await self._records.durable()
        return Attached(done=self._records.done(volume.id), host=told)

    async def detach(self, asked: DetachVolume) -> Attached:
        """Has a volume taken from a guest. Raises NotFound."""
        volume = self._found(asked.volume, "")
        if self._records.attachment_has_ended(asked.attachment):
            return Attached(done=self._records.done(volume.id))
        after = rules.detaching(volume, asked.attachment, asked.urn, self._now())
        if asked.force:
            self._end(volume.id, asked.attachment, asked.urn)
        elif after is not volume:
            self._records.keep(after, asked.urn)
        await self._records.durable()
        told = await self._told(volume.id, asked.attachment)
        await self._records.durable()
        return Attached(done=self._records.done(volume.id), host=told)

    async def open(self, asked: OpenVolume) -> Opened:
        """Serves a volume to the host that holds its guest's highest deed. Raises as OpenVolume says."""
        identifier = asked.disk.volume
        async with self._turns.setdefault(identifier, asyncio.Lock()):
            if not self._may_open(asked):
                rules.check_deed(await self._intent(asked.project, asked.guest), asked)
                exports = await self._effects.exports(identifier)
                if not self._may_open(asked):  # as it is by now
                    volume = self._found(identifier, asked.project)
                    self._records.keep(rules.opened(volume, asked, exports, self._now()), "opened")
            await self._records.durable()
            await self._cut_off(identifier)
            volume, held = self._found(identifier, asked.project), self._attachment(identifier, asked.disk.attachment)
            if held is None or (held.host, held.deed) != (asked.host, asked.deed):
                raise NotFound(f"Attachment {asked.disk.attachment} of volume {identifier} has ended.")
            return await self._effects.serve(volume, held, asked.key)

    async def claim(self, asked: ClaimVolume) -> Done:
        """Takes a host's word that its guest is to have a volume, where that holds the guest's highest deed."""
        identifier = asked.disk.volume
        if not self._may_open(asked) and self._attachment(identifier, asked.disk.attachment) is None:
            rules.check_deed(await self._intent(asked.project, asked.guest), asked)
            if not self._may_open(asked):  # as it is by now
                self._keep(identifier, partial(rules.claimed, asked=asked, now=self._now()), "claimed")
        await self._records.durable()
        return self._records.done(identifier)

    async def release(self, asked: ReleaseVolume) -> Done:
        """A host lets go of a volume for good."""
        held = self._attachment(asked.volume, asked.attachment)
        if held is not None and held.host == asked.host and asked.deed >= held.deed:
            if asked.fault is not None:
                _log.warning("a guest isn't given a volume", volume=asked.volume, reason=asked.fault.message)
            self._end(asked.volume, asked.attachment, "released", gone=asked.gone)
        await self._records.durable()
        return self._records.done(asked.volume)

    def _may_open(self, asked: ClaimVolume) -> bool:
        volume, ended_here = self._records.volume(asked.disk.volume), False
        if volume is None:
            ended_here = self._records.refusal(asked.disk.volume) is not None
        elif self._attachment(asked.disk.volume, asked.disk.attachment) is None:
            ended_here = self._records.attachment_has_ended(asked.disk.attachment)
        return rules.check_opening(volume, asked, ended_here=ended_here)

    async def _told(self, volume: str, attachment: str) -> Done | None:
        """Asks a guest's host at once. None: it wasn't heard, and is asked on. Raises what it refuses."""
        try:
            return await self._next(volume, attachment)
        except Conflict:
            raise
        except FreeholdError as error:
            _log.info("an attachment waits", volume=volume, error=error.message)
            return None
        finally:
            self.wake(volume, attachment)

    # --- pursuing ------------------------------------------------------------------------------------------------

    def wake(self, volume: str, attachment: str = "") -> None:
        """Goes on with an attachment; with what is to be cut off, if none is named."""
        key = volume, attachment
        is_tried = key in self._pursued
        self._pursued[key] = is_tried
        if not is_tried:
            self._tasks.start("attachment", self._pursue(volume, attachment))

    def _once_more(self, volume: str, attachment: str) -> None:
        """Looks at an attachment whatever its record says."""
        self.wake(volume, attachment)
        self._pursued[volume, attachment] = True

    async def _pursue(self, volume: str, attachment: str) -> None:
        key, pause_s = (volume, attachment), AGAIN_S
        try:
            while self._is_wanted(volume, attachment) or self._pursued[key]:
                self._pursued[key] = False
                try:
                    await self._records.durable()  # nobody is told of what isn't on disk
                    await self._next(volume, attachment)
                except Conflict as error:
                    _log.warning("a volume isn't attached", volume=volume, error=error.message)
                except FreeholdError as error:
                    _log.info("an attachment waits", volume=volume, error=error.message)
                    await self._means.clock.clock.sleep(pause_s * self._means.chance.uniform(0.8, 1.2))
                    pause_s = min(2 * pause_s, AGAIN_S_MAX)
        finally:
            del self._pursued[key]

    def _is_wanted(self, volume: str, attachment: str) -> bool:
        record, held = self._records.volume(volume), self._attachment(volume, attachment)
        if record is not None and not attachment:
            return bool(record.cut_off) and record.state is not VolumeState.DELETING
        return held is not None and held.state is not AttachmentState.ATTACHED

    async def _next(self, volume: str, attachment: str) -> Done | None:
        """The next step: what a host has on its disk by now. Raises FreeholdError."""
        held, record = self._attachment(volume, attachment), self._records.volume(volume)
        if held is None or record is None:
            await self._cut_off_in_turn(volume)
            return None
        try:
            if held.state is AttachmentState.DETACHING:
                question = UnplugVolume(guest=held.guest, attachment=held.id, urn=held.detach_urn, user=held.user)
                done = await self._ask(held, question)
                self._end(volume, held.id, "detached")
                await self._cut_off_in_turn(volume)
                return done
            done = await self._ask(held, _plug(record, held))
        except Conflict:
            self._end(volume, held.id, "refused")
            await self._cut_off_in_turn(volume)
            raise
        except FreeholdError as error:  # the guest may be elsewhere by now: its host may be dead, and it evacuated
            await self._find(record, held)
            raise Unavailable(f"Guest {held.guest} can't be asked about. {error.message}") from error
        self._keep(volume, lambda stands: rules.known_there(stands, held.id, self._now()), "known at its host")
        return done

    async def _ask(self, held: Attachment, question: DiskQuestion) -> Done:
        return await talk.ask(self._means.bus, subjects.ask_disk(held.host), question, Done, ASK_S)

    async def _find(self, record: Volume, held: Attachment) -> None:
        """Asks the registrar where a guest is that doesn't answer where it was, and goes on there."""
        intent = await self._intent(record.project, held.guest)
        if intent.ended:
            self._end(record.id, held.id, "its guest was deleted", gone=True)
        elif intent.deed is not None and intent.deed.host:
            host, cluster = intent.deed.host, intent.deed.cluster
            if host != held.host:
                self._keep(
                    record.id, lambda stands: rules.found_at(stands, held.id, host, cluster, self._now()), "found"
                )
                self._once_more(record.id, held.id)

    async def _intent(self, project: str, guest: str) -> Intent:
        subject = subjects.ask_ledger(self._means.shards.of(project), "volume")
        answer = await talk.ask(self._means.bus, subject, Intents(host="", guests=(guest,)), IntentList, ASK_S)
        return answer.intents[0]

    # --- ends ----------------------------------------------------------------------------------------------------

    def _end(self, volume: str, attachment: str, cause: str, *, gone: bool = False) -> None:
        """A guest has a volume no more. `gone`: the guest was deleted, and the volume may go with it."""
        stands, held = self._records.volume(volume), self._attachment(volume, attachment)
        if stands is None or held is None:
            return
        after = rules.ended(stands, attachment, self._now())
        goes_too = gone and held.delete_on_termination and not after.attachments
        if goes_too and after.state is not VolumeState.DELETING:
            after = self._deleted(after)
        self._records.end_attachments(after, [attachment], cause)
        self.wake(volume)
        if after.state is VolumeState.DELETING:
            self._doing.wake(volume)

    def _deleted(self, volume: Volume) -> Volume:
        try:
            return lifecycle.ending(volume, len(self._records.snapshots_of(volume.id)), 0, self._now(), force=False)
        except Conflict as error:
            _log.warning("a volume doesn't go with its guest", volume=volume.id, reason=error.message)
            return volume

    async def _cut_off_in_turn(self, volume: str) -> None:
        async with self._turns.setdefault(volume, asyncio.Lock()):
            await self._cut_off(volume)

    async def _cut_off(self, volume: str) -> None:
        record = self._records.volume(volume)
        if record is None or not record.cut_off or record.state is VolumeState.DELETING:
            return
        await self._records.durable()
        for number in record.cut_off:
            await self._effects.cut_off(volume, number)
        for number in record.cut_off:
            self._keep(volume, partial(rules.cut_off, number=number, now=self._now()), "cut off")

    # --- now and then --------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Goes through all attachments, and through what is served. What is served twice in a row under a number that
        nothing here knows of is cut off: its host would have asked for it meanwhile.
        """
        for volume in self._records.volumes():
            self.tell_size(volume.id)
            if volume.cut_off:
                self.wake(volume.id)
        try:
            exports = await self._effects.every_export()
        except FreeholdError as error:
            _log.warning("it can't be seen what is served", error=error.message)
            return
        before, self._unclaimed = self._unclaimed, {}
        for volume in self._records.volumes():
            numbers = rules.strangers(volume, exports)
            if numbers:
                self._unclaimed[volume.id] = numbers
            unclaimed = tuple(number for number in numbers if number in before.get(volume.id, ()))
            if unclaimed:
                _log.error("a volume is served to who doesn't claim it; cut off", volume=volume.id, numbers=unclaimed)
                after = partial(rules.strangers_cut_off, numbers=unclaimed, now=self._now())
                self._keep(volume.id, after, "unclaimed")
                self.wake(volume.id)

    def tell_size(self, volume: str) -> None:
        """A volume has grown: whoever has it open is to learn its size."""
        record = self._records.volume(volume)
        for held in () if record is None else record.attachments:
            self._once_more(volume, held.id)

    # --- records -------------------------------------------------------------------------------------------------

    def _keep(self, volume: str, change: Callable[[Volume], Volume], cause: str) -> None:
        stands = self._records.volume(volume)
        after = None if stands is None else change(stands)
        if after is not None and after is not stands:
            self._records.keep(after, cause)

    def _attachment(self, volume: str, attachment: str) -> Attachment | None:
        return rules.attachment_of(self._records.volume(volume), attachment)

    def _found(self, volume: str, project: str) -> Volume:
        record = lifecycle.found(self._records.volume(volume), volume)
        if project not in ("", record.project):
            raise NotFound(f"Volume {volume} could not be found.")
        return record

    def _now(self) -> int:
        return self._means.clock.now()


def _plug(volume: Volume, held: Attachment) -> PlugVolume:
    disk = GuestVolume(
        attachment=held.id,
        volume=volume.id,
        store=volume.store,
        cluster=volume.cluster,
        size_gib=volume.spec.size_gib,
        urn=held.urn,
        device=held.device,
        tag=held.tag,
        delete_on_termination=held.delete_on_termination,
        boot=held.boot,
    )
    return PlugVolume(guest=held.guest, project=volume.project, user=held.user, disk=disk)

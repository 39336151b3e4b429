"""Volumes of this host's guests: opened at their owners, and given to the guests that run, as the records have it.

One look at a time for each guest: what it is to have, by its record, and what it has, by the hypervisor. News only
wakes. A volume's owner decides who may have it: one that it doesn't know any more is taken from the guest, one that it
can't serve now is asked for again. From time to time each is asked for anew, so that an owner that has lost what it
knew, with an old copy of its store, learns it again.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.drivers.hypervisor.interface import Hypervisor
from freehold.drivers.volumereader.interface import VolumeReader
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks, periodically
from freehold.vocabulary.attachment import ClaimVolume, GuestVolume, Opened, OpenVolume, ReleaseVolume, RemoteDisk
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Conflict, Fault, Forbidden, FreeholdError, NoAnswer, NotFound, Unavailable
from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.units import GIB
from freehold.workers.base import Means
from freehold.workers.host.messages import Message, UnplugAsked, Unplugged
from freehold.workers.host.patience import within
from freehold.workers.host.records import Records
from freehold.workers.host.volumes import volume_of

OPEN_S: Final = 10.0
RELEASE_S: Final = 2.0
AGAIN_S: Final = 2.0
AGAIN_S_MAX: Final = 30.0
OWED_S: Final = 10.0
AUDIT_S: Final = 120.0
STRANGE_S: Final = 700.0
"""How long a guest keeps a volume of which there is no record: owners tell their hosts each five minutes."""
LAUNCH_S: Final = 300.0
"""How long a guest that is started waits for its volumes."""

_HAS_THEM: Final = frozenset({GuestState.RUNNING, GuestState.PAUSED})
_CHANGES: Final = frozenset({GuestState.WIRING, GuestState.LAUNCHING})
_RUNS_STILL: Final = frozenset(
    {GuestState.SHUTTING_DOWN, GuestState.STOPPING, GuestState.REBOOTING_SOFT, GuestState.REBOOTING_HARD}
)
"""It is on its way off, and may write until it is."""
_log = logger("host")


class Plugging:
    """See the module. `take`: decides a message for a guest, as the guests' turns do."""

    def __init__(
        self, means: Means, records: Records, hypervisor: Hypervisor, reader: VolumeReader | None, tasks: Tasks
    ) -> None:
        self._means, self._records, self._hypervisor, self._reader = means, records, hypervisor, reader
        self._tasks = tasks
        self.take: Callable[[str, Message, str], Any] = lambda guest, message, cause: None
        self._looking: dict[str, bool] = {}
        """Guests that are being looked at; True: once more."""
        self._sizes_gib: dict[str, int] = {}
        """By attachment, what its guest was last shown."""
        self._waiting: dict[str, asyncio.Event] = {}
        self._strange_since_s: dict[tuple[str, str], float] = {}
        """Since when a guest was seen to have a volume of which there is no record."""

    def begin(self) -> None:
        """Looks at everything now and then, from now on."""
        for period_s, work in ((AUDIT_S, self.audit), (OWED_S, self.tell_owed)):
            self._tasks.start("volumes", periodically(self._means.clock.clock.sleep, period_s, work))

    # --- looks ---------------------------------------------------------------------------------------------------

    def wake(self, guest: Guest) -> None:
        """Looks at a guest that has, or is to lose, volumes; again, if somebody is looking."""
        if not guest.volumes:
            return
        is_looked_at = guest.id in self._looking
        self._looking[guest.id] = is_looked_at
        if not is_looked_at:
            self._tasks.start("volumes", self._look(guest.id))

    async def _look(self, guest: str) -> None:
        pause_s = AGAIN_S
        try:
            while True:
                self._looking[guest] = False
                try:
                    await self._settle(guest)
                except FreeholdError as error:
                    _log.info("a guest's volumes aren't as they should be yet", guest=guest, error=error.message)
                    await self._means.clock.clock.sleep(pause_s * self._means.chance.uniform(0.8, 1.2))
                    pause_s = min(2 * pause_s, AGAIN_S_MAX)
                    continue
                if not self._looking[guest]:
                    return
        finally:
            del self._looking[guest]

    async def _settle(self, guest: str) -> None:
        """Raises FreeholdError if something is to be tried again."""
        held = self._records.guest(guest)
        if held is None or held.state in _CHANGES | _RUNS_STILL:
            return
        await self._records.store.durable()
        if held.state not in _HAS_THEM:
            self._drop_leaving(held)
            return
        there = await self._hypervisor.disks(guest)
        troubles: list[FreeholdError] = []
        for disk in held.volumes:
            try:
                await self._settle_one(held, disk, is_there=disk.attachment in there)
            except FreeholdError as error:
                troubles.append(error)
        if troubles:
            raise troubles[0]

    def _drop_leaving(self, held: Guest) -> None:
        for disk in held.volumes:
            if disk.leaving:
                self._unplugged(held.id, disk.attachment)

    async def _settle_one(self, held: Guest, disk: GuestVolume, *, is_there: bool) -> None:
        if disk.leaving:
            if is_there:
                await self._hypervisor.detach_disk(held.id, disk.attachment)
            self._unplugged(held.id, disk.attachment)
        elif not is_there:
            opened = await self._open_or_drop(held, disk)
            if opened is not None:
                await self._hypervisor.attach_disk(held.id, opened)
                self._sizes_gib[disk.attachment] = opened.size_bytes // GIB
        elif self._sizes_gib.get(disk.attachment) != disk.size_gib:
            await self._hypervisor.resize_disk(held.id, disk.attachment, disk.size_gib * GIB)
            self._sizes_gib[disk.attachment] = disk.size_gib

    def _unplugged(self, guest: str, attachment: str) -> None:
        self._sizes_gib.pop(attachment, None)
        self._records.forget_opened(attachment)
        self.take(guest, Unplugged(attachment), "volumes")
        waiting = self._waiting.pop(attachment, None)
        if waiting is not None:
            waiting.set()

    async def let_go(self, guest: str, attachment: str, seconds: float) -> bool:
        """Whether a guest has let go of a volume that is to be taken from it, within a time."""
        if volume_of(self._records.guest(guest), attachment) is None:
            return True
        gone = self._waiting.setdefault(attachment, asyncio.Event())
        await within(self._means.clock.clock, seconds, gone.wait())
        return volume_of(self._records.guest(guest), attachment) is None

    # --- opening -------------------------------------------------------------------------------------------------

    async def for_launch(self, guest: str) -> tuple[RemoteDisk, ...]:
        """The volumes that a guest is to start with. Waits for those that can't be had now, while it is still to be
        started: for a guest that is being made, as long as somebody wants it. Raises Unavailable, or Conflict if it
        can't be started without one that it may not have.
        """
        clock = self._means.clock.clock
        until_s, pause_s = clock.monotonic_s() + LAUNCH_S, AGAIN_S
        while True:
            held = self._records.guest(guest)
            if held is None or held.state not in _CHANGES:
                raise Unavailable(f"Guest {guest} isn't to be started any more.")
            try:
                return await self._all_opened(held)
            except Conflict:
                raise
            except FreeholdError as error:
                if held.launched is not None and clock.monotonic_s() >= until_s:
                    raise Unavailable(f"The guest's volumes can't be had. {error.message}") from error
                _log.warning("a guest waits for its volumes", guest=guest, error=error.message)
            await clock.sleep(pause_s)
            pause_s = min(2 * pause_s, AGAIN_S_MAX)

    async def _all_opened(self, held: Guest) -> tuple[RemoteDisk, ...]:
        self._drop_leaving(held)
        wanted = [disk for disk in held.volumes if not disk.leaving]
        opened = [await self._open_or_drop(held, disk) for disk in wanted]
        for disk, had in zip(wanted, opened, strict=True):
            if had is None and (disk.boot or held.launched is None):
                raise Conflict(f"Guest {held.id} may not have volume {disk.volume}, which it is to start with.")
        found = tuple(disk for disk in opened if disk is not None)
        for one in found:
            self._sizes_gib[one.attachment] = one.size_bytes // GIB
        return found

    async def _open_or_drop(self, held: Guest, disk: GuestVolume) -> RemoteDisk | None:
        """A volume that was opened, and looked at; None if the guest isn't to have it any more."""
        try:
            return await self._opened(held, disk)
        except (NotFound, Forbidden, Conflict) as error:
            _log.warning("a guest may not have a volume", guest=held.id, volume=disk.volume, reason=error.message)
            self._unplugged(held.id, disk.attachment)
            await self._release(held, disk, error.fault(), gone=False)
            return None

    async def _opened(self, held: Guest, disk: GuestVolume) -> RemoteDisk:
        if self._reader is None:
            raise Conflict("This host can't read volumes.")
        key = await self._reader.key()
        try:
            opened = await self._ask_for(held, disk, key)
        except (Unavailable, NoAnswer):
            known = self._records.opened(disk.attachment)  # what is served outlives who has it served
            if known is None or known[0] != held.deed:
                raise
            opened = known[1]
        try:
            accepted = replace(await self._reader.accept(disk.attachment, disk.store, opened), boot=disk.boot)
        except FreeholdError as error:  # it may be growing just now, or be served elsewhere
            raise Unavailable(f"Volume {disk.volume} isn't served as was promised. {error.message}") from error
        self._records.keep_opened(disk.attachment, held.deed, opened)
        return accepted

    async def _ask_for(self, held: Guest, disk: GuestVolume, key: bytes) -> Opened:
        store, known = self._records.store, self._records.opened(disk.attachment)
        number = 0 if known is None else known[1].served.export.number
        question = OpenVolume(**self._about(held, disk), key=key, number=number)
        return await talk.ask(self._means.bus, subjects.ask_opening(disk.store, store.id), question, Opened, OPEN_S)

    def _about(self, held: Guest, disk: GuestVolume) -> dict[str, Any]:
        """What is said of a volume that a guest here is to have."""
        store, who = self._records.store, {"guest": held.id, "project": held.project, "user": held.user}
        return {"host": store.id, "cluster": store.owner.cluster, "deed": held.deed, "disk": disk, **who}

    async def _replug_if_moved(self, held: Guest, disk: GuestVolume, opened: Opened) -> None:
        """A volume that is served elsewhere, or under another number, than the guest has it open is plugged anew: what
        it has open leads nowhere.
        """
        known = self._records.opened(disk.attachment)
        place, name = (opened.served.host, opened.served.port), opened.served.name
        if known is None or ((known[1].served.host, known[1].served.port), known[1].served.name) == (place, name):
            return
        _log.warning("a volume is served otherwise than its guest has it; plugged anew", volume=disk.volume)
        await self._hypervisor.detach_disk(held.id, disk.attachment)
        self.wake(held)

    # --- ends ----------------------------------------------------------------------------------------------------

    async def released(self, held: Guest) -> None:
        """A guest is being deleted, and nothing of it runs: the owners of its volumes are told. Nobody waits for one
        that isn't heard: it is told later.
        """
        for disk in held.volumes:
            await self._release(held, disk, None, gone=True)
            self._records.forget_opened(disk.attachment)

    async def _release(self, held: Guest, disk: GuestVolume, fault: Fault | None, *, gone: bool) -> None:
        store = self._records.store
        question = ReleaseVolume(
            host=store.id,
            guest=held.id,
            deed=held.deed,
            volume=disk.volume,
            attachment=disk.attachment,
            store=disk.store,
            gone=gone,
            fault=fault,
        )
        if not await self._is_told(question):
            self._records.owe(question)

    async def _is_told(self, question: ReleaseVolume) -> bool:
        subject = subjects.ask_opening(question.store, question.host)
        try:
            await talk.ask(self._means.bus, subject, question, Done, RELEASE_S)
        except FreeholdError as error:
            _log.info("a volume's owner isn't told yet that it was let go", volume=question.volume, error=error.message)
            return False
        return True

    async def tell_owed(self) -> None:
        """Tells owners what they weren't heard for."""
        for question in self._records.owed():
            if await self._is_told(question):
                self._records.paid(question.attachment)

    # --- now and then --------------------------------------------------------------------------------------------

    async def audit(self) -> None:
        """Asks for each volume that a guest has once more, and looks whether guests have any that they aren't to have.
        One whose owner doesn't know it is taken from the guest.
        """
        strange = dict[tuple[str, str], float]()
        for held in self._records.guests():
            self.wake(held)
            try:
                there = await self._hypervisor.disks(held.id) if held.state in _HAS_THEM else frozenset[str]()
            except FreeholdError as error:
                _log.info("it can't be seen which volumes a guest has", guest=held.id, error=error.message)
                continue
            for disk in held.volumes if held.state not in _CHANGES else ():
                if not disk.leaving:
                    await self._audit_one(held, disk, is_open=disk.attachment in there)
            for attachment in there:
                if volume_of(self._records.guest(held.id), attachment) is None:
                    key = held.id, attachment
                    strange[key] = self._strange_since_s.get(key, self._means.clock.clock.monotonic_s())
        self._strange_since_s = strange
        await self._take_strangers()

    async def _audit_one(self, held: Guest, disk: GuestVolume, *, is_open: bool) -> None:
        try:
            if is_open and self._reader is not None:
                await self._replug_if_moved(held, disk, await self._ask_for(held, disk, await self._reader.key()))
            elif held.state not in _HAS_THEM:
                await self._claim(held, disk)
        except (NotFound, Forbidden, Conflict) as error:
            _log.warning("a volume is taken from a guest", guest=held.id, reason=error.message)
            self.take(held.id, UnplugAsked(disk.attachment, f"{disk.urn}/end", held.user), "audit")
        except FreeholdError as error:
            _log.info("a volume can't be asked for", volume=disk.volume, error=error.message)

    async def _claim(self, held: Guest, disk: GuestVolume) -> None:
        store, question = self._records.store, ClaimVolume(**self._about(held, disk))
        await talk.ask(self._means.bus, subjects.ask_opening(disk.store, store.id), question, Done, OPEN_S)

    async def _take_strangers(self) -> None:
        """Takes volumes from guests that aren't to have them, by this store, and whose owners haven't said otherwise
        for so long that they would have, had the store been put back.
        """
        now_s = self._means.clock.clock.monotonic_s()
        for (guest, attachment), since_s in self._strange_since_s.items():
            if now_s - since_s < STRANGE_S:
                continue
            _log.error("a guest has a volume that it isn't to have; it is taken from it", guest=guest)
            try:
                await self._hypervisor.detach_disk(guest, attachment)
            except FreeholdError as error:
                _log.info("a volume isn't taken from a guest yet", guest=guest, error=error.message)

"""What a host does before it starts any guest after its own start: it asks the registrar what was decided meanwhile.

Guests that run are left running. A guest that was deleted, or given to another host, while this one was away, must not
come back because a machine was switched on. Each shard of the registrar is asked about the guests of its projects, and
one that doesn't answer holds back no others.

A shard that fences this host says so with its answers. What it says of guests that have left is heeded at once; but it
clears this host only by a round of answers that say from the first to the last that the host isn't fenced: then no
guest can have left since it was asked about.

And it clears this host only when it has read this start of it. This disk may have been put back, and what an earlier
process told may come late: a refusal of a guest that is taken here anew, by which it would be built elsewhere as well.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from freehold.bus import subjects, talk
from freehold.runtime.log import logger
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import Conflict, FreeholdError
from freehold.vocabulary.guest import Delete, Guest, GuestState
from freehold.vocabulary.request import Build, DeedPage, DeedsOf, Intent, IntentList, Intents, Lost
from freehold.vocabulary.word import Message
from freehold.workers.base import Means
from freehold.workers.host.actors import Actors
from freehold.workers.host.begun import NEVER_RAN
from freehold.workers.host.messages import DeedRefused, DeleteAsked, HigherDeedKnown
from freehold.workers.host.patience import within
from freehold.workers.host.records import Records

A = TypeVar("A")

GUESTS_MAX: Final = 1000
"""Guests asked about in one question."""

AGAIN_S: Final = 10.0
"""Between two looks for what was lost, and at what is kept of guests that other hosts have."""
FENCED_AGAIN_S: Final = 5.0
"""Between two questions of a host that is fenced: a guest that has left must not run on here."""
UNREAD_AGAIN_S: Final = 0.01
UNREAD_AGAIN_S_MAX: Final = 1.0
"""Before a registrar is asked again that hasn't read this start yet: it has, mostly, in a moment. Doubled each time."""
RETRY_S: Final = 1.0
RETRY_S_MAX: Final = 30.0

_log = logger("host")


class Clearance:
    """Asks until it is answered, then lets guests be started."""

    def __init__(
        self, means: Means, records: Records, actors: Actors, strange: Callable[[], frozenset[str]] = frozenset
    ) -> None:
        self._means, self._records, self._actors = means, records, actors
        self._strange = strange
        """Guests of which something is here without any record of theirs."""
        self._apart: set[str] = set()
        self._boot, self._start = "", Position(epoch="")
        self._notices = [0 for _ in means.shards.all()]
        """How often each shard has said that it fences this host."""
        self._noticed = asyncio.Event()
        self._asking: set[int] = set()
        """The shards whose word is being got."""

    async def get(self, boot: str) -> None:
        """Gets the word of every shard, starts again what ran before the machine restarted, and opens the gates."""
        self._boot, self._start = boot, self._records.store.position()
        await asyncio.gather(*(self._get_of(shard) for shard in self._means.shards.all()))
        if self._records.host().boot != boot:  # written last: a crash before does the rest again
            self._records.keep_boot(boot)
        await asyncio.gather(*(self._look_again(shard) for shard in self._means.shards.all()))

    def fenced(self, shard: int) -> bool:
        """A shard says that it fences this host: nothing of its guests is started from now on. Whether its word is to
        be got anew, by `get_again`.
        """
        gate = self._actors.gates[shard]
        if gate.cleared.is_set():
            _log.error("this host is fenced; it starts nothing, and stops what has left it", shard=shard)
        gate.cleared.clear()
        gate.fenced = True
        self._notices[shard] += 1
        self._noticed.set()
        return shard not in self._asking

    async def get_again(self, shard: int) -> None:
        """Gets the word of a shard once more, by which this host is cleared again."""
        if shard not in self._asking:
            await self._get_of(shard)

    async def wanted(self, build: Build) -> Intent | None:
        """What the registrar knows of a guest unheard of here for which a build came, if it wants the build and has
        recorded its deed: whoever sent it can't make one up. If this disk was put back to an old copy, the build may be
        a late one of a guest that was deleted, and of which nothing is known here any more; or of one that has run,
        which isn't built anew but restored.

        None as well if it can't be asked: the build comes again.
        """
        question = Intents(host=self._records.store.id, guests=(build.guest,))
        shard = self._means.shards.of(build.project)
        try:
            answer = await talk.ask(self._means.bus, self._ledger(shard), question, IntentList)
        except FreeholdError as error:
            _log.info("build not taken yet", guest=build.guest, urn=build.urn, error=error.message)
            return None
        (intent,) = answer.intents
        number = 0 if build.deed is None else build.deed.number
        deleting = bool(intent.delete_urn) and not build.restore  # what was lost is restored, and then deleted
        given = intent.deed == build.deed and intent.refused_deed < number
        wanted = given and not (intent.failed or deleting or (intent.has_run and not build.restore))
        if not wanted:
            _log.info("build dropped: the registrar doesn't want it any more", guest=build.guest, urn=build.urn)
        return intent if wanted else None

    async def _get_of(self, shard: int) -> None:
        self._asking.add(shard)
        try:
            while not await self._is_cleared(shard):
                pass
            self._actors.gates[shard].fenced = False
            self._actors.clear(shard)
        finally:
            self._asking.discard(shard)

    async def _is_cleared(self, shard: int) -> bool:
        """One round of questions. False if this host was fenced meanwhile: what was heard before says nothing then."""
        notices = self._notices[shard]
        await self._until_let_in(shard)
        await self._look_for_lost(shard)
        if notices == self._notices[shard] and self._actors.gates[shard].machine_restarted:
            await self._resume(shard)
        return notices == self._notices[shard]

    async def _until_let_in(self, shard: int) -> None:
        """Until a shard says of all of its guests here what was decided, and says it knowing this disk."""
        pause_s = UNREAD_AGAIN_S
        while True:
            answers = await self._said_of_all(shard)
            if any(answer.fenced for answer in answers):
                if not self._actors.gates[shard].fenced:
                    _log.error("this host is fenced; it starts nothing until it is let in again", shard=shard)
                self._actors.gates[shard].fenced = True
                self._noticed.clear()
                await within(self._means.clock.clock, FENCED_AGAIN_S, self._noticed.wait())
            elif all(self._has_read(answer) for answer in answers):
                return
            else:
                _log.debug("the registrar hasn't read this start yet; it is asked again", shard=shard)
                await self._means.clock.clock.sleep(pause_s)
                pause_s = min(2 * pause_s, UNREAD_AGAIN_S_MAX)

    async def _said_of_all(self, shard: int) -> list[IntentList]:
        """What a shard says of all of its guests here, which is heeded. It is asked even if there are none."""
        guests, answers = [guest.id for guest in self._guests(shard)], list[IntentList]()
        for first in range(0, max(1, len(guests)), GUESTS_MAX):
            answers.append(await self._asked(shard, guests[first : first + GUESTS_MAX]))
            self._heed(answers[-1])
        return answers

    def _has_read(self, answer: IntentList) -> bool:
        """Whether the registrar had read this start: what an earlier process told, and this disk has lost, it doesn't
        take in any more then.
        """
        store, read = self._records.store, answer.read
        if read is None:
            return True
        return read.epoch == store.epoch and read.seq >= self._start.seq and not store.is_behind(read)

    async def _look_again(self, shard: int) -> None:
        """Looks now and then whether what was lost is back, and whether a guest was deleted whose disk is kept here
        because it was given to another host, or lies here without a record. Where there is none, nothing is asked.
        """
        while True:
            await self._means.clock.clock.sleep(AGAIN_S)
            if self._actors.gates[shard].lost:
                await self._look_for_lost(shard)
            quarantined = [guest.id for guest in self._guests(shard) if guest.state is GuestState.QUARANTINED]
            for first in range(0, len(quarantined), GUESTS_MAX):
                self._heed(await self._asked(shard, quarantined[first : first + GUESTS_MAX]))
            strange = sorted(self._strange())
            self._apart &= set(strange)
            for first in range(0, len(strange), GUESTS_MAX):
                self._see_to_strange(await self._asked(shard, strange[first : first + GUESTS_MAX]))

    def is_apart(self, guest: str) -> bool:
        """Whether what is here without a record is of a guest that isn't this host's, by the registrar's word."""
        return guest in self._apart and self._records.guest(guest) is None

    def _see_to_strange(self, answer: IntentList) -> None:
        """What is here without a record is from before this disk went back, or was lost. It is taken away if its guest
        has ended, and stopped and kept if its guest isn't this host's: its addresses may be in use elsewhere. Of a
        guest that the registrar doesn't know it is left alone, and so is what may yet be restored.
        """
        for intent in answer.intents:
            if intent.ended:
                _log.error("what is here without a record is of a guest that was deleted; removing", guest=intent.guest)
                self._actors.remove_leftovers(intent.guest)
            elif self._is_elsewhere(intent):
                self._apart.add(intent.guest)
                _log.error(
                    "what is here without a record is of a guest that isn't this host's; it is kept, and stopped if it "
                    "runs. Let go of it with `freehold host discard`",
                    guest=intent.guest,
                )
                self._actors.stop_stranger(intent.guest)
            elif intent.deed is not None:
                self._apart.discard(intent.guest)  # it is this host's again

    def _is_elsewhere(self, intent: Intent) -> bool:
        if intent.deed is None:
            return False
        return intent.deed.host != self._records.store.id or intent.refused_deed >= intent.deed.number

    def _guests(self, shard: int) -> list[Guest]:
        return [guest for guest in self._records.guests() if self._means.shards.of(guest.project) == shard]

    async def _look_for_lost(self, shard: int) -> None:
        """Says which guests were seen here that this disk knows nothing of: it was put back to an old copy."""
        host, after, more = self._records.store.id, "", True
        found: dict[str, bool] = {}
        while more:
            page = await self._sure(shard, DeedsOf(host=host, after=after), DeedPage)
            here = {deed.guest: await self._is_lost(deed, page.unseen) for deed in page.deeds}
            lost = [guest for guest, is_lost in here.items() if is_lost is not False]
            if lost:
                _log.error("the records of guests that were here are lost; the registrar is told", guests=lost)
                await self._sure(shard, Lost(host=host, guests=tuple(lost)), Done)
            found |= {guest: here[guest] is True for guest in lost}
            more = page.more
            after = page.deeds[-1].guest if page.deeds else after
        self._actors.set_lost(shard, {guest: found[guest] for guest in found if self._is_away(guest)})

    def _is_away(self, guest: str) -> bool:
        return self._records.guest(guest) is None or self._actors.is_outdated(guest)

    async def _is_lost(self, deed: Deed, unseen: frozenset[str]) -> bool | None:
        """None: it can't be known."""
        if self._actors.is_outdated(deed.guest):
            return True
        refusal = self._records.refusal(deed.guest)
        if self._records.guest(deed.guest) is not None or (refusal is not None and refusal.deed >= deed.number):
            return False
        # A build that is on its way isn't lost, unless it was here before, and this disk went back before it was told.
        return True if deed.guest not in unseen else await self._actors.is_here(deed.guest)

    async def _asked(self, shard: int, guests: list[str]) -> IntentList:
        return await self._sure(shard, Intents(host=self._records.store.id, guests=tuple(guests)), IntentList)

    async def _sure(self, shard: int, question: Message, answer: type[A]) -> A:
        """A shard's answer, asked for until it comes."""
        pause_s = RETRY_S
        while True:
            try:
                return await talk.ask(self._means.bus, self._ledger(shard), question, answer)
            except FreeholdError as error:
                if isinstance(error, Conflict):  # it answers, and doesn't clear this host: it is asked all over again
                    self._notices[shard] += 1
                _log.warning(
                    "the registrar can't be asked; none of its guests is started until then",
                    shard=shard,
                    error=error.message,
                )
                await self._means.clock.clock.sleep(pause_s * self._means.chance.uniform(0.5, 1.0))
                pause_s = min(2 * pause_s, RETRY_S_MAX)

    def _ledger(self, shard: int) -> str:
        store = self._records.store
        return subjects.ask_ledger_as_host(shard, store.id, self._means.beyond(store.owner.cluster))

    def _heed(self, answer: IntentList) -> None:
        for intent in answer.intents:
            guest = self._records.guest(intent.guest)
            if guest is not None:
                self._heed_one(guest, intent)

    def _heed_one(self, guest: Guest, intent: Intent) -> None:
        if intent.delete_urn:
            number = intent.deed.number if intent.deed else guest.deed
            command = Delete(urn=intent.delete_urn, guest=guest.id, user=guest.user, project="", deed=number)
            self._actors.take(guest.id, DeleteAsked(command), intent.delete_urn)
        elif intent.ended:
            _log.error("a guest was deleted, and this disk was put back to before that; deleting it", guest=guest.id)
            command = Delete(urn=f"{guest.urn}/ended", guest=guest.id, user=guest.user, project="", deed=guest.deed)
            self._actors.take(guest.id, DeleteAsked(command), "ended")
        elif intent.deed is None:
            _log.error("the registrar doesn't know a guest of this host; it is left as it is", guest=guest.id)
        elif guest.state is GuestState.QUARANTINED:
            return
        elif self._is_outdated(guest, intent):
            if not self._actors.is_outdated(guest.id):
                _log.error("a guest has run, and this disk was put back to when it was being made", guest=guest.id)
            self._actors.set_outdated(guest.id)
        elif intent.refused_deed >= max(guest.deed, intent.deed.number):
            _log.error("a guest's deed was refused, and this disk was put back to before that", guest=guest.id)
            self._actors.take(guest.id, DeedRefused(intent.refused_deed), "intents")
        elif intent.deed.number > guest.deed:
            _log.warning("a guest has a higher deed", guest=guest.id, held=guest.deed, deed=intent.deed.number)
            self._actors.take(guest.id, HigherDeedKnown(intent.deed), "intents")

    def _is_outdated(self, guest: Guest, intent: Intent) -> bool:
        """Whether a guest has run here, by the registrar's word, of which the record says that it is being made, or is
        given up. It may be of another attempt, which had other ports.
        """
        deed = intent.deed
        if guest.launched is not None or guest.state not in NEVER_RAN or deed is None or not intent.has_run:
            return False
        return deed.host == self._records.store.id and intent.refused_deed < deed.number

    async def _resume(self, shard: int) -> None:
        """A shard's guests that ran run again; they aren't told of this boot a second time."""
        for guest in self._guests(shard):
            if guest.state in (GuestState.RUNNING, GuestState.PAUSED):
                await self._actors.resume(guest.id)
        self._records.keep_resumed(shard, self._boot)
        self._actors.gates[shard].machine_restarted = False

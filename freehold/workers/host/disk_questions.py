"""What volume workers ask of a host: that a guest is given a volume, or that one is taken from it."""

from collections.abc import Awaitable, Callable
from typing import Final

from freehold.vocabulary.attachment import DiskQuestion, PlugVolume, UnplugVolume
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import Conflict, NotFound, Unavailable
from freehold.vocabulary.guest import Guest, GuestState
from freehold.workers.host.actors import Actors
from freehold.workers.host.messages import PlugAsked, UnplugAsked
from freehold.workers.host.plugging import Plugging
from freehold.workers.host.records import Records
from freehold.workers.host.volumes import volume_of

LET_GO_S: Final = 3.0
"""How long an answer waits for the guest to let go of a volume."""


class DiskQuestions:
    """`done`: the answer when all that was staged is on disk."""

    def __init__(
        self,
        records: Records,
        actors: Actors,
        plugging: Plugging,
        done: Callable[[str, Position | None], Awaitable[Done]],
    ) -> None:
        self._records, self._actors, self._plugging, self._done = records, actors, plugging, done

    async def answer(self, question: DiskQuestion) -> Done:
        """See DiskQuestion."""
        if isinstance(question, PlugVolume):
            return await self._plug(question)
        return await self._unplug(question)

    async def _plug(self, asked: PlugVolume) -> Done:
        """One that the guest had by this request, and has no more, isn't given to it again: its owner's store was put
        back to an old copy, or a question comes late.
        """
        held = self._guest(asked.guest, asked.project)
        had_it = self._records.action(held.id, asked.disk.urn) is not None
        if volume_of(held, asked.disk.attachment) is None and had_it:
            raise Conflict(f"Guest {held.id} had volume {asked.disk.volume}, and has let go of it.")
        return await self._done(held.id, self._actors.take(held.id, PlugAsked(asked), asked.disk.urn))

    async def _unplug(self, asked: UnplugVolume) -> Done:
        held = self._guest(asked.guest, "")
        position = self._actors.take(held.id, UnplugAsked(asked.attachment, asked.urn, asked.user), asked.urn)
        await self._done(held.id, position)
        self._plugging.wake(self._guest(asked.guest, ""))
        if not await self._plugging.let_go(held.id, asked.attachment, LET_GO_S):
            raise Unavailable(f"Guest {held.id} hasn't let go of the volume yet.")
        return await self._done(held.id, None)

    def _guest(self, guest: str, project: str) -> Guest:
        """Raises NotFound for one that isn't this host's, or is kept here and has gone elsewhere."""
        held = self._records.guest(guest)
        if held is None or held.state is GuestState.QUARANTINED or project not in ("", held.project):
            raise NotFound(f"There is no guest {guest} on this host.")
        if self._actors.is_outdated(guest):
            raise Unavailable(f"This host has an old record of guest {guest}.")
        return held

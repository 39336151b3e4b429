"""All that a registrar's shard does about volumes and snapshots, as one part of it."""

from freehold.runtime.tasks import Tasks
from freehold.runtime.watchdog import Watchdog
from freehold.store.database import Store
from freehold.views.follower import Follower
from freehold.vocabulary.volume_request import VolumeRequestQuestion
from freehold.vocabulary.word import Word
from freehold.workers.base import Means
from freehold.workers.registrar.volumes.owners import OwnerSink
from freehold.workers.registrar.volumes.questions import Questions
from freehold.workers.registrar.volumes.reconciler import Reconciler
from freehold.workers.registrar.volumes.records import Records


class Volumes:
    """See the module. `answer` is asked by the registrar's own loop."""

    def __init__(self, means: Means, store: Store, watchdog: Watchdog) -> None:
        self.records, self._clock = Records(store), means.clock
        self._reconciler = Reconciler(means, self.records, watchdog)
        self._questions = Questions(means, store, self.records, self._reconciler)
        sink = OwnerSink(self.records, means.clock, self._reconciler, means.shards)
        self.follower = Follower(means.bus, ["volume"], sink, "registrar")
        self.tasks = Tasks("registrar.volumes")
        self.tasks.watch(self.follower.tasks)

    async def open(self) -> None:
        """Follows volume workers, and pursues what hadn't ended."""
        await self.follower.open()
        self._reconciler.wake_all()
        self.tasks.start("reconciler", self._reconciler.run())

    async def close(self) -> None:
        """Stops."""
        await self.follower.close()
        await self.tasks.close()

    def tidy(self, horizon: int) -> None:
        """Lets go of what ended before a clock time, and of what was refused long ago."""
        self.records.forget_ended(horizon)
        self.records.refused.forget(self._clock.now())

    async def answer(self, question: VolumeRequestQuestion) -> Word:
        """See Questions."""
        return await self._questions.answer(question)

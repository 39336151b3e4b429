"""The loop: questions, builds and bytes in, decisions staged, answers and builds out."""

from typing import Final

from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.bus.interface import Subscription
from freehold.drivers.imagestore.interface import ImageStore
from freehold.runtime.tasks import Tasks, periodically
from freehold.store.database import Store
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.image import (
    BeginDownload,
    BeginUpload,
    BytesDoor,
    CreateImage,
    DeleteImage,
    DropMember,
    Image,
    ImageMember,
    ImageOffer,
    ImageQuestion,
    OfferImage,
    SaveMember,
    UpdateImage,
    member_key,
)
from freehold.vocabulary.request import Build, is_forgotten
from freehold.workers.base import Desk, Means
from freehold.workers.image import lifecycle
from freehold.workers.image.door import Door, DoorAddress
from freehold.workers.image.effects import Effects
from freehold.workers.image.keys import SECRET_BYTES, DoorKeys, Verb
from freehold.workers.image.reconciler import Reconciler
from freehold.workers.image.records import Records
from freehold.workers.image.transfers import Transfers

GROUP: Final = "image"
RECONCILE_PERIOD_S: Final = 300.0


class ImageWorker:
    """Owner of image records. `images` has their bytes; without an `address` they come and go by `transfers` only."""

    def __init__(self, means: Means, store: Store, images: ImageStore, address: DoorAddress | None = None) -> None:
        self._means, self._store = means, store.id
        self._records = Records(store)
        self._desk = Desk(means, store, "image")
        self._effects = Effects(images, means.bus, means.shards)
        self.transfers = Transfers(self._records, self._effects, means.clock)
        keys = DoorKeys(self._records.door_key(means.chance.bytes, SECRET_BYTES))
        self._door = Door(self.transfers, keys, means.clock.clock, address)
        self._reconciler = Reconciler(self._records, self._effects, self.transfers, means.clock)
        self._subscriptions: list[Subscription] = []
        self.tasks = Tasks("image")
        self.tasks.watch(self._desk.tasks)

    async def open(self) -> None:
        """Mends what the last process left, opens the door, and then hears questions and builds."""
        await self._records.durable()
        await self._desk.open()
        await self._reconciler.look()
        await self._door.open()
        bus, store = self._means.bus, self._store
        self._subscriptions = [
            await self._desk.serve(subjects.ASK_IMAGE, CreateImage, self._answer, GROUP),
            await self._desk.serve(subjects.ask_image(store), ImageQuestion, self._answer, GROUP),
            await self._desk.serve(subjects.ask_image_offer(store), OfferImage, self._answer_offer, GROUP),
            await talk.hear(bus, subjects.BUILD_IMAGE, Build, self._take_build, GROUP),
            await talk.hear(bus, subjects.build_image(store), Build, self._take_build, GROUP),
        ]
        self.tasks.start("reconcile", self._reconcile())

    async def close(self) -> None:
        """Hears no more. The store is closed by whoever opened it."""
        for subscription in self._subscriptions:
            await subscription.close()
        await self._door.close()
        await self.tasks.close()
        await self._records.durable()
        await self._desk.close()

    async def _answer(self, question: ImageQuestion) -> Done | BytesDoor:
        answer = self._decide(question)
        await self._records.durable()
        if isinstance(question, DeleteImage):
            self.tasks.start("delete", self.transfers.settle(question.id))
        return answer

    def _decide(self, question: ImageQuestion) -> Done | BytesDoor:
        match question:
            case CreateImage(image=given):
                return self._stage(self._created(given), question)
            case UpdateImage(image=given):
                return self._stage(lifecycle.updated(self._records.get(given.id), given, self._now()), question)
            case DeleteImage(id=image):
                lifecycle.deletable(self._records.get(image), image)
                return self._records.done(self._records.stage_gone(image, type(question).__name__), image)
            case SaveMember(member=given):
                return self._stage_member(self._saved(given, question.new), question)
            case DropMember(image=image, project=project):
                member = lifecycle.unshared(
                    self._records.get(image), image, project, self._records.member(image, project)
                )
                return self._stage_member(member, question, is_one=False)
            case BeginUpload(id=image):
                lifecycle.uploadable(self._records.get(image), image)
                return self._door.admission(image, Verb.WRITE)
            case BeginDownload(id=image):
                lifecycle.readable(self._records.get(image), image)
                return self._door.admission(image, Verb.READ)

    def _created(self, given: Image) -> Image:
        return lifecycle.created(
            given,
            self._records.get(given.id),
            held=self._records.is_held(given.id),
            owned=self._records.owned(given.project),
            now=self._now(),
        )

    def _saved(self, given: ImageMember, new: bool) -> ImageMember:
        image, present = self._records.get(given.image), self._records.member(given.image, given.project)
        if new:
            return lifecycle.shared(image, given, present, len(self._records.members(given.image)), self._now())
        return lifecycle.answered(image, given, present, self._now())

    def _stage_member(self, member: ImageMember, question: ImageQuestion, *, is_one: bool = True) -> Done:
        position = self._records.stage_member(member, type(question).__name__, is_one=is_one)
        return self._records.done(position, member_key(member.image, member.project))

    def _stage(self, record: Image, question: ImageQuestion) -> Done:
        return self._records.done(self._records.stage(record, type(question).__name__), record.id)

    async def _take_build(self, build: Build) -> None:
        if is_forgotten(build, self._now()):
            return
        if not build.spec.image:
            await self._effects.pass_on(build)
            return
        is_member = self._records.member(build.spec.image, build.project) is not None
        fitting = lifecycle.fitting(self._records.get(build.spec.image), build, is_member=is_member)
        # What was decided on may be staged only: nobody hears of it before it is durable.
        await self._records.durable()
        match fitting:
            case Fault():
                self.tasks.start("give up", self._effects.give_up(build, fitting))
            case Image():
                await self._effects.pass_on(replace(build, image=self._offer(fitting)))

    async def _answer_offer(self, asked: OfferImage) -> ImageOffer:
        is_member = self._records.member(asked.id, asked.project) is not None
        image = lifecycle.offered(self._records.get(asked.id), asked.id, asked.project, is_member=is_member)
        await self._records.durable()
        return self._offer(image)

    def _offer(self, image: Image) -> ImageOffer:
        door = self._door.admission(image.id, Verb.READ)
        return ImageOffer(
            id=image.id,
            disk_format=image.disk_format or "",
            size_bytes=image.size_bytes or 0,
            virtual_bytes=image.virtual_bytes or 0,
            checksum_sha256=image.checksum_sha256 or "",
            min_disk_gib=image.min_disk_gib,
            min_ram_mib=image.min_ram_mib,
            url=door.url,
            key=door.key,
        )

    async def _reconcile(self) -> None:
        sleep = self._means.clock.clock.sleep
        await sleep(RECONCILE_PERIOD_S)
        look = self._desk.watchdog.watched("reconcile", self._reconciler.look)
        await periodically(sleep, RECONCILE_PERIOD_S, look)

    def _now(self) -> int:
        return self._means.clock.now()

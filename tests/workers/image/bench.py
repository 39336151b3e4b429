"""An image worker on a bus of its own, with a clock that can be moved, and a person who asks it things."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

from freehold.bus import subjects, talk
from freehold.bus.local import LocalBus
from freehold.drivers.imagestore.interface import ImageStore
from freehold.drivers.imagestore.memory import MemoryImageStore
from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.tasks import ThreadOffload, offload_inline
from freehold.store.database import Store
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.guest import GuestSpec, Labels
from freehold.vocabulary.image import CreateImage, Image, ImageQuestion
from freehold.vocabulary.request import Build, GiveUp, LedgerNotice
from freehold.vocabulary.tenant import Flavor
from freehold.vocabulary.units import clock_time
from freehold.vocabulary.word import Word
from freehold.workers.base import Means
from freehold.workers.image.door import DoorAddress
from freehold.workers.image.worker import ImageWorker

IMAGE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"
PROJECT = "a-project"
W = TypeVar("W", bound=Word)


class MovedClock(SystemClock):
    """The machine's clock, moved by `ahead_s`."""

    ahead_s = 0

    def unix_ms(self) -> int:
        return super().unix_ms() + self.ahead_s * 1000


class Bench:
    """Everything around one image worker. `passed`: builds that went on; `given_up`: those that ended here."""

    def __init__(self, folder: Path, images: ImageStore | None = None) -> None:
        self.folder, self.images = folder, images or MemoryImageStore()
        self.bus, self.clock = LocalBus(), MovedClock()
        self.means = Means(self.bus, HybridClock(self.clock), SeededChance(7), offload_inline)
        self.passed: asyncio.Queue[Build] = asyncio.Queue()
        self.given_up: asyncio.Queue[GiveUp] = asyncio.Queue()
        self._offload = ThreadOffload()

    async def open(self, address: DoorAddress | None = None) -> None:
        """The next process over the same store."""
        self.store = await Store.open(
            self.folder / "image.db",
            role="image",
            cluster="c",
            clock=self.means.clock,
            chance=self.means.chance,
            offload=self._offload,
        )
        self.worker = ImageWorker(self.means, self.store, self.images, address)
        await self.worker.open()

    async def listen(self) -> None:
        """Plays the schedulers and the registrar."""

        async def scheduler(build: Build) -> None:
            self.passed.put_nowait(build)

        async def registrar(question: Any) -> Done:
            self.given_up.put_nowait(question)
            return Done(store="registrar", position=Position(epoch="e"))

        await talk.hear(self.bus, subjects.BUILD_SCHEDULER, Build, scheduler)
        await talk.serve(self.bus, subjects.ask_ledger(0, "image"), LedgerNotice, registrar, "registrar")

    async def close(self) -> None:
        await self.worker.close()
        await self.store.close()

    async def end(self) -> None:
        await self.close()
        await self.bus.close()
        self._offload.close()

    async def change(self, question: ImageQuestion) -> Done:
        return await self.ask(question, Done)

    async def ask(self, question: ImageQuestion, answer: type[W]) -> W:
        new = isinstance(question, CreateImage)
        subject = subjects.ASK_IMAGE if new else subjects.ask_image(self.store.id)
        return await talk.ask(self.bus, subject, question, answer)

    def record(self, image: str = IMAGE) -> Image:
        found = self.store.read_as(Image, image)
        assert found is not None
        return found

    async def build(self, build: Build) -> None:
        await talk.say(self.bus, subjects.BUILD_IMAGE, build)


def an_image(image: str = IMAGE, **fields: Any) -> Image:
    formats = {"disk_format": "raw", "container_format": "bare"}
    return Image(**{"id": image, "name": "debian", "project": PROJECT, **formats, **fields})


def a_build(
    image: str = IMAGE, *, ram_mib: int = 512, disk_gib: int = 1, project: str = PROJECT, expires: int = 0
) -> Build:
    flavor = Flavor(id="f", name="tiny", vcpus=1, ram_mib=ram_mib, disk_gib=disk_gib)
    return Build(
        urn="urn:freehold:request:x",
        guest=OTHER,
        project=project,
        user="u",
        created=1,
        expires=expires or clock_time(2**46),
        hostname="h",
        labels=Labels(name="n"),
        spec=GuestSpec(flavor=flavor, image=image),
    )


async def chunks(*parts: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if then is not None:
        raise then

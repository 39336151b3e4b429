"""A pool of volumes on files, served over NBD with TLS by QEMU's storage daemon.

There is no second store: which volumes there are is found in the pool's folder (`pool_folder`), who serves them by
looking at the machine's processes.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from freehold.drivers.imagestore.receiving import receive
from freehold.drivers.qemu.tool import end_left
from freehold.drivers.volumestore import checks
from freehold.drivers.volumestore.authority import Authority
from freehold.drivers.volumestore.chain import Chain
from freehold.drivers.volumestore.daemon import Place
from freehold.drivers.volumestore.interface import Pool, Volume, VolumePlan
from freehold.drivers.volumestore.layers import LayerTool
from freehold.drivers.volumestore.merging import Copies, Merging
from freehold.drivers.volumestore.pool_folder import PoolFolder, image_options, inspected, on_disk, within
from freehold.drivers.volumestore.servers import Servers
from freehold.drivers.volumestore.turns import Turns
from freehold.drivers.volumestore.volume_folder import VolumeFolder
from freehold.runtime.clock import Clock
from freehold.runtime.tasks import Offload
from freehold.vocabulary.attachment import Certificate, Export, Served
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.units import MIB

PORTS: Final = range(10810, 11810)


class FileVolumeStore:
    """See the module.

    `host`: the address that servers listen at and readers come to; `ports`: where, one for each server.
    `capacity_bytes`: all that the pool may take of the disk; 0: the disk. `offload`: with a few threads of its own.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        offload: Offload,
        *,
        host: str = "127.0.0.1",
        ports: Iterable[int] = PORTS,
        capacity_bytes: int = 0,
        image_tool: str = "qemu-img",
        program: str = "qemu-storage-daemon",
    ) -> None:
        self._folder = PoolFolder(folder, capacity_bytes)
        self._offload = offload
        self._image_tool, self._program = image_tool, program
        self._authority = Authority(self._folder.path, self._folder.name, clock)
        place = Place(
            servers=self._folder.servers,
            volumes=self._folder.volumes,
            tls=self._authority.tls,
            host=host,
            ports=tuple(ports),
            program=program,
        )
        self._servers = Servers(self._folder.name, place, clock)
        self._layers = LayerTool(image_tool, self._folder.arriving, offload)
        self._copies = Copies()
        self._merging = Merging(self._layers, self._servers, self._copies)
        self._turns = Turns()
        self._opening, self._is_open = asyncio.Lock(), False

    # --- volumes ---------------------------------------------------------------------------------------------------

    async def pool(self) -> Pool:
        """See VolumeStore."""
        for program in (self._image_tool, self._program):
            if shutil.which(program) is None:
                packages = "Debian's packages qemu-utils and qemu-system-common have them"
                raise Broken(f"The program {program} isn't installed ({packages}).")
        await self._open()
        capacity_bytes, free_bytes = await self._offload(self._folder.room)
        return Pool(driver="files", capacity_bytes=capacity_bytes, free_bytes=free_bytes)

    async def volumes(self) -> frozenset[str]:
        """See VolumeStore."""
        await self._open()
        return await self._offload(self._folder.present)

    async def look(self, volume: str) -> Volume:
        """See VolumeStore."""
        folder = self._folder.of(volume)
        await self._open()
        chain = folder.chain()
        size_bytes, used_bytes = folder.size_bytes(chain.top), folder.used_bytes()
        return Volume(volume=volume, size_bytes=size_bytes, used_bytes=used_bytes, snapshots=chain.snapshots)

    async def make(self, plan: VolumePlan) -> None:
        """See VolumeStore."""
        checks.check_plan(plan)
        await self._made(plan, lambda path: self._layers.make(path, plan.size_bytes))

    async def make_from_image(self, plan: VolumePlan, image_format: str, chunks: AsyncIterator[bytes]) -> None:
        """See VolumeStore."""
        checks.check_plan(plan)
        checks.check_image_format(image_format)
        part = self._folder.arriving / plan.volume

        async def fill(path: Path) -> None:
            _, free_bytes = await self._offload(self._folder.room)
            bytes_max = plan.size_bytes + plan.size_bytes // 8 + MIB  # of a qcow2, with its tables
            try:
                await receive(part, within(free_bytes, chunks), bytes_max, self._offload)
                found = await self._offload(lambda: inspected(part, image_format))
                checks.check_content(plan, found.virtual_bytes, "its image")
                await self._copy(image_options(part, image_format), path, plan)
            finally:
                part.unlink(missing_ok=True)

        await self._made(plan, fill)

    async def make_copy(self, plan: VolumePlan, source: str, snapshot: str = "") -> None:
        """See VolumeStore."""
        checks.check_plan(plan)
        folder = self._folder.of(source)
        await self._open()
        with ExitStack() as held:
            async with self._turns.take(source):
                layers = folder.chain().up_to(snapshot)
                if not snapshot:
                    checks.check_unwritten(source, self._servers.exports(source))
                checks.check_content(plan, folder.size_bytes(layers[-1]), "what it is a copy of")
                held.enter_context(self._copies.being_made(source, is_whole=not snapshot))
            await self._made(plan, lambda path: self._copy(folder.graph(layers), path, plan))

    async def _made(self, plan: VolumePlan, fill: Callable[[Path], Awaitable[None]]) -> None:
        """Makes the volume, whose first layer `fill` makes, unless it is there; after a failure there is nothing."""
        folder = self._folder.of(plan.volume)
        await self._open()
        async with self._turns.take(plan.volume):
            if folder.chain_or_none() is not None:
                return
            await self._offload(self._folder.check_room)
            chain = Chain(volume=plan.volume)
            try:
                with on_disk("The volume"):
                    folder.begin()
                await fill(folder.layer(chain.top))
                with on_disk("The volume"):
                    folder.keep(chain)
            except BaseException:
                folder.remove()
                raise

    async def _copy(self, source: dict[str, Any], path: Path, plan: VolumePlan) -> None:
        _, free_bytes = await self._offload(self._folder.room)
        await self._layers.copy(source, path, plan.size_bytes, free_bytes)

    async def extend(self, volume: str, size_bytes: int) -> None:
        """See VolumeStore."""
        folder = self._folder.of(volume)
        await self._open()
        async with self._turns.take(volume):
            top = folder.chain().top
            if not checks.is_growth(volume, folder.size_bytes(top), size_bytes):
                return
            checks.check_uncopied(volume, self._copies.whole(volume), "extended")
            server = self._servers.of(volume)

            async def resize() -> None:
                await self._layers.resize(folder.layer(top), size_bytes)

            await (resize() if server is None else server.without(volume, resize))

    async def delete(self, volume: str) -> None:
        """See VolumeStore."""
        folder = self._folder.of(volume)
        await self._open()
        async with self._turns.take(volume):
            checks.check_unexported(volume, self._servers.exports(volume), "deleted")
            checks.check_uncopied(volume, self._copies.of(volume), "deleted")
            with on_disk("The volume"):
                await self._offload(folder.remove)

    # --- snapshots -------------------------------------------------------------------------------------------------

    async def take_snapshot(self, volume: str, snapshot: str) -> None:
        """See VolumeStore."""
        checks.check_id(snapshot, "a snapshot")
        folder = self._folder.of(volume)
        await self._open()
        async with self._turns.take(volume):
            chain = folder.chain()
            if snapshot in chain.snapshots:
                return
            server = self._servers.of(volume)
            with on_disk("The snapshot"):
                closed = await self._with_new_layer(folder, chain, chain.with_snapshot(snapshot))
                if server is None:
                    folder.keep(closed)
                else:
                    await server.open_layer(folder, closed)

    async def delete_snapshot(self, volume: str, snapshot: str) -> None:
        """See VolumeStore."""
        checks.check_id(snapshot, "a snapshot")
        folder = self._folder.of(volume)
        await self._open()
        async with self._turns.take(volume) as hurry:
            chain = folder.chain()
            if snapshot in chain.snapshots:
                checks.check_uncopied(volume, self._copies.of(volume), "rid of a snapshot")
                with on_disk("The record of the volume"):
                    folder.keep(chain.without_snapshot(snapshot))
            await self._merging.merge(folder, hurry)

    async def revert(self, volume: str, snapshot: str) -> None:
        """See VolumeStore."""
        checks.check_id(snapshot, "a snapshot")
        folder = self._folder.of(volume)
        await self._open()
        async with self._turns.take(volume):
            chain = folder.chain()
            reverted = chain.reverted(snapshot)
            checks.check_unexported(volume, self._servers.exports(volume), "put back")
            checks.check_uncopied(volume, self._copies.of(volume), "put back")
            with on_disk("The volume"):
                folder.keep(await self._with_new_layer(folder, chain, reverted))
                folder.sweep()

    async def _with_new_layer(self, folder: VolumeFolder, before: Chain, after: Chain) -> Chain:
        """`after`, whose topmost layer has its file now: an empty one, of the volume's size."""
        await self._offload(self._folder.check_room)
        path = folder.layer(after.top)
        try:
            path.unlink(missing_ok=True)
            await self._layers.make(path, folder.size_bytes(before.top))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return after

    async def tidy(self) -> None:
        """See VolumeStore."""
        for volume in sorted(await self.volumes()):
            if self._turns.is_taken(volume):
                continue  # by somebody who may copy for an hour; it is tidied another time
            async with self._turns.take(volume) as hurry:
                folder = self._folder.of(volume)
                if folder.chain_or_none() is not None:
                    await self._merging.merge(folder, hurry)

    # --- exports ---------------------------------------------------------------------------------------------------

    async def export(self, export: Export) -> Served:
        """See VolumeStore."""
        checks.check_export(export)
        folder = self._folder.of(export.volume)
        await self._open()
        async with self._turns.take(export.volume):
            folder.chain()
            if not checks.is_exported(export, self._servers.exports(export.volume)):
                checks.check_uncopied(export.volume, self._copies.whole(export.volume), "exported")
                with on_disk("The record of an export"):
                    await self._servers.export(export)
            return await self._servers.served(export)

    async def withdraw(self, volume: str, number: int) -> None:
        """See VolumeStore."""
        checks.check_volume(volume)
        checks.check_number(number)
        await self._open()
        async with self._turns.take(volume):
            await self._servers.withdraw(volume, number)

    async def exports(self) -> tuple[Served, ...]:
        """See VolumeStore."""
        await self._open()
        return await self._servers.all_served()

    async def certify(self, reader: str, public_key: bytes) -> Certificate:
        """See VolumeStore."""
        checks.check_id(reader, "a reader")
        checks.check_key(public_key)
        await self._open()
        certificate_pem = await self._offload(lambda: self._authority.certify(reader, public_key))
        authority_pem = self._authority.certificate_pem()
        return Certificate(reader=reader, certificate_pem=certificate_pem, authority_pem=authority_pem)

    async def close(self) -> None:
        """See VolumeStore."""
        await self._servers.close()

    # --- inside ----------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Once: makes what the pool needs, and takes up or ends what an earlier process left."""
        async with self._opening:
            if self._is_open:
                return
            with on_disk("The pool"):
                await self._offload(self._authority.make)
                end_left(self._folder.arriving, self._image_tool)
                await self._offload(self._folder.clear_arriving)
                await self._servers.adopt()
            self._is_open = True

"""A pool of volumes in memory: no files, no servers, no time, no chance.

It keeps the promises of the interface and decides by the same modules as the real one. What is on the machine
(`SimulatedPool`) is apart from the driver, so that a killed worker's successor finds volumes and exports as it would on
disk. Besides the verbs it has hooks: `connect` reads and writes as a host would, `fail` makes verbs fail.
"""

from collections import defaultdict, deque
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Final

from freehold.drivers.volumestore import checks
from freehold.drivers.volumestore.chain import Chain, Layer
from freehold.drivers.volumestore.interface import Pool, Volume, VolumePlan
from freehold.vocabulary.attachment import Certificate, Export, Served
from freehold.vocabulary.errors import BadRequest, Forbidden, FreeholdError, NoRoom, Unavailable
from freehold.vocabulary.units import GIB, KIB

BLOCK_BYTES: Final = 64 * KIB
"""What a layer takes at a time, as a cluster of qcow2 does."""
PORT: Final = 10809

Blocks = dict[int, bytes]
"""What was written, by the number of the block. A block that isn't there holds zeros, as does an empty one."""


class SimulatedVolume:
    """A volume that is whole: its layers, what is in each, and how large it was in each."""

    def __init__(self, plan: VolumePlan, blocks: Blocks) -> None:
        self.chain = Chain(volume=plan.volume)
        self.blocks: dict[int, Blocks] = {self.chain.top.name: blocks}
        self.sizes_bytes = {self.chain.top.name: plan.size_bytes}

    @property
    def size_bytes(self) -> int:
        """Its size now."""
        return self.sizes_bytes[self.chain.top.name]

    @property
    def used_bytes(self) -> int:
        """What is in all of its layers."""
        return sum(map(len, self.blocks.values())) * BLOCK_BYTES

    def seen(self, layers: tuple[Layer, ...]) -> Blocks:
        """What a reader of these layers sees."""
        seen: Blocks = {}
        for layer in layers:
            seen |= self.blocks[layer.name]
        return {block: content for block, content in sorted(seen.items()) if content}

    def now(self) -> Blocks:
        """What a reader sees: for checkers."""
        return self.seen(self.chain.layers)

    def follow(self, chain: Chain) -> None:
        """Opens and drops layers so that there are those of `chain`."""
        size_bytes, names = self.size_bytes, {layer.name for layer in chain.layers}
        self.chain = chain
        self.blocks = {name: blocks for name, blocks in self.blocks.items() if name in names}
        self.blocks.setdefault(chain.top.name, {})
        self.sizes_bytes = {name: size for name, size in self.sizes_bytes.items() if name in names}
        self.sizes_bytes[chain.top.name] = size_bytes

    def merge(self, *, exported: bool) -> None:
        """Merges all that can be."""
        while (pair := self.chain.mergeable(exported=exported)) is not None:
            lower, upper = pair
            self.blocks[lower.name] |= self.blocks[upper.name]
            self.sizes_bytes[lower.name] = self.sizes_bytes[upper.name]
            self.follow(self.chain.merged(lower, upper))


class SimulatedPool:
    """What is on the machine, whichever process looks after it."""

    def __init__(self, name: str = "simulated", capacity_bytes: int = 1024 * GIB) -> None:
        self.name, self.capacity_bytes = name, capacity_bytes
        self.volumes: dict[str, SimulatedVolume] = {}
        self.exports: dict[tuple[str, int], Served] = {}
        self.certified: dict[str, bytes] = {}
        """The key that each reader's last certificate is for."""

    @property
    def free_bytes(self) -> int:
        """What can still be written."""
        return self.capacity_bytes - sum(volume.used_bytes for volume in self.volumes.values())

    def take_room(self, blocks: int) -> None:
        """Raises NoRoom unless so many blocks can still be written."""
        if blocks * BLOCK_BYTES > self.free_bytes:
            raise NoRoom("The pool of volumes is full. Delete volumes or snapshots, or make it larger.")


class SimulatedReader:
    """A host that has opened an export. It stays open until that is withdrawn."""

    def __init__(self, pool: SimulatedPool, served: Served) -> None:
        self._pool, self._served = pool, served

    def read(self, block: int) -> bytes:
        """What is in the block; empty: zeros. Raises Unavailable if the export was withdrawn."""
        volume = self._volume(block)
        layers = reversed(volume.chain.layers)
        return next((held[block] for layer in layers if block in (held := volume.blocks[layer.name])), b"")

    def write(self, block: int, content: bytes) -> None:
        """Writes up to `BLOCK_BYTES`; empty: zeros. Raises Unavailable if the export was withdrawn, Forbidden if it is
        read-only, NoRoom if the pool is full."""
        top = self._top(block)
        if not self._served.export.writable:
            raise Forbidden("This export may only be read.")
        if len(content) > BLOCK_BYTES:
            raise BadRequest(f"A block has {BLOCK_BYTES} bytes.")
        if block not in top:
            self._pool.take_room(1)
        top[block] = content

    def _top(self, block: int) -> Blocks:
        volume = self._volume(block)
        return volume.blocks[volume.chain.top.name]

    def _volume(self, block: int) -> SimulatedVolume:
        export = self._served.export
        served = self._pool.exports.get((export.volume, export.number))
        if served is None or served.export != export:
            raise Unavailable(f"Attachment {export.number} of volume {export.volume} was withdrawn.")
        volume = self._pool.volumes[export.volume]
        if not 0 <= block * BLOCK_BYTES < volume.size_bytes:
            raise BadRequest(f"There is no block {block} in a volume of {volume.size_bytes} bytes.")
        return volume


class SimulatedVolumeStore:
    """See VolumeStore. `pool`: what is on the machine already, shared with the drivers before and after this one."""

    def __init__(self, pool: SimulatedPool | None = None) -> None:
        self.on_machine = SimulatedPool() if pool is None else pool
        self._arriving: dict[str, None] = {}
        self._failures: defaultdict[str, deque[FreeholdError]] = defaultdict(deque)

    # --- volumes ---------------------------------------------------------------------------------------------------

    async def pool(self) -> Pool:
        """See VolumeStore."""
        self._may_fail("pool")
        machine = self.on_machine
        return Pool(driver="simulated", capacity_bytes=machine.capacity_bytes, free_bytes=machine.free_bytes)

    async def volumes(self) -> frozenset[str]:
        """See VolumeStore."""
        self._may_fail("volumes")
        return frozenset(self.on_machine.volumes) | frozenset(self._arriving)

    async def look(self, volume: str) -> Volume:
        """See VolumeStore."""
        self._may_fail("look")
        held = self._held(volume)
        return Volume(
            volume=volume,
            size_bytes=held.size_bytes,
            used_bytes=held.used_bytes,
            snapshots=held.chain.snapshots,
        )

    async def make(self, plan: VolumePlan) -> None:
        """See VolumeStore."""
        checks.check_plan(plan)
        self._may_fail("make")
        self._make(plan, {})

    async def make_from_image(self, plan: VolumePlan, image_format: str, chunks: AsyncIterator[bytes]) -> None:
        """See VolumeStore. Of a qcow2 only what it is is looked at: the volume begins with zeros."""
        checks.check_plan(plan)
        checks.check_image_format(image_format)
        self._may_fail("make_from_image")
        if plan.volume in self.on_machine.volumes:
            return
        self._arriving[plan.volume] = None
        try:
            arrived = bytearray()
            async for chunk in chunks:
                arrived += chunk
                self.on_machine.take_room(len(arrived) // BLOCK_BYTES)
            self._make(plan, _content(plan, image_format, bytes(arrived)))
        finally:
            self._arriving.pop(plan.volume, None)

    async def make_copy(self, plan: VolumePlan, source: str, snapshot: str = "") -> None:
        """See VolumeStore."""
        checks.check_plan(plan)
        self._may_fail("make_copy")
        held = self._held(source)
        layers = held.chain.up_to(snapshot)
        if plan.volume in self.on_machine.volumes:
            return
        if not snapshot:
            checks.check_unwritten(source, self._exports(source))
        checks.check_content(plan, held.sizes_bytes[layers[-1].name], "what it is a copy of")
        self._make(plan, held.seen(layers))

    def _make(self, plan: VolumePlan, blocks: Blocks) -> None:
        if plan.volume not in self.on_machine.volumes:
            self.on_machine.take_room(len(blocks))
            self.on_machine.volumes[plan.volume] = SimulatedVolume(plan, blocks)

    async def extend(self, volume: str, size_bytes: int) -> None:
        """See VolumeStore."""
        self._may_fail("extend")
        held = self._held(volume)
        if not checks.is_growth(volume, held.size_bytes, size_bytes):
            return
        held.sizes_bytes[held.chain.top.name] = size_bytes
        for export in self._exports(volume):
            self.on_machine.exports[volume, export.number] = self._served(export)

    async def delete(self, volume: str) -> None:
        """See VolumeStore."""
        checks.check_volume(volume)
        self._may_fail("delete")
        checks.check_unexported(volume, self._exports(volume), "deleted")
        self.on_machine.volumes.pop(volume, None)

    # --- snapshots -------------------------------------------------------------------------------------------------

    async def take_snapshot(self, volume: str, snapshot: str) -> None:
        """See VolumeStore."""
        checks.check_id(snapshot, "a snapshot")
        self._may_fail("take_snapshot")
        held = self._held(volume)
        if snapshot not in held.chain.snapshots:
            held.follow(held.chain.with_snapshot(snapshot))

    async def delete_snapshot(self, volume: str, snapshot: str) -> None:
        """See VolumeStore."""
        checks.check_id(snapshot, "a snapshot")
        self._may_fail("delete_snapshot")
        held = self._held(volume)
        if snapshot in held.chain.snapshots:
            held.follow(held.chain.without_snapshot(snapshot))
        self._merge(held)

    async def revert(self, volume: str, snapshot: str) -> None:
        """See VolumeStore."""
        checks.check_id(snapshot, "a snapshot")
        self._may_fail("revert")
        held = self._held(volume)
        chain = held.chain.reverted(snapshot)
        checks.check_unexported(volume, self._exports(volume), "put back")
        held.follow(chain)

    # --- exports ---------------------------------------------------------------------------------------------------

    async def export(self, export: Export) -> Served:
        """See VolumeStore."""
        checks.check_export(export)
        self._may_fail("export")
        self._held(export.volume)
        key = export.volume, export.number
        if not checks.is_exported(export, self._exports(export.volume)):
            self.on_machine.exports[key] = self._served(export)
        return self.on_machine.exports[key]

    async def withdraw(self, volume: str, number: int) -> None:
        """See VolumeStore."""
        checks.check_volume(volume)
        checks.check_number(number)
        self._may_fail("withdraw")
        self.on_machine.exports.pop((volume, number), None)

    async def exports(self) -> tuple[Served, ...]:
        """See VolumeStore."""
        self._may_fail("exports")
        return tuple(served for _, served in sorted(self.on_machine.exports.items()))

    async def certify(self, reader: str, public_key: bytes) -> Certificate:
        """See VolumeStore. What it gives says what it is for and is no certificate."""
        checks.check_id(reader, "a reader")
        checks.check_key(public_key)
        self._may_fail("certify")
        self.on_machine.certified[reader] = public_key
        name = self.on_machine.name
        return Certificate(
            reader=reader,
            certificate_pem=f"{reader} of {name}, whose key is {public_key.hex()}",
            authority_pem=f"authority of {name}",
        )

    async def tidy(self) -> None:
        """See VolumeStore."""
        self._may_fail("tidy")
        for held in self.on_machine.volumes.values():
            self._merge(held)

    async def close(self) -> None:
        """See VolumeStore."""

    # --- hooks -----------------------------------------------------------------------------------------------------

    def connect(self, volume: str, number: int, reader: str) -> SimulatedReader:
        """Opens an export as `reader` would. Raises Forbidden if it is another's, Unavailable if there is none."""
        served = self.on_machine.exports.get((volume, number))
        if served is None:
            raise Unavailable(f"Attachment {number} of volume {volume} isn't exported.")
        if served.export.reader != reader:
            raise Forbidden(f"Attachment {number} of volume {volume} isn't for {reader}.")
        return SimulatedReader(self.on_machine, served)

    def fail(self, verb: str, error: FreeholdError) -> None:
        """The next call of `verb` raises `error`; told several times, as many calls do."""
        self._failures[verb].append(error)

    def mend(self) -> None:
        """No call fails any more that was to."""
        self._failures.clear()

    # --- inside ----------------------------------------------------------------------------------------------------

    def _held(self, volume: str) -> SimulatedVolume:
        held = self.on_machine.volumes.get(checks.check_volume(volume))
        if held is None:
            raise checks.absent(volume)
        return held

    def _exports(self, volume: str) -> list[Export]:
        exports = (served.export for served in self.on_machine.exports.values())
        return [export for export in exports if export.volume == volume]

    def _served(self, export: Export) -> Served:
        return Served(
            export=export,
            host=self.on_machine.name,
            port=PORT,
            name=checks.export_name(export.volume, export.number),
            description=checks.export_description(export.volume, export.number),
            size_bytes=self.on_machine.volumes[export.volume].size_bytes,
            server_name=self.on_machine.name,
        )

    def _merge(self, held: SimulatedVolume) -> None:
        held.merge(exported=bool(self._exports(held.chain.volume)))

    def _may_fail(self, verb: str) -> None:
        if self._failures and self._failures[verb]:
            raise self._failures[verb].popleft()


def _content(plan: VolumePlan, image_format: str, image: bytes) -> Blocks:
    """What a volume made of the image begins with. Raises BadRequest as `make_from_image`."""
    from freehold.drivers.imagestore.inspection import inspect  # heavy, and a simulation may run without any image

    checks.check_content(plan, inspect(BytesIO(image), image_format).virtual_bytes, "its image")
    if image_format != "raw":
        return {}
    blocks = (image[start : start + BLOCK_BYTES] for start in range(0, len(image), BLOCK_BYTES))
    return {number: block for number, block in enumerate(blocks) if block.strip(b"\0")}

"""Performs what a state in progress asks for, through the drivers. Each effect may be repeated, and answers once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from msgspec.structs import replace

from freehold.drivers.fabric.interface import Fabric
from freehold.drivers.hypervisor.interface import ConfigDrive, DiskPlan, Hypervisor, Nic, Plan
from freehold.drivers.imagefetch.interface import ImageCache
from freehold.runtime.chance import Chance
from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.vocabulary.attachment import RemoteDisk
from freehold.vocabulary.errors import BadRequest, Broken, FreeholdError, Unavailable
from freehold.vocabulary.guest import Guest, GuestState, Power
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import GIB
from freehold.workers.host.filters import Filters
from freehold.workers.host.messages import BuildSecret, Effect, EffectDone, EffectFailed, Job
from freehold.workers.host.metadata import config_drive_files

FETCH_TRIES: Final = 4
FETCH_PAUSE_S: Final = 1.0
"""Before the second try; doubled before each further one."""

_log = logger("host")


class GuestVolumes(Protocol):
    """What is had of the volumes' owners for a guest."""

    async def for_launch(self, guest: str) -> tuple[RemoteDisk, ...]:
        """The volumes that a guest is to start with, opened. Raises Unavailable."""

    async def released(self, held: Guest) -> None:
        """A guest is being deleted, and nothing of it runs."""


class Effects:
    """What the host does to the world. `jobs` gives a guest with its secrets as they are at that moment."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        fabric: Fabric,
        images: ImageCache,
        filters: Filters,
        jobs: Callable[[str], Job | None],
        clock: Clock,
        chance: Chance,
        launches_max: int,
        volumes: GuestVolumes,
    ) -> None:
        self._hypervisor, self._fabric, self._images, self._filters = hypervisor, fabric, images, filters
        self._jobs, self._clock, self._chance, self._volumes = jobs, clock, chance, volumes
        self._launches = asyncio.Semaphore(launches_max)
        self._taps: dict[str, str] = {}

    async def perform(self, effect: Effect, guest: str) -> EffectDone | EffectFailed:
        """Does it, and says how it went."""
        try:
            await self._perform(effect, self._job(guest))
        except FreeholdError as error:
            _log.warning("effect failed", effect=effect, guest=guest, error=error.message)
            return EffectFailed(effect, error.fault())
        except Exception as error:  # noqa: BLE001 - one guest's trouble must not end the others' host; it is told and logged
            _log.error("effect broke", effect=effect, guest=guest, exc_info=error)
            return EffectFailed(effect, Broken(f"{effect} broke on this host; its log has the reason.").fault())
        return EffectDone(effect)

    async def remove_leftovers(self, guest: str) -> None:
        """Removes files of a guest that has no record. What fails is logged; the next look finds it again."""
        try:
            await self._hypervisor.remove(guest)
        except FreeholdError as error:
            _log.warning("leftovers not removed", guest=guest, error=error.message)

    async def stop_stranger(self, guest: str) -> None:
        """Stops a guest that has no record, and keeps what there is of it. What fails is logged, as above."""
        try:
            if await self._hypervisor.power(guest) is not Power.OFF:
                await self._hypervisor.stop(guest)
        except FreeholdError as error:
            _log.warning("a guest without a record isn't stopped", guest=guest, error=error.message)

    def _job(self, guest: str) -> Job:
        job = self._jobs(guest)
        if job is None:
            raise Broken(f"Guest {guest} has no record on this host.")
        return job

    async def _perform(self, effect: Effect, job: Job) -> None:
        guest = job.guest
        match effect:
            case Effect.FETCH_IMAGE:
                if guest.spec.image:
                    await self._fetch_image(guest.id)
            case Effect.MAKE_DISK:
                await self._make_disk(guest, job.secret)
            case Effect.WIRE:
                await self._wire(guest)
            case Effect.LAUNCH:
                await self._launch(guest)
            case Effect.ASK_SHUT_DOWN:
                await self._hypervisor.shut_down(guest.id)
            case Effect.STOP:
                await self._hypervisor.stop(guest.id)
            case Effect.REMOVE:
                await self._hypervisor.remove(guest.id)
                await self._unplug(guest)
                if guest.state is GuestState.DELETING:
                    await self._volumes.released(guest)
            case Effect.ISOLATE:
                await self._hypervisor.stop(guest.id)
                await self._unplug(guest)

    async def _fetch_image(self, guest: str) -> None:
        """Tries a few times, each with the newest key: the build is sent again while it goes on."""
        for left in range(FETCH_TRIES - 1, -1, -1):
            try:
                await self._images.fetch(_offer(self._job(guest)))
                return
            except Unavailable as error:
                if not left:
                    raise
                _log.info("image not fetched yet", guest=guest, error=error.message, tries_left=left)
                pause_s = FETCH_PAUSE_S * 2 ** (FETCH_TRIES - 1 - left)
                await self._clock.sleep(pause_s * self._chance.uniform(0.8, 1.2))

    async def _make_disk(self, guest: Guest, secret: BuildSecret) -> None:
        await self._hypervisor.make_disk(await self._disk_plan(guest, secret))
        if guest.spec.config_drive:
            files = {path: _text(path, body) for path, body in config_drive_files(guest, secret).items()}
            await self._hypervisor.make_config_drive(ConfigDrive(guest=guest.id, files=files))

    async def _disk_plan(self, guest: Guest, secret: BuildSecret) -> DiskPlan:
        if not guest.spec.image:
            return DiskPlan(guest=guest.id, base=None, base_format="", size_gib=0)
        offer = _offer(Job(guest, secret))
        base: Path = await self._images.fetch(offer)
        size_gib = max(guest.spec.flavor.disk_gib, 1, -(-offer.virtual_bytes // GIB))
        return DiskPlan(guest=guest.id, base=base, base_format=offer.disk_format, size_gib=size_gib)

    async def _wire(self, guest: Guest) -> None:
        for wiring in guest.ports:
            self._taps[wiring.port] = await self._fabric.plug(wiring, guest.hostname)
        await self._filters.begin(guest.ports)

    async def _launch(self, guest: Guest) -> None:
        if any(wiring.port not in self._taps for wiring in guest.ports):
            await self._wire(guest)  # an earlier process did, and its successor asks for the taps' names
        nics = tuple(
            Nic(port=wiring.port, mac=wiring.mac, tap=self._taps[wiring.port], mtu=wiring.mtu) for wiring in guest.ports
        )
        flavor = guest.spec.flavor
        disks = await self._volumes.for_launch(guest.id) if guest.volumes else ()
        plan = Plan(guest=guest.id, name=guest.hostname, vcpus=flavor.vcpus, ram_mib=flavor.ram_mib, nics=nics)
        plan = replace(plan, disks=disks)
        async with self._launches:
            await self._hypervisor.launch(plan)

    async def _unplug(self, guest: Guest) -> None:
        for wiring in guest.ports:
            self._filters.forget(wiring.port)
            self._taps.pop(wiring.port, None)
            await self._fabric.unplug(wiring.port)


def _offer(job: Job) -> ImageOffer:
    if job.guest.image is None:
        raise Broken(f"Guest {job.guest.id} has no image in its record.")
    return replace(job.guest.image, key=job.secret.image_key or Secret(""))


def _text(path: str, body: bytes) -> Secret:
    try:
        return Secret(body.decode())
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path} isn't text (UTF-8), so that it can't be put on a config drive.") from error

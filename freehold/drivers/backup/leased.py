"""Backups on a server that many machines reach: STORE/<number>.segment, and who writes them in STORE/lease-<number>.

A process that would write makes the lease with the next number: of two, the server lets one. It renews it from then on,
in the background, whatever the writing does. A lease that wasn't renewed for `LEASE_S`, by the server's clock, is over;
so is, at once, one that was let go, or of an earlier process of the same holder. Who finds a higher lease than its own
has lost it. A holder that couldn't renew stops to write well before another may begin.
"""

import re
from dataclasses import dataclass
from typing import Final

from freehold.drivers.backup.checks import absent, checked, held_elsewhere, not_held, out_of_order, there_already
from freehold.drivers.backup.objects import REQUEST_S_MAX, Objects
from freehold.runtime.clock import Clock
from freehold.runtime.log import logger
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import Broken, Conflict, FreeholdError
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.word import Word

LEASE_S: Final = 60.0
RENEWALS: Final = 4
"""In the time of a lease."""
_SEGMENT: Final = re.compile(r"([0-9]{12})\.segment")
_LEASE: Final = re.compile(r"lease-([0-9]{9})")

_log = logger("backup")


class Lease(Word, frozen=True, kw_only=True):
    """Who writes. `token` is the process's own; `free`: it was let go."""

    holder: str
    token: str
    free: bool = False


@dataclass(slots=True)
class _Held:
    """A lease of ours: its number, and since when, on our clock, it is surely renewed."""

    number: int
    renewed_s: float


class LeasedBackups:
    """See Backups. `holder` is the same for every process over one folder of state, and for no other; `token` is this
    process's own.
    """

    def __init__(self, objects: Objects, clock: Clock, holder: str, token: str, lease_s: float = LEASE_S) -> None:
        self._objects, self._clock, self._lease_s = objects, clock, lease_s
        self._holder, self._token = holder, token
        self._held: dict[str, _Held] = {}
        self._tasks = Tasks("backup.lease")

    async def stores(self) -> list[str]:
        """See Backups."""
        found = [folder for folder in await self._objects.folders() if is_uuid(folder)]
        return sorted([folder for folder in found if await self.numbers(folder)])

    async def hold(self, store: str) -> None:
        """See Backups."""
        if self._holds(checked(store)):
            return
        self._held.pop(store, None)
        numbers = _matching(_LEASE, await self._objects.names(store))
        newest = numbers[-1] if numbers else 0
        if newest:
            await self._check_free(store, newest)
        began_s = self._clock.monotonic_s()
        if not await self._objects.create(store, _lease_name(newest + 1), self._lease()):
            raise held_elsewhere(store)
        self._held[store] = _Held(newest + 1, began_s)
        for number in numbers:
            await self._objects.delete(store, _lease_name(number))
        self._tasks.start("renew", self._renew_on(store, self._held[store]))

    async def numbers(self, store: str) -> list[int]:
        """See Backups."""
        return _matching(_SEGMENT, await self._objects.names(checked(store)))

    async def write(self, store: str, number: int, content: bytes) -> None:
        """See Backups."""
        self._check_held(store)
        if number > 1 and not await self._objects.has(store, _segment_name(number - 1)):
            raise out_of_order(store, number)
        self._check_held(store)
        if not await self._objects.create(store, _segment_name(number), content):
            raise there_already(store, number)

    async def read(self, store: str, number: int) -> bytes:
        """See Backups."""
        content = await self._objects.read(checked(store), _segment_name(number))
        if content is None:
            raise absent(store, number)
        return content

    async def delete(self, store: str, number: int) -> None:
        """See Backups."""
        self._check_held(store)
        await self._objects.delete(store, _segment_name(number))

    async def close(self) -> None:
        """See Backups."""
        await self._tasks.close()
        while self._held:
            store, held = self._held.popitem()
            try:
                if not await self._lost(store, held):
                    await self._objects.put(store, _lease_name(held.number), self._lease(free=True))
            except FreeholdError as error:
                _log.info("its lease runs out by itself", store=store, error=error.message)
        await self._objects.close()

    # --- the lease ---

    def _lease(self, free: bool = False) -> bytes:
        return encode(Lease(holder=self._holder, token=self._token, free=free))

    async def _check_free(self, store: str, number: int) -> None:
        """Raises Conflict if the lease is somebody else's, and not over."""
        content = await self._objects.read(store, _lease_name(number))
        age_s = await self._objects.age_s(store, _lease_name(number))
        if content is None or age_s is None:
            return
        lease = _read_lease(content)
        if not lease.free and lease.holder != self._holder and age_s < self._lease_s:
            raise held_elsewhere(store, f"{lease.holder}, which was there {age_s:.0f} s ago")

    async def _renew_on(self, store: str, held: _Held) -> None:
        while self._held.get(store) is held:
            await self._clock.sleep(self._lease_s / RENEWALS)
            try:
                began_s = self._clock.monotonic_s()
                if await self._lost(store, held):
                    _log.warning("another process has taken the backup over", store=store)
                    if self._held.get(store) is held:
                        del self._held[store]
                    return
                await self._objects.put(store, _lease_name(held.number), self._lease())
                held.renewed_s = began_s
            except FreeholdError as error:
                _log.info("can't renew its lease", store=store, error=error.message)

    async def _lost(self, store: str, held: _Held) -> bool:
        """Whether another has it. A place that was emptied has it again: by making it, for another may be as quick."""
        numbers = _matching(_LEASE, await self._objects.names(store))
        if not numbers:
            return not await self._objects.create(store, _lease_name(held.number), self._lease())
        if numbers[-1] != held.number:
            return True
        there = await self._objects.read(store, _lease_name(held.number))
        return there is not None and _read_lease(there).token != self._token

    def _holds(self, store: str) -> bool:
        """Whether a request that begins now ends while the lease is surely ours."""
        held = self._held.get(store)
        margin_s = min(REQUEST_S_MAX, self._lease_s / 3) * 1.2
        return held is not None and self._clock.monotonic_s() - held.renewed_s < self._lease_s - margin_s

    def _check_held(self, store: str) -> None:
        if not self._holds(checked(store)):
            raise not_held(store)


def _read_lease(content: bytes) -> Lease:
    try:
        return decode(content, Lease)
    except Broken:
        return Lease(holder="somebody who can't be read", token="")


def _matching(form: re.Pattern[str], names: list[str]) -> list[int]:
    return sorted(int(match[1]) for name in names if (match := form.fullmatch(name)))


def _segment_name(number: int) -> str:
    if number < 0:
        raise Conflict(f"a segment has no number {number}.")
    return f"{number:012}.segment"


def _lease_name(number: int) -> str:
    return f"lease-{number:09}"

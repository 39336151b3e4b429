"""Fetching without bytes: for the simulation and for tests of those who fetch."""

from pathlib import Path

from freehold.runtime.clock import Clock
from freehold.vocabulary.errors import BadRequest, FreeholdError
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.image import ImageOffer


class SimulatedImageCache:
    """See ImageCache, but the files are empty; without a `folder` there are none. Each first fetch takes `fetch_s`.

    `faults`: what fetching an image (by id) raises, for as long as it stands there. `fetched`: the ids, in order.
    """

    def __init__(self, clock: Clock, folder: Path | None = None, fetch_s: float = 0.0) -> None:
        self._clock, self._folder, self._fetch_s = clock, folder, fetch_s
        self.faults: dict[str, FreeholdError] = {}
        self.fetched: list[str] = []
        self._cached: dict[str, Path] = {}

    async def fetch(self, offer: ImageOffer) -> Path:
        """See ImageCache."""
        if not is_uuid(offer.id):
            raise BadRequest(f"{offer.id!r} isn't the id of an image.")
        name = f"{offer.id}-{offer.checksum_sha256}"
        if name in self._cached:
            return self._cached[name]
        if self._fetch_s:
            await self._clock.sleep(self._fetch_s)
        if offer.id in self.faults:
            raise self.faults[offer.id]
        return self._cached.get(name) or self._arrive(offer, name)

    def _arrive(self, offer: ImageOffer, name: str) -> Path:
        path = (self._folder or Path("/simulated")) / name
        if self._folder is not None:
            path.touch()
        self._cached[name] = path
        self.fetched.append(offer.id)
        return path

    async def evict(self, keep: frozenset[str]) -> None:
        """See ImageCache."""
        for name in [name for name in self._cached if name[:36] not in keep]:
            path = self._cached.pop(name)
            if self._folder is not None:
                path.unlink(missing_ok=True)

    async def close(self) -> None:
        """See ImageCache."""

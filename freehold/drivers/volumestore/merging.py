"""Layers that belong to nobody any more are merged with those above, as long as nobody waits for the volume."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from freehold.drivers.volumestore.chain import Chain, Layer
from freehold.drivers.volumestore.layers import LayerTool
from freehold.drivers.volumestore.pool_folder import on_disk
from freehold.drivers.volumestore.servers import Servers
from freehold.drivers.volumestore.volume_folder import VolumeFolder


class Copies:
    """Which volumes are being copied now: their layers stay as they are."""

    def __init__(self) -> None:
        self._any: Counter[str] = Counter()
        self._whole: Counter[str] = Counter()

    def of(self, volume: str) -> int:
        """How many copies of the volume or of snapshots of it are being made."""
        return self._any[volume]

    def whole(self, volume: str) -> int:
        """How many of them are of the volume as it is now."""
        return self._whole[volume]

    @contextmanager
    def being_made(self, volume: str, *, is_whole: bool) -> Iterator[None]:
        """One more is, as long as the context lasts."""
        counters = [self._any, self._whole] if is_whole else [self._any]
        for counter in counters:
            counter[volume] += 1
        try:
            yield
        finally:
            for counter in counters:
                counter[volume] -= 1


class Merging:
    """See the module."""

    def __init__(self, layers: LayerTool, servers: Servers, copies: Copies) -> None:
        self._layers, self._servers, self._copies = layers, servers, copies

    async def merge(self, folder: VolumeFolder, hurry: asyncio.Event) -> None:
        """Merges what can be merged now, and deletes the files that no record names. The caller has the volume to
        itself, and is asked by `hurry` to make way. Raises Broken, Unavailable; then it may be done again."""
        while True:
            chain, server = folder.chain(), self._servers.of(folder.volume)
            with on_disk("The volume"):
                folder.sweep()
            pair = chain.mergeable(exported=server is not None)
            if pair is None or hurry.is_set() or self._copies.of(folder.volume):
                return
            if server is not None:
                is_done = await server.merge(folder, chain, pair, hurry)
            else:
                is_done = await self._merged(folder, chain, pair, hurry)
            if not is_done:
                return

    async def _merged(
        self, folder: VolumeFolder, chain: Chain, pair: tuple[Layer, Layer], hurry: asyncio.Event
    ) -> bool:
        """Whether two layers that nobody serves could be merged before there was a hurry."""
        lower, upper = pair
        graph = folder.graph(chain.layers[: chain.layers.index(upper) + 1])
        work = asyncio.ensure_future(self._layers.merge(graph, folder.layer(upper), folder.layer(lower)))
        hurried = asyncio.ensure_future(hurry.wait())
        try:
            await asyncio.wait((work, hurried), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return False
            work.result()
            with on_disk("The record of the volume"):
                folder.keep(chain.merged(lower, upper))
            return True
        finally:
            for one in (work, hurried):
                one.cancel()
            await asyncio.gather(work, hurried, return_exceptions=True)

"""How fast image bytes go into each store and come out into a file with their sums, beside each store's own client.

    python -m benchmarks.image_stores --mib 256 --rounds 5

Swift is a real one of one process (tests/swift_server.py), by its own API and as S3; the web is a server of Python's.
Its own client copies the same bytes, without a sum: cp for a folder, curl for Swift and the web, boto3 for S3. Ours and
its own take turns, and each round has a ratio of its own.
"""

import argparse
import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import uuid4

import uvloop

from benchmarks.record import record
from freehold.config import read
from freehold.drivers.imagestore.interface import ImageStore
from freehold.drivers.imagestore.pick import image_store
from freehold.drivers.imagestore.receiving import receive
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.units import MIB
from tests.drivers.imagestore.published import Published
from tests.servers import PASSWORD
from tests.swift_server import USER, SwiftServer

CHUNK_BYTES: Final = 256 * 1024
STORES: Final = ("folder", "swift", "swift as s3", "web")

Copies = tuple[Callable[[Path], None] | None, Callable[[Path], None]]
"""What a store's own client does: keeps a file there, and brings it into one."""


class Bench:
    """The bytes, and a folder for them."""

    def __init__(self, folder: Path, mib: int, offload: ThreadOffload, stack: ExitStack) -> None:
        self.folder, self.size_bytes, self.offload, self._stack = folder, mib * MIB, offload, stack
        self.source, self.image = folder / "source", str(uuid4())
        with self.source.open("wb") as file, Path("/dev/urandom").open("rb") as random:
            for _ in range(mib):
                file.write(random.read(MIB))

    def opened(self, name: str) -> tuple[ImageStore, Copies]:
        """A store, and its own client's copies."""
        if name == "folder":
            other = self.folder / "other"
            return self._store(), (lambda source: _cp(source, other), lambda target: _cp(other, target))
        if name == "web":
            (web := self.folder / "web").mkdir()
            published = Published(web, self.offload)
            self._stack.callback(published.close)
            published.publish(self.image, self.source.read_bytes())
            url = f"http://127.0.0.1:{published.server.server_port}/0-{self.image}"
            return published.store, (None, lambda target: _curl("-o", target, url))
        server = SwiftServer()
        self._stack.callback(server.close)
        if name == "swift":
            return self._store(server.url, server.secrets), _by_curl(server)
        return self._store(server.s3_url, server.s3_secrets), _by_boto(server)

    def _store(self, place: str = "", secrets: Path | None = None) -> ImageStore:
        settings = read(None, state=self.folder, image_store=place, image_store_secret_file=secrets)
        return image_store(settings, "images", str(uuid4()), self.offload)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive at a worker."""
        with self.source.open("rb") as file:
            while chunk := await self.offload(lambda: file.read(CHUNK_BYTES)):
                yield chunk

    async def rates(self, store: ImageStore, copies: Copies, rounds: int) -> dict[str, Any]:
        """MB/s of each way, the middle of all rounds, and the ratio to its own client's with the range of all."""
        put, get = copies
        target = self.folder / "target"

        async def brought() -> None:
            read_back = await receive(target, store.read(self.image), self.size_bytes, self.offload)
            assert read_back.size_bytes == self.size_bytes

        figures: dict[str, Any] = {}
        if put is not None:
            figures["write"] = await self._compared(
                lambda: store.write(self.image, self.chunks(), self.size_bytes), lambda: put(self.source), rounds
            )
        figures["read"] = await self._compared(brought, lambda: get(target), rounds)
        return figures

    async def _compared(
        self, ours: Callable[[], Awaitable[object]], its_own: Callable[[], None], rounds: int
    ) -> dict[str, Any]:
        took: list[tuple[float, float]] = []
        for _ in range(rounds):
            began_s = time.monotonic()
            await ours()
            between_s = time.monotonic()
            await asyncio.to_thread(its_own)
            took.append((between_s - began_s, time.monotonic() - between_s))
        mb, ratios = self.size_bytes / 1e6, sorted(own_s / ours_s for ours_s, own_s in took)
        return {
            "mb_per_s": round(mb / median(ours_s for ours_s, _ in took)),
            "own_mb_per_s": round(mb / median(own_s for _, own_s in took)),
            "of_own": round(median(ratios), 2),
            "of_own_range": [round(ratios[0], 2), round(ratios[-1], 2)],
        }


def _cp(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _curl(*words: object) -> None:
    subprocess.run(("curl", "-sS", "--fail", *map(str, words)), check=True, stdout=subprocess.DEVNULL)


def _by_curl(server: SwiftServer) -> Copies:
    account, token = server.entered()
    url, header = f"{account}/images/by-curl", f"X-Auth-Token: {token}"
    return (
        lambda source: _curl("-H", header, "-T", source, url),
        lambda target: _curl("-H", header, "-o", target, url),
    )


def _by_boto(server: SwiftServer) -> Copies:
    boto3: Any = import_module("boto3")  # of moto's, untyped

    client: Any = boto3.client(
        "s3",
        endpoint_url=server.address,
        aws_access_key_id=USER,
        aws_secret_access_key=PASSWORD,
        region_name="us-east-1",
    )
    return (
        lambda source: client.upload_file(str(source), "images", "by-boto"),
        lambda target: client.download_file("images", "by-boto", str(target)),
    )


async def measured(mib: int, rounds: int, stores: tuple[str, ...] = STORES) -> dict[str, Any]:
    """The figures of each store."""
    figures: dict[str, Any] = {}
    for name in stores:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            offload = ThreadOffload(threads=4)
            stack.callback(offload.close)
            bench = Bench(Path(folder), mib, offload, stack)
            store, copies = bench.opened(name)
            figures[name] = await bench.rates(store, copies, rounds)
    return {"mib": mib, "rounds": rounds, "stores": figures}


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        record("image_stores", runner.run(measured(asked.mib, asked.rounds)))


if __name__ == "__main__":
    main()

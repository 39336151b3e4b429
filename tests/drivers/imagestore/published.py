"""A folder on the web, and one who publishes in it what is then written to the store that reads it."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread

from freehold.config import read
from freehold.drivers.imagestore.interface import ImageStore, Inspected, Written
from freehold.drivers.imagestore.pick import image_store
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.ids import is_uuid


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Published:
    """See ImageStore, but for what is promised of writes."""

    def __init__(self, folder: Path, offload: ThreadOffload) -> None:
        self.folder, self.list = folder, folder / "list.toml"
        self.list.touch()
        self.entries: dict[str, str] = {}
        self.paths = count()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/?list={self.list}"
        self.store: ImageStore = image_store(read(None, state=folder, image_store=self.url), "images", "", offload)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def publish(self, image: str, content: bytes) -> None:
        # Under another name each time, as whoever reads the earlier bytes would else read these.
        sha256, path = hashlib.sha256(content).hexdigest(), f"{next(self.paths)}-{image}"
        (self.folder / path).write_bytes(content)
        self._list(image, f'[{image}]\npath = "{path}"\nsha256 = "{sha256}"\nsize_bytes = {len(content)}\n')

    def _list(self, image: str, entry: str) -> None:
        self.entries[image] = entry
        self.list.write_text("".join(self.entries.values()))

    async def write(self, image: str, chunks: AsyncIterator[bytes], size_bytes_max: int) -> Written:
        content = b"".join([chunk async for chunk in chunks])
        if is_uuid(image):
            self.publish(image, content)

        async def again() -> AsyncIterator[bytes]:
            yield content

        return await self.store.write(image, again(), size_bytes_max)

    def read(self, image: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        return self.store.read(image, offset)

    async def size_bytes(self, image: str) -> int:
        return await self.store.size_bytes(image)

    async def inspect(self, image: str, disk_format: str) -> Inspected:
        return await self.store.inspect(image, disk_format)

    async def delete(self, image: str) -> None:
        await self.store.delete(image)
        self._list(image, "")

    async def images(self) -> frozenset[str]:
        return await self.store.images()

    def local_path(self, image: str) -> Path | None:
        return self.store.local_path(image)

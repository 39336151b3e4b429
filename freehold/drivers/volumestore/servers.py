"""The servers of a pool: one for each reader, and one for each volume that several may attach."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from freehold.drivers.qemu import process
from freehold.drivers.volumestore.checks import export_description, export_name
from freehold.drivers.volumestore.daemon import Place, free_port
from freehold.drivers.volumestore.server import Server
from freehold.drivers.volumestore.server_command import server_name, server_of
from freehold.drivers.volumestore.volume_folder import VolumeFolder
from freehold.runtime.clock import Clock
from freehold.runtime.tasks import Tasks
from freehold.vocabulary.attachment import Export, Served
from freehold.vocabulary.errors import Unavailable


class Servers:
    """See the module. `name`: what their certificate is for."""

    def __init__(self, name: str, place: Place, clock: Clock) -> None:
        self._name, self._place, self._clock = name, place, clock
        self._tasks = Tasks("volume servers")
        self._servers: dict[str, Server] = {}
        self._users: Counter[str] = Counter()

    async def adopt(self) -> None:
        """Takes up what an earlier process left: daemons that run, and those that should."""
        running = process.find(self._place.servers, server_name)
        names = {path.name for path in self._place.servers.iterdir()} | running.keys()
        servers = [self._server(name) for name in sorted(names)]
        await asyncio.gather(*(server.adopt(running.get(server.name)) for server in servers))
        self._forget()

    def exports(self, volume: str) -> list[Export]:
        """Those of a volume."""
        return [export for _, export in self._all() if export.volume == volume]

    def of(self, volume: str) -> Server | None:
        """The server that has the volume open: there is at most one."""
        return next((server for server, export in self._all() if export.volume == volume), None)

    async def export(self, export: Export) -> None:
        """Has an export served. Raises as Server.add."""
        async with self._using(server_of(export)) as server:
            await server.add(export)

    async def withdraw(self, volume: str, number: int) -> None:
        """Has it served no more; when this returns, its reader is cut off."""
        for _, export in self._all():
            if (export.volume, export.number) == (volume, number):
                async with self._using(server_of(export)) as server:
                    await server.withdraw(export)
                return

    async def served(self, export: Export) -> Served:
        """Where and as what it is served. Raises Unavailable if it isn't just now."""
        async with self._using(server_of(export)) as server:
            await server.settle()
            return self._served(server, export)

    def _served(self, server: Server, export: Export) -> Served:
        if not server.serves(export):
            raise Unavailable(f"Volume {export.volume} can't be served just now. Its pool's log says why.")
        folder = VolumeFolder(self._place.volumes, export.volume)
        return Served(
            export=export,
            host=self._place.host,
            port=server.record.port,
            name=export_name(export.volume, export.number),
            description=export_description(export.volume, export.number),
            size_bytes=folder.size_bytes(folder.chain().top),
            server_name=self._name,
        )

    async def all_served(self) -> tuple[Served, ...]:
        """All that is served now, by volume and number."""
        for server in list(self._servers.values()):
            await server.settle()
        found = [(server, export) for server, export in self._all() if server.serves(export)]
        found.sort(key=lambda one: (one[1].volume, one[1].number))
        return tuple(self._served(server, export) for server, export in found)

    async def close(self) -> None:
        """Lets go of the daemons, which serve on."""
        for server in self._servers.values():
            server.leave()
        await self._tasks.close()
        for server in self._servers.values():
            await server.release()

    @asynccontextmanager
    async def _using(self, name: str) -> AsyncIterator[Server]:
        """A server, which isn't forgotten meanwhile."""
        self._users[name] += 1
        try:
            yield self._server(name)
        finally:
            self._users[name] -= 1
            self._forget()

    def _server(self, name: str) -> Server:
        if name not in self._servers:
            self._servers[name] = Server(name, self._place, self._clock, self._tasks, self._free_port)
        return self._servers[name]

    def _all(self) -> Iterator[tuple[Server, Export]]:
        for server in list(self._servers.values()):
            for export in server.record.exports:
                yield server, export

    def _forget(self) -> None:
        """Drops the servers that serve nothing."""
        for name, server in list(self._servers.items()):
            if not server.record.exports and not server.runs and not self._users[name]:
                del self._servers[name]

    def _free_port(self) -> int:
        taken = {server.record.port for server in self._servers.values()}
        return free_port(self._place.host, (port for port in self._place.ports if port not in taken))

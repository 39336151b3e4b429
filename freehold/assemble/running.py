"""A process: on the bus, with the stores and backups of its roles, which are opened in the order of the settings."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Any, Final, Protocol

from freehold.config import Settings, bus_servers
from freehold.drivers.backup.pick import owners_backups
from freehold.drivers.busserver.nats_server import NatsServer
from freehold.joining import BROKER_FOLDER, Joining
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import Clock, HybridClock, SystemClock
from freehold.runtime.tasks import Tasks, ThreadOffload
from freehold.store.database import Store
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import Shards
from freehold.workers.backup import Backup
from freehold.workers.base import Means

OFFLOAD_THREADS: Final = 8
BYTES_THREADS: Final = 2
"""For hashing and writing images, and as many for backups, so that commits never wait behind them."""


class RoleFailed(Broken):
    """A role of this process has ended by itself."""


class Role(Protocol):
    """What runs until it is closed; `tasks` break when it can't go on."""

    tasks: Tasks

    async def open(self) -> None:
        """Starts it."""

    async def close(self) -> None:
        """Ends it."""


class Running:
    """Roles that run in this process. `say` is told, line by line, how far the start has come; `stack` closes, in
    reverse order, what was opened.
    """

    means: Means
    joining: Joining
    bytes_offload: ThreadOffload
    """For work on many bytes."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.settings, self.say = settings, say
        self.stack = AsyncExitStack()
        self._roles: list[Role] = []
        self.url = ""
        """Where the API answers, once it does; empty where there is none in this process."""
        self.new_password: Secret | None = None
        """The admin's password, on a registrar's first start."""

    async def open(self) -> None:
        """Starts everything. Raises FreeholdError with a sentence for the operator."""
        settings = self.settings
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        offload, self.bytes_offload = ThreadOffload(OFFLOAD_THREADS), ThreadOffload(BYTES_THREADS, "bytes")
        self.stack.callback(offload.close)
        self.stack.callback(self.bytes_offload.close)
        clock, chance = HybridClock(SystemClock()), SystemChance()
        self.joining = Joining(settings, clock, chance, offload, self.stack)
        await self._open_backups(clock.clock)
        bus = await self.joining.bus(NatsServer(settings.state / BROKER_FOLDER), self.say)
        shards, gathers = Shards(settings.registrar_shards), bool(bus_servers(settings.bus))
        self.means = Means(bus, clock, chance, offload, shards, self.joining.centre, gathers)
        if self.joining.membership is not None:
            await self.start(self.joining.membership)
        for role in settings.roles:
            await opener(role)(self)

    async def _open_backups(self, clock: Clock) -> None:
        offload = ThreadOffload(BYTES_THREADS, "backup")  # its own: nothing else waits behind a place that hangs
        self.stack.callback(offload.close)
        self._backups = await offload(lambda: owners_backups(self.settings, clock, offload, self.say))
        if self._backups is not None:
            self.stack.push_async_callback(self._backups.close)

    async def broken(self) -> None:
        """Waits until a role fails. Raises RoleFailed then: everything is started anew from what is on disk."""
        tasks = [asyncio.create_task(role.tasks.broken()) for role in self._roles]
        try:
            await asyncio.wait(
                tasks or [asyncio.create_task(asyncio.Event().wait())], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in tasks:
                task.cancel()
        raise RoleFailed("a role has failed; its log line says why. Start it again: it goes on from what is on disk")

    async def close(self) -> None:
        """Stops in reverse order. Guests run on."""
        await self.stack.aclose()

    # --- for the roles -----------------------------------------------------------------------------------------------

    async def start(self, role: Role) -> None:
        """Opens a role; it is watched, and closed at the end."""
        await role.open()
        self._roles.append(role)
        self.stack.push_async_callback(role.close)

    async def store(self, name: str, role: str, shard: int = 0, cluster: str = "") -> Store:
        """A role's store in this process's state, backed up if the settings say where."""
        store = await opened(self.settings, name, role, self.means, shard, cluster)
        self.stack.push_async_callback(store.close)
        await self.back_up(store, name)
        return store

    async def back_up(self, store: Store, name: str) -> None:
        """Writes the store's backup from now on, if the settings say where."""
        if self._backups is None:
            return
        keep_s = self.settings.backup_keep_days * 86_400
        backup = Backup(self.means, store, self._backups, name, keep_s)
        await backup.open()
        self.stack.push_async_callback(backup.close)


def opener(role: str) -> Callable[[Running], Awaitable[None]]:
    """What opens a role in a process: `open_role` of the file that has its name."""
    found: Any = import_module(f"{__package__}.{role}")
    open_role: Callable[[Running], Awaitable[None]] = found.open_role
    return open_role


async def opened(settings: Settings, name: str, role: str, means: Means, shard: int = 0, cluster: str = "") -> Store:
    """A store in a state."""
    return await Store.open(
        settings.state / name,
        role=role,
        cluster=cluster or settings.cluster,
        clock=means.clock,
        chance=means.chance,
        offload=means.offload,
        shard=shard,
    )


def numbered(name: str, number: int) -> str:
    """The name of one of several: the first has no number."""
    return f"{name}-{number}" if number else name

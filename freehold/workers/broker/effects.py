"""What the broker does to its server. All may be repeated."""

from dataclasses import replace
from typing import Protocol

from freehold.bus import tickets
from freehold.drivers.busserver.interface import BusServer, Files
from freehold.vocabulary.machine import Roll
from freehold.vocabulary.secret import Secret
from freehold.workers.broker import lifecycle
from freehold.workers.broker.lifecycle import Keys, Place


class RollKept(Protocol):
    """Where the roll is kept that the server begins with."""

    def keep_roll(self, roll: Roll) -> None:
        """Keeps it."""


class Served:
    """A server, and what it is to be told. It runs before there is a bus. `route`: see Keys."""

    def __init__(self, server: BusServer, place: Place, roll: Roll, route: Secret) -> None:
        self._server, self._place = server, place
        self._keys = Keys(roll, route, Secret(""), tickets.TICKET_BYTES_MAX)
        self._told: Files = {}

    @property
    def roll(self) -> Roll:
        """What it checks tickets with."""
        return self._keys.roll

    def identify(self, ticket: str, key: Secret) -> None:
        """It is known to the hub by this ticket and private key from the next `start` or `tell` on."""
        credentials = tickets.credentials(ticket, bytes.fromhex(key.reveal()))
        self._keys = replace(self._keys, credentials=credentials)

    def hold(self, roll: Roll) -> None:
        """It checks tickets with this from the next `tell` on."""
        self._keys = replace(self._keys, roll=roll)

    async def start(self) -> None:
        """Runs it. Raises Unavailable or Broken with a sentence for the operator."""
        files = lifecycle.files(self._place, self._keys, self._server.folder)
        await self._server.start(files)
        self._told = files

    async def tell(self) -> None:
        """Has it go on with what it is to be told, if that is new. Raises Broken."""
        files = lifecycle.files(self._place, self._keys, self._server.folder)
        if files != self._told:
            await self._server.change(files)
            self._told = files

    async def ended(self) -> str:
        """Waits until it has ended by itself; its last words."""
        return await self._server.ended()

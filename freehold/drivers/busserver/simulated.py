"""A server that does nothing but stand where it was put: for tests."""

import asyncio

from freehold.drivers.busserver.interface import CONFIGURATION, Files
from freehold.vocabulary.errors import Broken


class SimulatedBusServer:
    """See BusServer. A configuration with the word ``nonsense`` isn't taken."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.starts = 0
        self.changes = 0
        self.runs = False
        self._end = asyncio.Event()

    @property
    def folder(self) -> str:
        """See BusServer."""
        return "/simulated"

    async def start(self, files: Files) -> None:
        """See BusServer."""
        self._take(files)
        self.starts += 1
        self.runs = True
        self._end = asyncio.Event()

    async def change(self, files: Files) -> None:
        """See BusServer."""
        if not self.runs:
            raise Broken("the server has ended")
        self._take(files)
        self.changes += 1

    def _take(self, files: Files) -> None:
        if "nonsense" in files[CONFIGURATION].reveal():
            raise Broken("the server says: nonsense")
        self.files = {name: secret.reveal() for name, secret in files.items()}

    def fall(self) -> None:
        """It ends by itself."""
        self.runs = False
        self._end.set()

    async def ended(self) -> str:
        """See BusServer."""
        await self._end.wait()
        return "it fell"

    async def close(self) -> None:
        """See BusServer."""
        self.runs = False

"""The monitor of one guest, and what it says of the guest's power."""

from freehold.drivers.hypervisor.guest_folder import GuestFolder
from freehold.drivers.qemu import monitor
from freehold.vocabulary.guest import Power

_CHANGES = ("SHUTDOWN", "STOP", "RESUME", "GUEST_PANICKED")

_POWERS = {
    "shutdown": Power.OFF,
    "guest-panicked": Power.CRASHED,
    "internal-error": Power.CRASHED,
    "running": Power.RUNNING,
    "debug": Power.PAUSED,
    "inmigrate": Power.PAUSED,
    "postmigrate": Power.PAUSED,
    "finish-migrate": Power.RUNNING,
    "restore-vm": Power.PAUSED,
    "save-vm": Power.RUNNING,
    "watchdog": Power.PAUSED,
    "io-error": Power.PAUSED,
    "paused": Power.PAUSED,
    "prelaunch": Power.PAUSED,
    "suspended": Power.RUNNING,
    "colo": Power.RUNNING,
}
"""QEMU's run states. A guest that sleeps (suspended) is on: it wakes by itself."""


class Monitor(monitor.Monitor):
    """See the module."""

    def __init__(self, folder: GuestFolder) -> None:
        super().__init__(folder.path, f"Guest {folder.guest}", _CHANGES)

    async def power(self) -> tuple[Power, str]:
        """The guest's power, and QEMU's own word for it."""
        status: str = (await self.command("query-status"))["status"]
        return _POWERS.get(status, Power.PAUSED), status

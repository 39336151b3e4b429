"""A reader of simulated pools: no files, no servers."""

from collections import defaultdict, deque

from freehold.drivers.volumestore import checks
from freehold.vocabulary.attachment import Opened, RemoteDisk
from freehold.vocabulary.errors import Conflict, Forbidden, FreeholdError

CREDENTIALS = "/simulated"


class SimulatedVolumeReader:
    """See VolumeReader. `host`: whose machine this is."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._failures: defaultdict[str, deque[FreeholdError]] = defaultdict(deque)

    async def key(self) -> bytes:
        """See VolumeReader."""
        return self._host.encode().ljust(checks.KEY_BYTES, b"\0")[: checks.KEY_BYTES]

    async def accept(self, attachment: str, store: str, opened: Opened) -> RemoteDisk:
        """See VolumeReader."""
        if self._failures["accept"]:
            raise self._failures["accept"].popleft()
        served = opened.served
        if served.export.reader != self._host or opened.certificate.reader != self._host:
            raise Forbidden("The server doesn't let this reader in.")
        if served.name != checks.export_name(served.export.volume, served.export.number):
            raise Conflict(f"The export isn't the one that was promised: {served.name!r}.")
        return opened.disk(attachment, CREDENTIALS)

    async def close(self) -> None:
        """See VolumeReader."""

    def fail(self, error: FreeholdError) -> None:
        """The next call of `accept` raises `error`; told several times, as many calls do."""
        self._failures["accept"].append(error)

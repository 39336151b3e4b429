"""The directory."""

from freehold.assemble.running import Running
from freehold.vocabulary.errors import BadRequest
from freehold.workers.directory.worker import DirectoryWorker


async def open_role(process: Running) -> None:
    """Opens it. Raises BadRequest where the bus is local."""
    if process.joining.directory is None:
        raise BadRequest("a cloud whose bus is local needs no directory: nobody else can speak on it")
    store, authority = process.joining.directory
    await process.back_up(store, "directory.db")
    await process.start(DirectoryWorker(process.means, store, authority))

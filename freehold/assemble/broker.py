"""A broker: who watches over the server of the bus that this process runs."""

from freehold.assemble.running import Running


async def open_role(process: Running) -> None:
    """Opens it; the server runs since the process is on the bus."""
    await process.start(process.joining.broker(process.means))

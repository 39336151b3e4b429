"""API processes' worth of HTTP: each with a view and a port of its own."""

from starlette.types import ASGIApp

from freehold.api.admission import Admission, limits_of
from freehold.api.cloud import Cloud
from freehold.api.listen import Listener
from freehold.api.metrics import metrics
from freehold.api.server import application
from freehold.assemble.running import Running, numbered
from freehold.config import bus_servers, clusters
from freehold.runtime.machine import boot_id
from freehold.views.cloud import CloudView


async def open_role(process: Running) -> None:
    """Opens as many as the settings say; the first one's URL is the process's."""
    first = process.settings.port
    for number in range(process.settings.apis):
        url = await _open(process, number, first + number if first else 0)
        if number == 0:
            process.url = url
        else:
            process.say(f"api: also at {url}")


async def _open(process: Running, number: int, wanted_port: int) -> str:
    """Gives the URL that it answers at."""
    means, settings = process.means, process.settings
    view = CloudView(means.bus, means.clock, settings.state / numbered("view", number), boot_id())
    process.stack.push_async_callback(view.close)
    await view.open(audited=True)

    def url(port: int) -> str:
        return settings.public_url or f"http://{settings.listen}:{port}"

    def app(port: int) -> ASGIApp:
        where = (url(port), settings.region, settings.default_zone or clusters(settings)[0])
        rest = (means.shards, settings.unknown_after_s, limits_of(settings))
        enrolls = bool(bus_servers(settings.bus))
        cloud = Cloud(means.bus, view, means.clock, means.chance, *where, *rest, enrolls=enrolls, beyond=means.beyond)
        server = application(cloud)
        lanes.update(server.lanes)
        return server

    lanes: dict[str, Admission] = {}
    listener = Listener(app, settings.listen, wanted_port)
    port = await listener.open()
    process.stack.push_async_callback(listener.close)
    process.stack.callback(view.news.end)  # before the listener closes: who waits is answered
    if settings.metrics_listen:
        await _open_metrics(process, number, metrics(view, lanes))
    return url(port)


async def _open_metrics(process: Running, number: int, app: ASGIApp) -> None:
    address, _, first = process.settings.metrics_listen.rpartition(":")
    wanted_port = int(first) + number if int(first) else 0
    listener = Listener(lambda _port: app, address.strip("[]"), wanted_port, setting="metrics_listen")
    port = await listener.open()
    process.stack.push_async_callback(listener.close)
    process.say(f"metrics: http://{address}:{port}/metrics")

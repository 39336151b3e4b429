"""OpenStack Swift on one disk with one replica: its four servers in one process, as in Swift's own functional tests.

Run by the Python that has Swift, .venv/swift: swift_node.py FOLDER PORT KEY. SIGHUP: it forgets the tokens it gave out.
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore", DeprecationWarning)

import eventlet  # noqa: E402

eventlet.patcher.monkey_patch(all=False, socket=True, select=True, thread=True)

import signal  # noqa: E402

from eventlet import wsgi  # noqa: E402

App = Callable[[dict[str, Any], Any], Any]

STORES = ("account", "container", "object")
FILTERS = "catch_errors gatekeeper cache listing_formats s3api tempauth copy container_quotas slo dlo"
SETTINGS = {
    "cache": "paste.filter_factory = __main__:cache",
    "s3api": "s3_acl = no\nlocation = us-east-1",
    "tempauth": "user_freehold_images = {key} .admin",
}


class Cache:
    """What memcached is to a proxy, for one proxy."""

    def __init__(self) -> None:
        self.kept: dict[str, object] = {}

    def get(self, key: str, raise_on_error: bool = False) -> object:
        return self.kept.get(key)

    def set(self, key: str, value: object, **_: object) -> None:
        self.kept[key] = value

    def delete(self, key: str, **_: object) -> None:
        self.kept.pop(key, None)


TOKENS = Cache()


def cache(_: object, **__: object) -> Callable[[App], App]:
    """The filter that brings it."""

    def made(app: App) -> App:
        def asked(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = TOKENS
            return app(environ, start_response)

        return asked

    return made


def proxy_settings(folder: Path, key: str) -> str:
    """The proxy's configuration: Swift's own filters, of which s3api makes it S3 too."""
    parts = [f"[DEFAULT]\nswift_dir = {folder}\n[pipeline:main]\npipeline = {FILTERS} proxy-server"]
    parts.append("[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true")
    for name in FILTERS.split():
        own = SETTINGS.get(name, "").format(key=key)
        parts.append(f"[filter:{name}]\n" + (own if own.startswith("paste") else f"use = egg:swift#{name}\n{own}"))
    return "\n".join(parts)


def serve(folder: Path, port: int, key: str) -> None:
    """Serves until it is killed."""
    (folder / "disk").mkdir(exist_ok=True)
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\nswift_hash_path_prefix = tests\n")
    from swift.common import utils

    utils.SWIFT_CONF_FILE = utils.config.SWIFT_CONF_FILE = str(folder / "swift.conf")
    from swift.common.ring import RingBuilder
    from swift.common.wsgi import loadapp

    for store in STORES:
        listening = eventlet.listen(("127.0.0.1", 0))
        where = {"ip": "127.0.0.1", "port": listening.getsockname()[1]}
        ring = RingBuilder(1, 1, 1)
        ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "device": "disk", "meta": ""} | where)
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{store}.ring.gz"))
        (folder / f"{store}.conf").write_text(
            f"[DEFAULT]\ndevices = {folder}\nmount_check = false\nswift_dir = {folder}\n"
            f"[pipeline:main]\npipeline = {store}-server\n[app:{store}-server]\nuse = egg:swift#{store}\n"
        )
        eventlet.spawn_n(wsgi.server, listening, loadapp(str(folder / f"{store}.conf")), log_output=False)
    (folder / "proxy.conf").write_text(proxy_settings(folder, key))
    signal.signal(signal.SIGHUP, lambda *_: TOKENS.kept.clear())
    wsgi.server(eventlet.listen(("127.0.0.1", port)), loadapp(str(folder / "proxy.conf")), log_output=False)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

"""What holds for every test: which need a real machine, and how long they may take."""

import os
import shutil
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.swift_server import SwiftServer

LIVE_TIMEOUT_S = 600

# A shared machine may stop for a second at any moment: a test's own bounds say what is too slow.
settings.register_profile("freehold", deadline=None)
settings.load_profile("freehold")

# A traceback with every local variable in it takes seconds to be drawn, and what a test kills may log many.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.dev.set_exc_info,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def why_not_live() -> str | None:
    """What this machine lacks for booting guests and wiring their network, or None if nothing."""
    if os.geteuid() != 0:
        return "not root"
    needed = ("qemu-system-x86_64", "qemu-img", "qemu-storage-daemon", "nft", "dnsmasq")
    missing = [program for program in needed if not shutil.which(program)]
    return f"not installed: {', '.join(missing)}" if missing else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what stands in tests/live as live, skips live tests where they can't run, and gives them time."""
    lacking = why_not_live()
    for item in items:
        if "live" in item.path.relative_to(item.config.rootpath).parts[:-1]:
            item.add_marker("live")
        if item.get_closest_marker("live") is None:
            continue
        if lacking:
            item.add_marker(pytest.mark.skip(reason=f"live tests can't run here: {lacking}"))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIVE_TIMEOUT_S))


@pytest.fixture(scope="session")
def swift() -> Iterator[SwiftServer]:
    """Swift, started at its first use."""
    server = SwiftServer()
    yield server
    server.close()

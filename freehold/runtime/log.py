"""Structured logs: one line an event, key=value, to standard error."""

import logging
import sys
from typing import Any

import structlog


def configure(*, level: str = "info", json: bool = False) -> None:
    """Sets logs up for the process. `level`: debug, info, warning, error. `json`: a JSON object a line."""
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # qemu.qmp reports every guest that exits as an error of its own; the driver sees the disconnect anyway.
    logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


def logger(room: str) -> structlog.stdlib.BoundLogger:
    """The logger of a room, for example ``host``."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(room=room)
    return bound

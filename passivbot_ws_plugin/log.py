"""The plugin's log: structlog over the stdlib's loggers, in a pipeline of its own.

Records reach whatever handlers the host has; nothing global is configured.
"""

from __future__ import annotations

import logging
from typing import Final, cast

import structlog

_PROCESSORS: Final[list[structlog.typing.Processor]] = [
    structlog.stdlib.filter_by_level,
    structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True, repr_native_str=False),
]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that writes ``event=server.listening address=...`` to the stdlib logger of that name."""
    logger = structlog.wrap_logger(
        logging.getLogger(name), processors=_PROCESSORS, wrapper_class=structlog.stdlib.BoundLogger
    )
    return cast("structlog.stdlib.BoundLogger", logger)

"""The plugin's log: structlog over the stdlib's loggers, in a pipeline of its own.

Records reach whatever handlers the host has; nothing global is configured.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, Final, cast

import structlog

_render: Final = structlog.processors.LogfmtRenderer(key_order=["event"], drop_missing=True)


def _for_stdlib(
    logger: Any, method: str, event_dict: MutableMapping[str, Any]
) -> tuple[tuple[str], dict[str, Any]]:
    """The keys as text, and the exception as the stdlib wants it: its handlers write the traceback."""
    exc_info = event_dict.pop("exc_info", None)
    text = _render(logger, method, event_dict)
    return (text,), {"exc_info": exc_info}


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that writes ``event=server.listening address=...`` to the stdlib logger of that name.

    That is logfmt: a value with blanks stands in quotes.
    """
    logger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, _for_stdlib],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return cast("structlog.stdlib.BoundLogger", logger)

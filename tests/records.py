"""The audit records that a server writes, as its owner's log gets them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from passivbot_ws_plugin.audit import LOGGER_NAME


class AuditLog(logging.Handler):
    """The audit records, to be waited for: the server may write one after the client knows the outcome.

    Attributes:
        lines: What was logged so far, as it was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._records: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        self.lines.append(line)
        self._records.put_nowait(json.loads(line))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return await self._records.get()


@contextmanager
def recording() -> Iterator[AuditLog]:
    handler = AuditLog()
    logger = logging.getLogger(LOGGER_NAME)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False  # pytest's own capture would print a flood's records one by one
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate

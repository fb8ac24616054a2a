"""What asyncio finds wrong by itself, in lines that an owner can read."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable
from typing import Any, Final

from passivbot_ws_plugin.log import get_logger

#: Out of descriptors, asyncio says so for each connection that waits, and again each second.
_SAID_EVERY_S: Final = 10.0

#: What the system may be short of: descriptors, its own or the process's, and memory.
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = get_logger(__name__)


class LoopErrors:
    """An exception handler for an event loop: `asyncio.loop.set_exception_handler`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at = float("-inf")

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log it: a shortage of the system's in one line, a bug with its traceback."""
        exc, message = context.get("exception"), context.get("message")
        if isinstance(exc, OSError) and exc.errno in _SHORTAGES:
            if self._clock() - self._said_at >= _SAID_EVERY_S:
                self._said_at = self._clock()
                _log.error("loop.short_of", message=message, reason=exc.strerror)
        elif isinstance(exc, OSError) and "transport" in context:
            # The network's end of a connection. asyncio keeps it to itself; uvloop tells of some of them.
            _log.debug("loop.connection_lost", reason=exc.strerror)
        elif isinstance(exc, ValueError) and "_start_serving" in repr(context.get("handle")):
            # Out of descriptors, asyncio stops accepting for a second; a server that was stopped
            # within it has no socket to go on with.
            _log.debug("loop.stopped_while_short")
        else:
            _log.error("loop.failed", message=message, exc_info=exc)

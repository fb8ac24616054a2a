"""Which event loop the server runs on."""

from __future__ import annotations

import asyncio
import os
from typing import Final

#: The environment's variable: set to ``asyncio``, uvloop is not used though it is installed.
VARIABLE: Final = "PASSIVBOT_WS_EVENT_LOOP"


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, where that is installed (``passivbot-ws-plugin[speed]``), else the standard library's."""
    if os.environ.get(VARIABLE) == "asyncio":
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop

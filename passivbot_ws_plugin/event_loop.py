"""Which event loop the server runs on."""

from __future__ import annotations

import asyncio
import os

#: Set to ``asyncio``, the standard library's loop is used though uvloop is installed.
VARIABLE = "PASSIVBOT_WS_EVENT_LOOP"


def new_event_loop() -> asyncio.AbstractEventLoop:
    """One of uvloop, where that is installed (``passivbot-ws-plugin[speed]``), else the standard one."""
    if os.environ.get(VARIABLE) == "asyncio":
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop

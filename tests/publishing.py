"""What a bot would have a server publish, put there by a test."""

from __future__ import annotations

import json
from typing import Any

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import event_data, statistics_data
from passivbot_ws_plugin.server.server import Server


def put_statistics(server: Server, cache: Cache, bot: str = "main", **changes: Any) -> None:
    assert cache.put_statistics(bot, statistics_data(make_statistics(**changes)))
    server.publish("statistics", bot)


def put_event(server: Server, cache: Cache, seq: int, bot: str = "main", **details: Any) -> None:
    assert cache.put_event(bot, seq, event_data(make_event(details={"number": seq, **details})))
    server.publish("events", bot)


def latest(cache: Cache, bot: str = "main") -> dict[str, Any]:
    """The data of a bot's latest ``statistics``."""
    data: dict[str, Any] = json.loads(cache.bots[bot].statistics.snapshot.payload)["data"]
    return data

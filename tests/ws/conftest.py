"""What more than one file of these tests begins with."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from servers import PASSWORD

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin import WebSocketPlugin
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data


@pytest.fixture
def cache() -> Cache:
    cache = Cache()
    cache.put_config("main", {"live": {"user": "main", "websocket_password": PASSWORD}})
    cache.put_statistics("main", statistics_data(make_statistics()))
    return cache


@pytest.fixture
def plugin(caplog: pytest.LogCaptureFixture) -> Iterator[WebSocketPlugin]:
    """One whose every line is heard."""
    caplog.set_level(logging.DEBUG, "passivbot_ws_plugin")
    plugin = WebSocketPlugin()
    yield plugin
    plugin.on_shutdown()

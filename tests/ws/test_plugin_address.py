"""Where the plugin listens: ports that change or are taken, addresses that cannot be had."""

from __future__ import annotations

import logging
import os
import socket
import time

import pytest
from clients import close_code, connect, log_in, receive
from servers import free_port, loaded_config, wait_until

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin import WebSocketPlugin
from passivbot_ws_plugin.server import serving as serving_module


def test_a_changed_port_moves_the_server(plugin: WebSocketPlugin) -> None:
    first, second = free_port(), free_port()
    plugin.on_config_loaded("main", loaded_config(port=first))
    assert plugin.wait_listening(10) == f"ws://127.0.0.1:{first}"
    with log_in(f"ws://127.0.0.1:{first}") as client:
        receive(client)
        plugin.on_config_loaded("main", loaded_config(port=second))
        assert close_code(client) == 1012
    assert plugin.wait_listening(10) == f"ws://127.0.0.1:{second}"
    with log_in(f"ws://127.0.0.1:{second}"):
        pass
    with pytest.raises(ConnectionRefusedError), connect(f"ws://127.0.0.1:{first}"):
        pass


def test_a_taken_port_is_one_error_and_is_retried_until_it_is_free(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(serving_module, "RETRY_MAX_S", 0.05)
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        plugin.on_config_loaded("main", loaded_config(port=port))
        plugin.on_stats_updated("main", make_statistics())
        wait_until(lambda: caplog.text.count("server.cannot_listen") > 3, plugin)
        lines = [record for record in caplog.records if "server.cannot_listen" in record.getMessage()]
        assert [record.levelno for record in lines].count(logging.ERROR) == 1
        assert "monitor-relay" in lines[0].getMessage()
    assert plugin.wait_listening(10) == f"ws://127.0.0.1:{port}"
    with log_in(f"ws://127.0.0.1:{port}") as client:
        assert receive(client)["seq"] == 1
        plugin.on_stats_updated("main", make_statistics(balance=2.0))
        assert receive(client)["seq"] == 2
    plugin.on_shutdown()
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert '"event":"auth.success"' in caplog.text
    assert "Traceback" not in caplog.text


def test_another_port_ends_the_wait_for_a_taken_one(
    plugin: WebSocketPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "RETRY_FIRST_S", 60.0)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        plugin.on_config_loaded("main", loaded_config(port=holder.getsockname()[1]))
        assert plugin.wait_listening(0.2) is None
        plugin.on_config_loaded("main", loaded_config())
        assert plugin.wait_listening(10) is not None


def test_another_port_is_tried_as_often_as_the_first_one_was(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "RETRY_FIRST_S", 0.01)
    with socket.socket() as first, socket.socket() as second:
        for holder in (first, second):
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            plugin.on_config_loaded("main", loaded_config(port=port))
            pauses: list[str] = []
            deadline = time.monotonic() + 10
            while len(pauses) < 4:
                assert time.monotonic() < deadline
                plugin.wait_listening(0.01)
                lines = [
                    line for line in caplog.messages if "server.cannot_listen" in line and f":{port} " in line
                ]
                pauses = [line.rpartition("next_try_s=")[2] for line in lines]
            assert pauses[:4] == ["0.01", "0.02", "0.04", "0.08"]


@pytest.mark.parametrize(
    ("host", "said"),
    [("203.0.113.7", "no address of this machine"), ("nowhere.invalid", "cannot be resolved")],
)
def test_an_address_that_cannot_be_bound_says_what_would_be_right(
    host: str, said: str, plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    settings = loaded_config(allow_plaintext=True)
    settings["live"]["websocket_host"] = host
    plugin.on_config_loaded("main", settings)
    wait_until(lambda: said in caplog.text, plugin)

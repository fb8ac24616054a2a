"""The plugin as the host sees it: four hooks, a thread of its own, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import close_code, connect, log_in, receive, receive_statistics
from servers import PASSWORD, auth_message, free_port, make_config
from servers import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin import WebSocketPlugin
from passivbot_ws_plugin import serving as serving_module
from passivbot_ws_plugin.cache import Cache


def config(*, port: int = 0, password: str | None = PASSWORD, **options: Any) -> dict[str, Any]:
    document = make_config({"websocket": options}, websocket_port=port, websocket_password=password)
    return {**document, "_raw": {"live": {"websocket_password": "raw"}}}


@pytest.fixture
def plugin() -> Iterator[WebSocketPlugin]:
    plugin = WebSocketPlugin()
    yield plugin
    plugin.on_shutdown()


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "passivbot_ws_plugin")


def wait_until(condition: Callable[[], object], plugin: WebSocketPlugin) -> None:
    """Wait for something of a plugin whose server does not listen."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        assert plugin.wait_listening(0.01) is None


def test_hooks_to_client(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", config())
    plugin.on_stats_updated("main", make_statistics())
    with log_in(plugin.wait_listening(10)) as client:
        message = receive_statistics(client)
        assert (message["bot"], message["seq"], message["data"]["balance"]) == ("main", 1, 10_000.5)
        plugin.on_stats_updated("main", make_statistics(timestamp=1))
        plugin.on_stats_updated("main", make_statistics(balance=2.0))
        assert receive(client)["data"]["balance"] == 2.0
        client.send('{"type":"get_config"}')
        assert receive(client)["data"] == {key: value for key, value in config().items() if key != "_raw"}


def test_events_and_changes_of_the_config_reach_who_subscribed(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", config())
    plugin.on_stats_updated("main", make_statistics())
    with log_in(plugin.wait_listening(10)) as client:
        receive_statistics(client)
        for channel in ("events", "config"):
            client.send(json.dumps({"type": "subscribe", "channel": channel}))
            assert receive(client)["channel"] == channel
        assert receive(client)["paths"] is None
        plugin.on_event("main", make_event(seq=1, kind="fill", details={"qty": 0.02, "price": float("nan")}))
        event = receive(client)
        assert (event["type"], event["seq"], event["data"]["kind"]) == ("event", 1, "fill")
        assert event["data"]["details"] == {"qty": 0.02, "price": None}
        plugin.on_config_loaded("main", {**config(), "added": 1})
        assert receive(client)["values"] == {"/added": 1}


def test_what_happened_is_told_before_the_statistics_that_show_what_came_of_it(
    plugin: WebSocketPlugin,
) -> None:
    plugin.on_config_loaded("main", config())
    with log_in(plugin.wait_listening(10)) as client:
        receive(client)
        client.send('{"type":"subscribe","channel":"events"}')
        assert receive(client)["type"] == "subscribed"
        assert plugin._worker is not None
        entered, release = threading.Event(), threading.Event()

        def stall() -> None:
            entered.set()
            release.wait(10)

        plugin._worker._ready.result(0).call_soon_threadsafe(stall)
        assert entered.wait(10)
        plugin.on_stats_updated("main", make_statistics())
        plugin.on_event("main", make_event(seq=1))
        release.set()
        assert [receive(client)["type"] for _ in range(2)] == ["event", "statistics"]


def test_a_bug_with_one_snapshot_ends_nothing(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin.on_config_loaded("main", config())
    with log_in(plugin.wait_listening(10)) as client:
        assert receive(client)["code"] == "unavailable"
        is_called = threading.Event()

        def fail(*_: object) -> bool:
            is_called.set()
            raise ZeroDivisionError

        with monkeypatch.context() as broken:
            broken.setattr(Cache, "put_statistics", fail)
            plugin.on_stats_updated("main", make_statistics())
            assert is_called.wait(10)
        plugin.on_stats_updated("main", make_statistics(balance=3.0))
        assert receive_statistics(client)["data"]["balance"] == 3.0
    assert caplog.text.count("worker.failed what=statistics bot=main") == 1


def worker_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "websocket-worker"]


def test_importing_or_making_it_starts_nothing() -> None:
    before = threading.active_count()
    WebSocketPlugin().on_shutdown()
    assert threading.active_count() == before


def test_shutdown_ends_the_thread_and_it_can_start_again(plugin: WebSocketPlugin) -> None:
    for _ in range(2):
        plugin.on_config_loaded("main", config())
        assert plugin.wait_listening(10)
        plugin.on_shutdown()
        assert not worker_threads()
        assert plugin.wait_listening(0) is None


@pytest.mark.parametrize("password", [None, ""])
def test_without_a_password_the_server_stays_off_with_one_line(
    password: str | None, plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    plugin.on_config_loaded("main", config(password=password))
    plugin.on_stats_updated("main", make_statistics())
    assert plugin.wait_listening(0.2) is None
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "live.websocket_password" in line


def follow_config(client: ClientConnection) -> None:
    client.send('{"type":"subscribe","channel":"config"}')
    assert receive(client)["type"] == "subscribed"
    assert receive(client)["type"] == "config_changed"


def test_a_wrong_setting_is_one_error_and_the_last_good_ones_stay(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    plugin.on_config_loaded("main", config())
    address = plugin.wait_listening(10)
    with log_in(address) as client:
        receive(client)
        follow_config(client)
        plugin.on_config_loaded("main", config(port=99_999, password="a new password, unused"))
        assert "settings.refused" in caplog.text
        assert "live.websocket_port" in caplog.text
        assert receive(client)["type"] == "config_changed"
        client.send('{"type":"ping"}')
        assert receive(client)["type"] == "pong"
        client.send('{"type":"get_config"}')
        assert receive(client)["data"]["live"]["websocket_password"] == "********"
        plugin.on_config_loaded("main", config())
        assert receive(client)["type"] == "config_changed"
        client.send('{"type":"get_config"}')
        assert receive(client)["data"]["live"]["websocket_password"] == PASSWORD


def test_settings_that_are_mended_are_said_to_be_in_force(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    for port in (99_999, 0, 0):
        plugin.on_config_loaded("main", config(port=port))
    lines = [record.getMessage() for record in caplog.records if "event=settings." in record.getMessage()]
    assert [line.split()[0] for line in lines] == ["event=settings.refused", "event=settings.in_force"]


def test_a_changed_password_takes_effect_without_a_restart(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", config())
    address = plugin.wait_listening(10)
    with log_in(address) as client:
        receive(client)
        plugin.on_config_loaded("main", config(password="another password, also long"))
        assert close_code(client) == 4403
    with log_in(address, "another password, also long"):
        pass


PHONE = {"phone": {"password": "a password of the phone", "scopes": ["statistics", "config"]}}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"], ids=["stays", "moves"])
def test_who_is_revoked_is_not_told_the_config_that_revokes_it(plugin: WebSocketPlugin, host: str) -> None:
    plugin.on_config_loaded("main", config(keys=PHONE))
    with connect(str(plugin.wait_listening(10))) as client:
        client.send(auth_message(PHONE["phone"]["password"], "phone"))  # type: ignore[arg-type]
        assert receive(client)["success"]
        assert receive(client)["code"] == "unavailable"
        follow_config(client)
        changed = config()
        changed["live"]["websocket_host"] = host
        plugin.on_config_loaded("main", changed)
        assert close_code(client) == 4403


NEW_SECRET = "a secret that is not for those before it"

#: What a config becomes, with a new secret in it, when nobody who is in may see that.
SECRETIVE = {
    "another password": {"password": NEW_SECRET},
    "another password and place": {"password": NEW_SECRET, "host": "127.0.0.2"},
    "another policy": {"config_secrets": "mask"},
    "a setting that is refused": {"password": NEW_SECRET, "port": 99_999},
    "no password": {"password": None},
}


@pytest.mark.parametrize("change", SECRETIVE.values(), ids=SECRETIVE.keys())
def test_a_new_secret_is_judged_by_the_settings_that_come_with_it(
    plugin: WebSocketPlugin, change: dict[str, Any]
) -> None:
    plugin.on_config_loaded("main", config())
    with log_in(plugin.wait_listening(10)) as client:
        assert receive(client)["code"] == "unavailable"
        follow_config(client)
        host = change.get("host", "127.0.0.1")
        changed = config(**{name: value for name, value in change.items() if name != "host"})
        changed["live"] |= {"api_key": NEW_SECRET, "websocket_host": host}
        plugin.on_config_loaded("main", changed)
        told: list[dict[str, Any]] = []
        with contextlib.suppress(ConnectionClosed):
            client.send('{"type":"get_config","id":1}')
            while not told or told[-1].get("id") != 1:
                told.append(receive(client))
        assert NEW_SECRET not in json.dumps(told)


def test_a_password_taken_away_closes_the_door(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", config())
    address = plugin.wait_listening(10)
    with log_in(address) as client:
        receive(client)
        plugin.on_config_loaded("main", config(password=None))
        assert close_code(client) == 1012
    assert plugin.wait_listening(0) is None


def test_a_changed_port_moves_the_server(plugin: WebSocketPlugin) -> None:
    first, second = free_port(), free_port()
    plugin.on_config_loaded("main", config(port=first))
    assert plugin.wait_listening(10) == f"ws://127.0.0.1:{first}"
    with log_in(f"ws://127.0.0.1:{first}") as client:
        receive(client)
        plugin.on_config_loaded("main", config(port=second))
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
        plugin.on_config_loaded("main", config(port=port))
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
    assert '"event": "auth.success"' in caplog.text
    assert "Traceback" not in caplog.text


def test_another_port_ends_the_wait_for_a_taken_one(
    plugin: WebSocketPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "RETRY_FIRST_S", 60.0)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        plugin.on_config_loaded("main", config(port=holder.getsockname()[1]))
        assert plugin.wait_listening(0.2) is None
        plugin.on_config_loaded("main", config())
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
            plugin.on_config_loaded("main", config(port=port))
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
    settings = config(allow_plaintext=True)
    settings["live"]["websocket_host"] = host
    plugin.on_config_loaded("main", settings)
    wait_until(lambda: said in caplog.text, plugin)


def test_a_second_bot_is_shown_but_does_not_rule(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("one", config())
    address = plugin.wait_listening(10)
    plugin.on_config_loaded("two", config(password="the other bot's password"))
    plugin.on_stats_updated("two", make_statistics())
    with log_in(address) as client:
        assert receive_statistics(client)["bot"] == "two"
        client.send('{"type":"get_config","bot":"two"}')
        assert receive(client)["bot"] == "two"
        client.send('{"type":"get_config"}')
        assert receive(client)["bot"] == "one"


def test_settings_of_a_second_bot_that_are_not_used_are_one_line(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if "not_used" in record.getMessage()]

    plugin.on_config_loaded("one", config())
    plugin.on_config_loaded("same", config())
    plugin.on_config_loaded("none", {"live": {"user": "none"}})
    assert said() == []
    for _ in range(2):
        plugin.on_config_loaded("two", config(password="the other bot's password"))
    [line] = said()
    assert "bot=two" in line
    assert "the server of bot 'one' shows this bot too" in line
    assert "password" not in line
    plugin.on_config_loaded("two", config(password="the other bot's password", port=1))
    assert len(said()) == 2


async def test_a_stall_of_one_client_never_reaches_the_hook(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", config())
    address = plugin.wait_listening(10)
    assert address is not None
    async with connect_async(address, max_queue=1) as client:
        await client.send(auth_message())
        assert json.loads(await client.recv())["success"]
        for number in range(2_000):  # nobody reads: the hook must not notice
            plugin.on_stats_updated("main", make_statistics(balance=float(number), exchange="x" * 2_000))
        async with asyncio.timeout(10):
            while json.loads(await client.recv()).get("data", {}).get("balance") != 1_999.0:
                pass


def test_statistics_that_are_no_statistics_raise_into_the_hosts_boundary_only(
    plugin: WebSocketPlugin,
) -> None:
    plugin.on_config_loaded("main", config())
    address = plugin.wait_listening(10)
    with pytest.raises(AttributeError):
        plugin.on_stats_updated("main", object())  # type: ignore[arg-type]
    plugin.on_stats_updated("main", make_statistics())
    with log_in(address):
        pass


@pytest.mark.parametrize(
    ("live", "options"),
    [
        ({"websocket_host": "my..host"}, {"allow_plaintext": True}),
        ({"websocket_host": "a\0b"}, {"allow_plaintext": True}),
        ({}, {"audit": {"path": "~nosuchuser/x"}}),
        ({}, {"tls": {"cert": "a\0b", "key": "c"}}),
        ({}, {"tls": {"cert": "nowhere", "key": "nowhere"}}),
    ],
)
def test_a_setting_that_cannot_work_is_one_error_and_a_mended_one_is_served(
    live: dict[str, Any],
    options: dict[str, Any],
    plugin: WebSocketPlugin,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = config(**options)
    broken["live"].update(live)
    plugin.on_config_loaded("main", broken)
    wait_until(lambda: "ERROR" in caplog.text, plugin)
    assert caplog.text.count("ERROR") == 1
    assert "Traceback" not in caplog.text
    plugin.on_config_loaded("main", config())
    with log_in(plugin.wait_listening(10)):
        pass


def test_a_certificate_that_cannot_be_read_moves_no_server(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    plugin.on_config_loaded("main", config())
    with log_in(plugin.wait_listening(10)) as client:
        assert receive(client)["code"] == "unavailable"
        follow_config(client)
        for number in range(2):
            plugin.on_config_loaded("main", config(tls={"cert": "nowhere", "key": f"nowhere {number}"}))
            assert receive(client)["type"] == "config_changed"
            client.send('{"type":"get_config"}')
            assert receive(client)["data"]["live"]["websocket_password"] == "********"
        plugin.on_config_loaded("main", config())
        assert receive(client)["type"] == "config_changed"
        client.send('{"type":"get_config"}')
        assert receive(client)["data"]["live"]["websocket_password"] == PASSWORD
    assert caplog.text.count("settings.refused") == 2
    assert caplog.text.count("settings.in_force") == 1
    assert "server.stopped" not in caplog.text


def test_another_path_moves_the_record(plugin: WebSocketPlugin, tmp_path: Path) -> None:
    for name in ("one.jsonl", "two.jsonl"):
        plugin.on_config_loaded("main", config(audit={"path": str(tmp_path / name)}))
        deadline = time.monotonic() + 10
        while not (tmp_path / name).exists():  # made when the server with this path listens
            assert time.monotonic() < deadline
            plugin.wait_listening(0.05)
        with log_in(plugin.wait_listening(10)):
            pass
        assert '"auth.success"' in (tmp_path / name).read_text()

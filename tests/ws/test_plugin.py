"""The plugin as the host sees it: four hooks, a thread of its own, real sockets."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from clients import log_in, receive, receive_statistics
from servers import auth_message, loaded_config
from servers import connect as connect_async

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin import WebSocketPlugin
from passivbot_ws_plugin.history.cache import Cache


def test_hooks_to_client(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", loaded_config())
    plugin.on_stats_updated("main", make_statistics())
    with log_in(plugin.wait_listening(10)) as client:
        message = receive_statistics(client)
        assert (message["bot"], message["seq"], message["data"]["balance"]) == ("main", 1, 10_000.5)
        plugin.on_stats_updated("main", make_statistics(timestamp=1))
        plugin.on_stats_updated("main", make_statistics(balance=2.0))
        assert receive(client)["data"]["balance"] == 2.0
        client.send('{"type":"get_config"}')
        assert receive(client)["data"] == {
            key: value for key, value in loaded_config().items() if key != "_raw"
        }


def test_events_and_changes_of_the_config_reach_who_subscribed(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", loaded_config())
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
        plugin.on_config_loaded("main", {**loaded_config(), "added": 1})
        assert receive(client)["values"] == {"/added": 1}


def test_what_happened_is_told_before_the_statistics_that_show_what_came_of_it(
    plugin: WebSocketPlugin,
) -> None:
    plugin.on_config_loaded("main", loaded_config())
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
    plugin.on_config_loaded("main", loaded_config())
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
        plugin.on_config_loaded("main", loaded_config())
        assert plugin.wait_listening(10)
        plugin.on_shutdown()
        assert not worker_threads()
        assert plugin.wait_listening(0) is None


def test_a_second_bot_is_shown_but_does_not_rule(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("one", loaded_config())
    address = plugin.wait_listening(10)
    plugin.on_config_loaded("two", loaded_config(password="the other bot's password"))
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

    plugin.on_config_loaded("one", loaded_config())
    plugin.on_config_loaded("same", loaded_config())
    plugin.on_config_loaded("none", {"live": {"user": "none"}})
    assert said() == []
    for _ in range(2):
        plugin.on_config_loaded("two", loaded_config(password="the other bot's password"))
    [line] = said()
    assert "bot=two" in line
    assert "the server of bot 'one' shows this bot too" in line
    assert "password" not in line
    plugin.on_config_loaded("two", loaded_config(password="the other bot's password", port=1))
    assert len(said()) == 2


async def test_a_stall_of_one_client_never_reaches_the_hook(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", loaded_config())
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
    plugin.on_config_loaded("main", loaded_config())
    address = plugin.wait_listening(10)
    with pytest.raises(AttributeError):
        plugin.on_stats_updated("main", object())  # type: ignore[arg-type]
    plugin.on_stats_updated("main", make_statistics())
    with log_in(address):
        pass

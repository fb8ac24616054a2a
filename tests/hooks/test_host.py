from __future__ import annotations

import threading
from typing import Any

import plugins_for_tests as plugins
import pytest
from hosts import candidate

from passivbot_hooks import PluginError, PluginHost, Statistics, hookimpl
from passivbot_hooks.testing import RecordingPlugin, make_statistics


def test_the_exact_order_of_calls() -> None:
    plugin = RecordingPlugin()
    with PluginHost() as host:
        host.register(plugin, "recording")
        host.on_config_loaded(bot="main", config={"live": {}})
        host.on_stats_updated(bot="main", stats=make_statistics())
        assert host.wait_idle()
        host.on_stats_updated(bot="main", stats=make_statistics(balance=1.0))
    assert plugin.hooks() == ["on_config_loaded", "on_stats_updated", "on_stats_updated", "on_shutdown"]


def test_a_snapshot_posted_while_others_are_taken_is_never_lost() -> None:
    class Last:
        @hookimpl
        def on_stats_updated(self, bot: str, stats: Statistics) -> None:
            last[bot] = stats.timestamp

    last: dict[str, int] = {}
    with PluginHost() as host:
        host.register(Last(), "last")
        for number in range(20_000):
            host.on_stats_updated(bot=str(number % 7), stats=make_statistics(timestamp=number))
    assert sorted(last.values()) == list(range(20_000 - 7, 20_000))


def test_shutdown_comes_once() -> None:
    plugin = RecordingPlugin()
    host = PluginHost()
    host.register(plugin, "recording")
    host.on_shutdown()
    host.on_shutdown()
    host.on_stats_updated(bot="main", stats=make_statistics())
    assert plugin.hooks() == ["on_shutdown"]


def test_a_plugin_that_heard_nothing_is_shut_down_too() -> None:
    plugins.recording.calls.clear()
    with PluginHost() as host:
        host.load({"a": {}}, candidates=[candidate("good", "plugins_for_tests:recording")])
    assert plugins.recording.hooks() == ["on_shutdown"]


def test_each_plugin_gets_a_copy_of_the_config_of_its_own() -> None:
    class Vandal:
        @hookimpl
        def on_config_loaded(self, config: dict[str, Any]) -> None:
            config["live"].clear()

    before, after = RecordingPlugin(), RecordingPlugin()
    config = {"live": {"user": "main"}}
    with PluginHost() as host:
        for name, plugin in (("before", before), ("vandal", Vandal()), ("after", after)):
            host.register(plugin, name)
        host.on_config_loaded(bot="main", config=config)
        config["live"]["user"] = "changed by the caller afterwards"
        assert host.wait_idle()
    for plugin in (before, after):
        assert plugin.calls[0] == ("on_config_loaded", "main", {"live": {"user": "main"}})


def test_a_config_that_cannot_be_copied_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    with PluginHost() as host:
        host.on_config_loaded(bot="main", config={"lock": threading.Lock()})
    assert "bot 'main': its config cannot be copied: TypeError" in caplog.text


def test_a_plugin_registered_by_hand_has_no_toggle() -> None:
    plugin = RecordingPlugin()
    with PluginHost() as host:
        host.register(plugin, "sample")
        host.on_config_loaded(bot="a", config={"plugins": {"sample": False}})
        host.on_stats_updated(bot="a", stats=make_statistics())
    assert plugin.hooks() == ["on_config_loaded", "on_stats_updated", "on_shutdown"]


def test_a_name_can_be_registered_once() -> None:
    with PluginHost() as host:
        host.register(RecordingPlugin(), "sample")
        with pytest.raises(PluginError, match="already registered"):
            host.register(RecordingPlugin(), "sample")

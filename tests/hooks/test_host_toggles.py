"""Which plugins are loaded and hear of which bot, and how they are switched while it runs."""

from __future__ import annotations

import logging
from typing import Any

import plugins_for_tests as plugins
import pytest
from hosts import candidate, states

from passivbot_hooks import PluginHost
from passivbot_hooks.dispatch import FAILURES_MAX
from passivbot_hooks.testing import make_event, make_statistics


def test_plugins_are_loaded_as_the_toggles_say_and_broken_ones_stop_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    candidates = [
        candidate("good", "plugins_for_tests:recording"),
        candidate("off", "module_that_is_not_there:plugin"),
        candidate("missing", "module_that_is_not_there:plugin"),
        candidate("klass", "plugins_for_tests:AsyncHook"),
        candidate("coroutine", "plugins_for_tests:async_hook"),
        candidate("misspelled", "plugins_for_tests:misspelled"),
        candidate("good", "plugins_for_tests:no_hook", rival="dist-good"),
    ]
    plugins.recording.calls.clear()
    with PluginHost() as host:
        host.load({"main": {"plugins": {"off": False, "god": True}}}, candidates=candidates)
        host.on_stats_updated(bot="main", stats=make_statistics())
    assert plugins.recording.hooks() == ["on_stats_updated", "on_shutdown"]
    reported = [(record.name, record.state) for record in host.records]
    assert sorted(reported) == [
        ("coroutine", "failed"),
        ("good", "failed"),
        ("good", "on"),
        ("klass", "failed"),
        ("missing", "failed"),
        ("misspelled", "failed"),
        ("off", "off"),
    ]
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 5
    assert "bot 'main': plugins.god: no plugin of that name is installed; did you mean good?" in caplog.text


def test_a_bot_is_shown_only_to_the_plugins_that_its_own_config_has_on() -> None:
    plugins.recording.calls.clear()
    with PluginHost() as host:
        host.load(
            {"a": {"plugins": {"good": True}}, "b": {"plugins": {"good": False}}},
            candidates=[candidate("good", "plugins_for_tests:recording")],
        )
        for bot in ("a", "b"):
            host.on_config_loaded(bot=bot, config={"plugins": {"good": bot == "a"}})
            host.on_stats_updated(bot=bot, stats=make_statistics())
    assert {bot for _, bot, _ in plugins.recording.calls} == {"a", None}


def test_names_that_are_no_text_are_read_as_text() -> None:
    with PluginHost() as host:
        host.load({"a": {"plugins": {1: True, None: False}}}, candidates=[])
        host.on_config_loaded(bot="a", config={"plugins": {1: "x"}})


def test_nothing_starts_after_the_shutdown() -> None:
    plugins.recording.calls.clear()
    host = PluginHost()
    host.load(
        {"a": {"plugins": {"good": False}}}, candidates=[candidate("good", "plugins_for_tests:recording")]
    )
    host.on_shutdown()
    host.on_config_loaded(bot="a", config={"plugins": {"good": True}})
    host.on_stats_updated(bot="a", stats=make_statistics())
    assert states(host) == {"good": "off"}
    assert plugins.recording.calls == []


def test_a_plugin_off_for_all_bots_is_off() -> None:
    with PluginHost() as host:
        host.load(
            {"a": {"plugins": {"good": False}}, "b": {"plugins": 3}},
            candidates=[candidate("good", "plugins_for_tests:recording")],
        )
        [record] = host.records
    assert record.state == "off"
    assert record.reason == "plugins.good is false; the config's plugins section is broken"


def test_toggles_are_followed_while_it_runs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    plugins.recording.calls.clear()
    on: dict[str, Any] = {"plugins": {"good": True}}
    off: dict[str, Any] = {"plugins": {"good": False}}
    with PluginHost() as host:
        host.load({"a": off, "b": off}, candidates=[candidate("good", "plugins_for_tests:recording")])
        for bot in ("a", "b"):
            host.on_config_loaded(bot=bot, config=off)
            host.on_stats_updated(bot=bot, stats=make_statistics())
        assert states(host) == {"good": "off"}
        assert "switched on" not in caplog.text
        for bot in ("a", "b"):
            host.on_config_loaded(bot=bot, config=on)
        assert host.wait_idle()
        assert "plugin 'good': switched on for bot 'a'" in caplog.text
        assert states(host) == {"good": "on"}
        assert sorted((hook, bot) for hook, bot, _ in plugins.recording.calls) == [
            ("on_config_loaded", "a"),
            ("on_config_loaded", "b"),
            ("on_stats_updated", "a"),
            ("on_stats_updated", "b"),
        ]
        plugins.recording.calls.clear()
        host.on_config_loaded(bot="b", config=off)
        host.on_stats_updated(bot="b", stats=make_statistics())
        assert host.wait_idle()
        # Shut down, and started anew for the bot that it still has: nothing of "b" is left.
        assert [(hook, bot) for hook, bot, _ in plugins.recording.calls] == [
            ("on_shutdown", None),
            ("on_config_loaded", "a"),
            ("on_stats_updated", "a"),
        ]
        plugins.recording.calls.clear()
        host.on_config_loaded(bot="a", config=off)
        assert host.wait_idle()
        assert states(host) == {"good": "off"}
        assert plugins.recording.hooks() == ["on_shutdown"]
    assert plugins.recording.hooks() == ["on_shutdown"]


def test_a_plugin_that_starts_anew_is_told_the_configs_in_their_order() -> None:
    """The first one's bot owns the WebSocket server, before and after."""
    plugins.recording.calls.clear()
    bots = [f"bot {number}" for number in range(12)]
    on: dict[str, Any] = {"plugins": {"good": True}}
    off: dict[str, Any] = {"plugins": {"good": False}}
    with PluginHost() as host:
        host.load(dict.fromkeys(bots, on), candidates=[candidate("good", "plugins_for_tests:recording")])
        for bot in bots:
            host.on_config_loaded(bot=bot, config=on)
        assert host.wait_idle()
        plugins.recording.calls.clear()
        host.on_config_loaded(bot=bots[3], config=off)
        assert host.wait_idle()
    told = [bot for hook, bot, _ in plugins.recording.calls if hook == "on_config_loaded"]
    assert told == [bot for bot in bots if bot != bots[3]]


def test_a_plugin_that_failed_too_often_starts_anew_off_and_on(caplog: pytest.LogCaptureFixture) -> None:
    on: dict[str, Any] = {"plugins": {"failing": True}}
    off: dict[str, Any] = {"plugins": {"failing": False}}
    plugins.failing.calls = 0
    with PluginHost() as host:
        host.load({"a": on}, candidates=[candidate("failing", "plugins_for_tests:failing")])

        def fail(times: int) -> None:
            for _ in range(times):
                host.on_stats_updated(bot="a", stats=make_statistics())
                assert host.wait_idle()

        host.on_config_loaded(bot="a", config=on)
        fail(FAILURES_MAX)
        assert states(host) == {"failing": "failed"}
        host.on_config_loaded(bot="a", config=off)
        assert states(host) == {"failing": "off"}
        host.on_config_loaded(bot="a", config=on)
        assert host.wait_idle()  # it is told the latest snapshot: the first failure of this life
        assert states(host) == {"failing": "on"}
        fail(FAILURES_MAX - 2)
        assert states(host) == {"failing": "on"}
        fail(1)
        assert states(host) == {"failing": "failed"}
    assert plugins.failing.calls == 2 * FAILURES_MAX
    assert caplog.text.count("on_stats_updated is switched off until the next start") == 2


def test_of_a_bot_without_a_config_those_hear_that_any_config_has_on() -> None:
    plugins.recording.calls.clear()
    on: dict[str, Any] = {"plugins": {"good": True}}
    off: dict[str, Any] = {"plugins": {"good": False}}

    def told() -> list[tuple[str, str | None]]:
        assert host.wait_idle()
        calls = [(hook, bot) for hook, bot, _ in plugins.recording.calls]
        plugins.recording.calls.clear()
        return calls

    with PluginHost() as host:
        host.load({"a": off, "b": on}, candidates=[candidate("good", "plugins_for_tests:recording")])
        host.on_config_loaded(bot="a", config=off)
        host.on_config_loaded(bot="b", config=on)
        assert told() == [("on_config_loaded", "b")]
        host.on_event(bot="stray", event=make_event())
        host.on_stats_updated(bot="stray", stats=make_statistics())
        host.on_event(bot="a", event=make_event())
        assert told() == [("on_event", "stray"), ("on_stats_updated", "stray")]
        host.on_config_loaded(bot="b", config=off)
        host.on_event(bot="stray", event=make_event())
        host.on_stats_updated(bot="stray", stats=make_statistics())
        assert told() == [("on_shutdown", None)]
        # Switched on again: what is, and not what was.
        host.on_config_loaded(bot="a", config=on)
        assert told() == [("on_config_loaded", "a"), ("on_stats_updated", "stray")]
        host.on_config_loaded(bot="b", config=on)
        assert told() == [("on_config_loaded", "b")]
        host.on_config_loaded(bot="b", config=off)
        assert told() == [("on_shutdown", None), ("on_config_loaded", "a"), ("on_stats_updated", "stray")]
        host.on_event(bot="stray", event=make_event())
        assert host.wait_idle()
        assert [event.seq for event in plugins.recording.events()] == [3]

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

import plugins_for_tests as plugins
import pytest

from passivbot_hooks import Event, PluginError, PluginHost, Statistics, hookimpl
from passivbot_hooks.discovery import Candidate, hook_implementations
from passivbot_hooks.dispatch import EVENTS_MAX, FAILURES_MAX, PluginThread
from passivbot_hooks.testing import RecordingPlugin, make_event, make_statistics


class Unspeakable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no words")


def candidate(name: str, value: str, rival: str | None = None) -> Candidate:
    return Candidate(name, f"dist-{name}", "1", EntryPoint(name, value, "passivbot.plugins"), rival)


def states(host: PluginHost) -> dict[str, str]:
    return {record.name: record.state for record in host.records}


def test_the_exact_order_of_calls() -> None:
    plugin = RecordingPlugin()
    with PluginHost() as host:
        host.register(plugin, "recording")
        host.on_config_loaded(bot="main", config={"live": {}})
        host.on_stats_updated(bot="main", stats=make_statistics())
        assert host.wait_idle()
        host.on_stats_updated(bot="main", stats=make_statistics(balance=1.0))
    assert plugin.hooks() == ["on_config_loaded", "on_stats_updated", "on_stats_updated", "on_shutdown"]


class Gated(RecordingPlugin):
    """Takes the first event and waits there until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.release = threading.Event(), threading.Event()

    @hookimpl
    def on_event(self, bot: str, event: Event) -> None:
        super().on_event(bot, event)
        self.entered.set()
        assert self.release.wait(10)


def test_events_are_numbered_for_each_bot_and_none_is_merged() -> None:
    plugin = RecordingPlugin()
    with PluginHost() as host:
        host.register(plugin, "recording")
        for number in range(100):
            host.on_event(bot="main", event=make_event(timestamp=number, seq=55))
        host.on_event(bot="other", event=make_event())
    told = [(bot, event.timestamp, event.seq) for hook, bot, event in plugin.calls if hook == "on_event"]
    assert told == [*(("main", n, n + 1) for n in range(100)), ("other", make_event().timestamp, 1)]


def test_what_waits_is_delivered_configs_first_and_events_before_snapshots() -> None:
    plugin = Gated()
    with PluginHost() as host:
        host.register(plugin, "gated")
        host.on_event(bot="main", event=make_event())
        assert plugin.entered.wait(5)
        host.on_stats_updated(bot="main", stats=make_statistics())
        host.on_event(bot="main", event=make_event())
        host.on_config_loaded(bot="main", config={})
        host.on_event(bot="main", event=make_event())
        plugin.release.set()
    assert plugin.hooks() == [
        "on_event", "on_config_loaded", "on_event", "on_event", "on_stats_updated", "on_shutdown"
    ]  # fmt: skip


def test_of_too_many_events_the_oldest_are_dropped_with_a_gap(caplog: pytest.LogCaptureFixture) -> None:
    slow, quick = Gated(), RecordingPlugin()
    with PluginHost() as host:
        host.register(slow, "slow")
        host.register(quick, "quick")
        host.on_event(bot="main", event=make_event())
        assert slow.entered.wait(5)
        for number in range(EVENTS_MAX + 10):
            host.on_event(bot="main", event=make_event())
            if number % 100 == 0:  # this one keeps up
                assert quick.wait_for(lambda calls: len(calls) == host._seq["main"])
        slow.release.set()
    assert [event.seq for event in slow.events()] == [1, *range(12, EVENTS_MAX + 12)]
    assert [event.seq for event in quick.events()] == list(range(1, EVENTS_MAX + 12))
    assert caplog.text.count("plugin 'slow': takes events more slowly than they come") == 1
    assert "'quick'" not in caplog.text


def test_a_config_comes_before_the_events_of_its_bot_though_older_ones_are_dropped() -> None:
    class GatedConfigs(RecordingPlugin):
        """Waits in each config until it is let go."""

        def __init__(self) -> None:
            super().__init__()
            self.entered = {bot: threading.Event() for bot in ("first", "slow", "late")}
            self.release = {bot: threading.Event() for bot in self.entered}

        @hookimpl
        def on_config_loaded(self, bot: str, config: Mapping[str, Any]) -> None:
            super().on_config_loaded(bot, config)
            self.entered[bot].set()
            assert self.release[bot].wait(10)

    plugin = GatedConfigs()
    plugin.release["late"].set()
    with PluginHost() as host:
        host.register(plugin, "gated")
        host.on_config_loaded(bot="first", config={})
        assert plugin.entered["first"].wait(5)
        host.on_config_loaded(bot="slow", config={})
        for _ in range(EVENTS_MAX):
            host.on_event(bot="slow", event=make_event())
        plugin.release["first"].set()
        assert plugin.entered["slow"].wait(5)
        host.on_config_loaded(bot="late", config={})
        host.on_event(bot="late", event=make_event())  # drops one of those that wait with "slow"
        plugin.release["slow"].set()
    assert [hook for hook, bot, _ in plugin.calls if bot == "late"] == ["on_config_loaded", "on_event"]
    assert [event.seq for event in plugin.events()] == [*range(2, EVENTS_MAX + 1), 1]


def test_a_plugin_that_is_switched_off_gets_none_of_the_events_that_waited() -> None:
    plugin = Gated()
    thread = PluginThread("gated", hook_implementations("gated", plugin))
    for _ in range(3):
        thread.post_event("main", make_event())
    assert plugin.entered.wait(5)
    thread.restart()
    thread.post_event("main", make_event(seq=9))
    plugin.release.set()
    thread.close()
    assert thread.join(5)
    assert plugin.hooks() == ["on_event", "on_shutdown", "on_event", "on_shutdown"]
    assert plugin.events()[-1].seq == 9


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


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("no"),
        SystemExit(1),
        asyncio.CancelledError(),
        RecursionError(),
        MemoryError(),
        GeneratorExit(),
        Unspeakable(),
    ],
)
def test_a_failing_plugin_never_changes_what_others_receive(
    failure: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    failing, good = plugins.Fails(failure), RecordingPlugin()
    with PluginHost() as host:
        host.register(failing, "failing")
        host.register(good, "good")
        for number in range(FAILURES_MAX + 3):
            host.on_stats_updated(bot="main", stats=make_statistics(timestamp=number))
            assert host.wait_idle()
        assert states(host) == {"failing": "failed", "good": "on"}
    assert [stats.timestamp for stats in good.statistics()] == list(range(FAILURES_MAX + 3))
    assert failing.calls == FAILURES_MAX
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "on_stats_updated is switched off until the next start" in errors[0].getMessage()


def test_only_failures_in_a_row_count() -> None:
    class FailsMostly:
        calls = 0

        @hookimpl
        def on_stats_updated(self) -> None:
            self.calls += 1
            if self.calls % FAILURES_MAX:
                raise ValueError

    plugin = FailsMostly()
    with PluginHost() as host:
        host.register(plugin, "sample")
        for _ in range(3 * FAILURES_MAX):
            host.on_stats_updated(bot="main", stats=make_statistics())
            assert host.wait_idle()
        assert states(host) == {"sample": "on"}
    assert plugin.calls == 3 * FAILURES_MAX


def test_one_hook_switched_off_leaves_the_others_on() -> None:
    class Half(plugins.Fails):
        is_shut_down = False

        @hookimpl
        def on_shutdown(self) -> None:
            self.is_shut_down = True

    plugin = Half(ValueError())
    with PluginHost() as host:
        host.register(plugin, "half")
        for _ in range(FAILURES_MAX):
            host.on_stats_updated(bot="main", stats=make_statistics())
            assert host.wait_idle()
    assert plugin.is_shut_down


def test_a_plugin_that_never_returns_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    entered, release = threading.Event(), threading.Event()

    class Stuck:
        @hookimpl
        def on_stats_updated(self) -> None:
            entered.set()
            release.wait(30)

    now = [0.0]
    good = RecordingPlugin()
    host = PluginHost(clock=lambda: now[0])
    host.register(Stuck(), "stuck")
    host.register(good, "good")
    try:
        host.on_stats_updated(bot="main", stats=make_statistics(timestamp=1))
        assert entered.wait(5)
        now[0] = 6.0
        for number in (2, 3):
            host.on_stats_updated(bot="main", stats=make_statistics(timestamp=number))
            assert good.wait_for(lambda calls, n=number: calls and calls[-1][2].timestamp == n)  # type: ignore[misc]
        assert caplog.text.count("plugin 'stuck': a hook has not returned for 5 s") == 1
        host.on_shutdown(timeout_s=0.0)
        assert "plugin 'stuck': did not shut down" in caplog.text
        assert good.wait_for(lambda calls: calls[-1][0] == "on_shutdown")
    finally:
        release.set()


def test_a_slow_plugin_gets_the_latest_and_not_a_queue() -> None:
    entered, release = threading.Event(), threading.Event()
    seen: list[int] = []

    class Slow:
        @hookimpl
        def on_stats_updated(self, stats: Statistics) -> None:
            seen.append(stats.timestamp)
            entered.set()
            release.wait(30)

    with PluginHost() as host:
        host.register(Slow(), "slow")
        host.on_stats_updated(bot="main", stats=make_statistics(timestamp=0))
        assert entered.wait(5)
        for number in range(1, 100):
            host.on_stats_updated(bot="main", stats=make_statistics(timestamp=number))
        release.set()
        assert host.wait_idle()
    assert seen == [0, 99]


def test_a_slow_hook_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]

    class Slow:
        @hookimpl
        def on_stats_updated(self) -> None:
            now[0] += 0.25

    with PluginHost(clock=lambda: now[0]) as host:
        host.register(Slow(), "slow")
        for _ in range(3):
            host.on_stats_updated(bot="main", stats=make_statistics())
            host.wait_idle()
    assert caplog.text.count("plugin 'slow': on_stats_updated took 250 ms") == 1


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
    assert record.reason == "plugins.good is false; plugins must be an object of plugin names, not a number"


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


def test_a_plugin_that_heard_nothing_is_shut_down_too() -> None:
    plugins.recording.calls.clear()
    with PluginHost() as host:
        host.load({"a": {}}, candidates=[candidate("good", "plugins_for_tests:recording")])
    assert plugins.recording.hooks() == ["on_shutdown"]


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

"""Events: each one, in order, within a bound."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from passivbot_hooks import Event, PluginHost, hookimpl
from passivbot_hooks.discovery import hook_implementations
from passivbot_hooks.dispatch import EVENTS_MAX, PluginThread
from passivbot_hooks.testing import RecordingPlugin, make_event, make_statistics


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

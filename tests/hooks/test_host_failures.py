"""Plugins that raise, block or are slow, and those beside them."""

from __future__ import annotations

import asyncio
import logging
import threading

import plugins_for_tests as plugins
import pytest
from hosts import states

from passivbot_hooks import PluginHost, Statistics, hookimpl
from passivbot_hooks.dispatch import FAILURES_MAX
from passivbot_hooks.testing import RecordingPlugin, make_statistics


class Unspeakable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no words")


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

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from monitor_files import append_event, append_events, event_line, now_ms, replace, state, write_state

from passivbot_hooks import BotNotFoundError, Event, PluginHost, Statistics, load_config
from passivbot_hooks.config import BotConfig
from passivbot_hooks.newcomers import Newcomers
from passivbot_hooks.sidecar import Sidecar, WatchedBot, watched_bots
from passivbot_hooks.sources.monitor import MonitorFollower
from passivbot_hooks.sources.monitor.locate import BotDirectory, missing
from passivbot_hooks.testing import RecordingPlugin


def config(tmp_path: Path, name: str = "live", **live: Any) -> BotConfig:
    path = tmp_path / f"{name}.hjson"
    # No installed plugin is wanted here: each test registers its own.
    document = {"live": {"user": "main", **live}, "plugins": {"websocket": False}}
    replace(path, json.dumps(document).encode())
    return load_config(path)


def bot(root: Path, exchange: str, user: str = "main") -> None:
    (root / exchange / user).mkdir(parents=True)


class Running:
    """A sidecar on a thread of its own, with a plugin that remembers."""

    def __init__(self, bots: list[WatchedBot], *, all_below: Path | None = None) -> None:
        self.plugin = RecordingPlugin()
        self._stop = threading.Event()
        host = PluginHost()
        host.register(self.plugin, "recording")
        newcomers = Newcomers([all_below], every_s=0.02) if all_below else None
        self._thread = threading.Thread(
            target=Sidecar(host, bots, newcomers=newcomers, poll_s=0.01).run, args=(self._stop,), daemon=True
        )

    def __enter__(self) -> RecordingPlugin:
        self._thread.start()
        return self.plugin

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("is_heard", [False, True])
def test_a_sidecar_that_nobody_hears_says_so(
    is_heard: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = PluginHost()
    if is_heard:
        host.register(RecordingPlugin(), "recording")
    stop = threading.Event()
    stop.set()
    Sidecar(host, watched_bots([config(tmp_path)], root=tmp_path)).run(stop)
    assert ("no plugin is on, so nobody is told" in caplog.text) is not is_heard


def test_config_first_then_statistics_then_shutdown(tmp_path: Path) -> None:
    bots = watched_bots([config(tmp_path)], root=tmp_path)
    with Running(bots) as plugin:
        assert plugin.wait_for(lambda calls: len(calls) == 1)
        write_state(tmp_path / "fake" / "main", state())
        assert plugin.wait_for(lambda calls: len(calls) == 2)
    assert plugin.hooks() == ["on_config_loaded", "on_stats_updated", "on_shutdown"]
    assert {name for _, name, _ in plugin.calls} == {"main", None}


def test_a_changed_config_is_told_again(tmp_path: Path) -> None:
    bots = watched_bots([config(tmp_path)], root=tmp_path)
    with Running(bots) as plugin:
        assert plugin.wait_for(lambda calls: len(calls) == 1)
        config(tmp_path, leverage=5)
        assert plugin.wait_for(lambda calls: len(calls) == 2)
    assert plugin.calls[1][2]["live"]["leverage"] == 5


def last_status(plugin: RecordingPlugin, name: str) -> str | None:
    told = [argument for hook, bot, argument in plugin.calls if (hook, bot) == ("on_stats_updated", name)]
    return told[-1].status if told else None


def test_events_come_in_order_and_before_the_snapshot_that_shows_them(tmp_path: Path) -> None:
    directory = tmp_path / "fake" / "main"
    write_state(directory, state())
    with Running(watched_bots([config(tmp_path)], root=tmp_path)) as plugin:
        assert plugin.wait_for(lambda calls: len(calls) == 2)
        append_events(
            directory, event_line("bot.start", now_ms(), {}) + event_line("bot.ready", now_ms(), {})
        )
        assert plugin.wait_for(lambda calls: len(calls) == 4)
        append_event(directory, "bot.stopped", now_ms())  # which the status of the next snapshot shows
        assert plugin.wait_for(lambda calls: len(calls) == 6)
    assert [(event.kind, event.seq) for event in plugin.events()] == [
        ("bot.started", 1), ("bot.ready", 2), ("bot.stopped", 3)
    ]  # fmt: skip
    assert plugin.hooks() == [
        "on_config_loaded", "on_stats_updated", "on_event", "on_event", "on_event", "on_stats_updated",
        "on_shutdown",
    ]  # fmt: skip


def test_an_event_is_told_before_the_snapshot_that_is_found_with_it(tmp_path: Path) -> None:
    told: list[str] = []

    class TellingHost(PluginHost):
        def on_event(self, *, bot: str, event: Event) -> None:
            told.append(event.kind)

        def on_stats_updated(self, *, bot: str, stats: Statistics) -> None:
            told.append("statistics")

    directory = tmp_path / "fake" / "main"
    sidecar = Sidecar(TellingHost(), watched_bots([config(tmp_path)], root=tmp_path))
    sidecar.poll()
    append_event(directory, "bot.ready", now_ms())
    write_state(directory, state())
    sidecar.poll()
    append_event(directory, "error.bot", now_ms())
    write_state(directory, state(timestamp=now_ms() + 1))
    sidecar.poll()
    stopped = threading.Event()
    stopped.set()
    sidecar.run(stopped)  # closes what is open
    assert told == ["bot.ready", "statistics", "error", "statistics"]


def test_all_other_bots_appear_vanish_and_return(tmp_path: Path) -> None:
    write_state(tmp_path / "fake" / "main", state())
    write_state(tmp_path / "fake" / "there", state())
    append_event(tmp_path / "fake" / "there", "bot.ready", now_ms())  # of before we came
    other = tmp_path / "other" / "new"
    with Running(watched_bots([config(tmp_path)], root=tmp_path), all_below=tmp_path) as plugin:
        assert plugin.wait_for(lambda _: last_status(plugin, "there") == "running")
        append_event(other, "bot.start", now_ms())
        write_state(other, state())
        assert plugin.wait_for(lambda _: last_status(plugin, "new") == "running")
        shutil.rmtree(other)
        assert plugin.wait_for(lambda _: last_status(plugin, "new") == "stopped")
        append_event(other, "bot.start", now_ms())
        write_state(other, state(timestamp=now_ms() + 1))
        assert plugin.wait_for(lambda _: last_status(plugin, "new") == "running")
    told = [(bot, event.kind) for hook, bot, event in plugin.calls if hook == "on_event"]
    assert told == [("new", "bot.started")] * 2
    assert [bot for hook, bot, _ in plugin.calls if hook == "on_config_loaded"] == ["main"]
    assert {bot for _, bot, _ in plugin.calls} == {"main", "there", "new", None}


def test_with_all_a_config_keeps_to_the_exchange_that_it_found(tmp_path: Path) -> None:
    write_state(tmp_path / "bybit" / "main", state())
    with Running(watched_bots([config(tmp_path)], root=tmp_path), all_below=tmp_path) as plugin:
        assert plugin.wait_for(lambda _: last_status(plugin, "main") == "running")
        write_state(tmp_path / "okx" / "main", state())
        assert plugin.wait_for(lambda _: last_status(plugin, "okx/main") == "running")
        shutil.rmtree(tmp_path / "bybit")
        assert plugin.wait_for(lambda _: last_status(plugin, "main") == "stopped")
        write_state(tmp_path / "okx" / "main", state(timestamp=now_ms() + 1))
        assert plugin.wait_for(lambda calls: calls[-1][1] == "okx/main")
    assert last_status(plugin, "main") == "stopped"


def test_several_bots_are_told_apart(tmp_path: Path) -> None:
    for user in ("one", "two"):
        write_state(tmp_path / "fake" / user, state())
    bots = watched_bots([config(tmp_path, "a", user="one"), config(tmp_path, "b", user="two")], root=tmp_path)
    with Running(bots) as plugin:
        assert plugin.wait_for(lambda calls: len(calls) == 4)
    assert {name for hook, name, _ in plugin.calls if hook == "on_stats_updated"} == {"one", "two"}


def test_a_bot_that_cannot_be_looked_at_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for user in ("one", "two"):
        write_state(tmp_path / "fake" / user, state())
    bots = watched_bots([config(tmp_path, "a", user="one"), config(tmp_path, "b", user="two")], root=tmp_path)
    real_poll = MonitorFollower.poll

    def poll(follower: MonitorFollower) -> Statistics | None:
        if follower.bot == "one":
            raise ZeroDivisionError
        return real_poll(follower)

    monkeypatch.setattr(MonitorFollower, "poll", poll)
    with Running(bots) as plugin:
        assert plugin.wait_for(lambda calls: ("on_stats_updated", "two") in [call[:2] for call in calls])
    assert caplog.text.count("bot 'one': looking at its files failed") == 1


def test_shutdown_comes_even_if_watching_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = RecordingPlugin()
    host = PluginHost()
    host.register(plugin, "recording")
    sidecar = Sidecar(host, watched_bots([config(tmp_path)], root=tmp_path))
    monkeypatch.setattr(sidecar, "poll", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sidecar.run(threading.Event())
    assert plugin.hooks()[-1] == "on_shutdown"


def test_the_root_is_the_configs_own_unless_given(tmp_path: Path) -> None:
    path = tmp_path / "live.hjson"
    path.write_text(json.dumps({"live": {"user": "main"}, "monitor": {"root_dir": "elsewhere"}}))
    assert watched_bots([load_config(path)], root=None)[0].directory.root == Path("elsewhere")
    assert watched_bots([load_config(path)], root=tmp_path)[0].directory.root == tmp_path
    assert watched_bots([config(tmp_path, "b")], root=None)[0].directory.root == Path("monitor")


def test_a_disabled_monitor_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "live.hjson"
    path.write_text(json.dumps({"live": {"user": "main"}, "monitor": {"enabled": False}}))
    watched_bots([load_config(path)], root=tmp_path)
    assert "monitor.enabled is false" in caplog.text


def test_one_user_on_two_exchanges_is_ambiguous_until_chosen(tmp_path: Path) -> None:
    bot(tmp_path, "bybit")
    bot(tmp_path, "okx")
    first = config(tmp_path)
    with pytest.raises(BotNotFoundError, match="say which: --bot bybit/main or --bot okx/main"):
        watched_bots([first], root=tmp_path)
    [chosen] = watched_bots([first], root=tmp_path, chosen=["okx/main"])
    assert chosen.name == "okx/main"
    assert chosen.directory == BotDirectory(tmp_path, "main", "okx")


def test_a_choice_that_was_not_needed_keeps_the_short_name(tmp_path: Path) -> None:
    bot(tmp_path, "okx")
    [chosen] = watched_bots([config(tmp_path)], root=tmp_path, chosen=["okx/main"])
    assert chosen.name == "main"


def test_two_configs_of_one_user_take_two_choices_in_order(tmp_path: Path) -> None:
    configs = [config(tmp_path, "a"), config(tmp_path, "b")]
    bots = watched_bots(configs, root=tmp_path, chosen=["bybit/main", "okx/main"])
    assert [(bot.name, bot.config and bot.config.path.name) for bot in bots] == [
        ("bybit/main", "a.hjson"),
        ("okx/main", "b.hjson"),
    ]


@pytest.mark.parametrize(
    ("users", "chosen", "said"),
    [
        ([None], [], "has no live.user"),
        (["main"], ["okx"], "--bot okx: give EXCHANGE/USER"),
        (["main"], ["okx/.."], "give EXCHANGE/USER"),
        (["main"], ["okx/other"], "no config has live.user 'other'; there is main"),
        (["main"], ["okx/main", "okx/main"], "--bot okx/main: one too many: give one for each config"),
        (["main", "main"], [], "are both for bot 'main'"),
    ],
)
def test_what_fits_no_single_bot_is_refused(
    users: list[str | None], chosen: list[str], said: str, tmp_path: Path
) -> None:
    configs = [config(tmp_path, str(number), user=user) for number, user in enumerate(users)]
    with pytest.raises(BotNotFoundError, match=said):
        watched_bots(configs, root=tmp_path, chosen=chosen)


def test_a_file_in_the_monitor_roots_place_is_refused(tmp_path: Path) -> None:
    read = config(tmp_path)
    with pytest.raises(
        BotNotFoundError, match=r"live\.hjson: is no directory; the monitor root is the one that"
    ):
        watched_bots([read], root=read.path)


@pytest.mark.parametrize(
    ("exchange", "user", "said"),
    [
        ("binance", "main", "no binance/main in {root} (there is bybit/main, okx/main)"),
        (None, "other", "no user 'other' in {root} (there is bybit/main)"),
        ("binance", "other", "no binance/other in {root} (there is bybit/main)"),
    ],
)
def test_what_is_there_is_named_where_a_bot_is_missing(
    exchange: str | None, user: str, said: str, tmp_path: Path
) -> None:
    write_state(tmp_path / "bybit" / "main", state())
    bot(tmp_path, "okx")  # empty: a place for a bot, and none to name to who asks for another
    assert missing(BotDirectory(tmp_path, user, exchange)) == said.format(root=tmp_path)


def test_a_root_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    root = tmp_path / "nowhere"
    assert missing(BotDirectory(root, "main")) == f"no directory {root}"
    root.mkdir()
    assert missing(BotDirectory(root, "main")) == f"no user 'main' in {root}"


def test_a_config_without_a_user_takes_the_only_choice(tmp_path: Path) -> None:
    [chosen] = watched_bots([config(tmp_path, user=None)], root=tmp_path, chosen=["okx/main"])
    assert chosen.name == "main"

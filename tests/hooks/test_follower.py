from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from monitor_files import append_event, now_ms, replace, state, write_state

from passivbot_hooks.sources.monitor import MonitorFollower
from passivbot_hooks.sources.monitor.complaints import COMPLAINT_EVERY_S
from passivbot_hooks.sources.monitor.liveness import STALE_AFTER_S
from passivbot_hooks.sources.monitor.locate import BotDirectory

#: After the start of the bot of the states here, whatever the time is.
LATER = 2_000_000_000_000


class Clocks:
    def __init__(self) -> None:
        self.wall_s = now_ms() / 1000
        self.monotonic_s = 100.0

    def go(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    return tmp_path / "fake" / "main"


@pytest.fixture
def follower(tmp_path: Path, clocks: Clocks) -> Iterator[MonitorFollower]:
    follower = MonitorFollower(
        "main",
        BotDirectory(tmp_path, "main"),
        wall_clock=lambda: clocks.wall_s,
        monotonic=lambda: clocks.monotonic_s,
    )
    yield follower
    follower.close()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


def test_it_starts_before_the_bot_does(follower: MonitorFollower, bot: Path) -> None:
    assert follower.poll() is None
    bot.mkdir(parents=True)
    assert follower.poll() is None
    write_state(bot, state())
    stats = follower.poll()
    assert stats is not None
    assert (stats.status, stats.balance) == ("running", 10_000.0)
    assert follower.poll() is None


def test_each_snapshot_is_told_even_if_only_its_time_is_new(follower: MonitorFollower, bot: Path) -> None:
    write_state(bot, state(timestamp=now_ms()))
    assert follower.poll() is not None
    write_state(bot, state(timestamp=now_ms() + 1))
    again = follower.poll()
    assert again is not None


def test_stale_then_stopped_then_running_again(follower: MonitorFollower, bot: Path, clocks: Clocks) -> None:
    document = state()
    document["meta"]["pid"] = os.getpid()
    write_state(bot, document)
    assert (first := follower.poll()) is not None
    assert first.status == "running"
    clocks.go(STALE_AFTER_S + 1)
    assert (second := follower.poll()) is not None
    assert second.status == "stale"
    append_event(bot, "bot.stop", first.timestamp)
    assert (third := follower.poll()) is not None
    assert third.status == "stopped"
    append_event(bot, "bot.start", first.timestamp + 1)
    write_state(bot, state(timestamp=int(clocks.wall_s * 1000)))
    assert (fourth := follower.poll()) is not None
    assert fourth.status == "running"


def test_a_clean_stop_is_told_at_once(follower: MonitorFollower, bot: Path) -> None:
    append_event(bot, "bot.start", now_ms())
    write_state(bot, state())
    follower.poll()
    append_event(bot, "bot.stop", now_ms())
    stats = follower.poll()
    assert stats is not None
    assert stats.status == "stopped"


def test_the_wall_clock_set_back_does_not_keep_a_dead_bot_alive(
    follower: MonitorFollower, bot: Path, clocks: Clocks
) -> None:
    document = state()
    document["meta"]["pid"] = None
    write_state(bot, document)
    follower.poll()
    clocks.go(STALE_AFTER_S + 1)
    clocks.wall_s -= 7200
    stats = follower.poll()
    assert stats is not None
    assert stats.status == "stale"


def test_a_snapshot_that_was_old_when_we_came_is_not_fresh(follower: MonitorFollower, bot: Path) -> None:
    document = state(timestamp=1_795_407_684_970 - 86_400_000 * 365)
    document["meta"]["pid"] = None
    write_state(bot, document)
    stats = follower.poll()
    assert stats is not None
    assert stats.status == "stale"


@pytest.mark.parametrize(
    "raw",
    [b"", b'{"schema_version"', b"\xff", b"{}", b"[" * 100_000, b" " * (33 * 1_048_576)],
    ids=["empty", "half", "not UTF-8", "no schema", "deep", "huge"],
)
def test_a_bad_file_leaves_the_last_good_snapshot_and_is_logged_once(
    raw: bytes, follower: MonitorFollower, bot: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_state(bot, state())
    assert follower.poll() is not None
    replace(bot / "state.latest.json", raw)
    assert [follower.poll() for _ in range(3)] == [None, None, None]
    replace(bot / "state.latest.json", raw + b" ")
    assert follower.poll() is None
    [error] = errors(caplog)
    assert error.startswith(f"bot 'main': {bot / 'state.latest.json'}: ")
    assert error.endswith("the last good snapshot stays in force")
    write_state(bot, state(timestamp=now_ms() + 5))
    assert follower.poll() is not None
    assert "is good again" in caplog.text


def test_a_file_that_stays_bad_is_complained_of_each_minute(
    follower: MonitorFollower, bot: Path, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        replace(bot / "state.latest.json", b"{" * (number + 1))
        follower.poll()
    [error] = errors(caplog)
    assert "last good" not in error  # there never was one
    clocks.go(COMPLAINT_EVERY_S)
    replace(bot / "state.latest.json", b"{")
    follower.poll()
    assert len(errors(caplog)) == 2


def test_a_directory_in_the_files_place(
    follower: MonitorFollower, bot: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (bot / "state.latest.json").mkdir(parents=True)
    assert follower.poll() is None
    assert len(errors(caplog)) == 1
    (bot / "state.latest.json").rmdir()
    write_state(bot, state())
    assert follower.poll() is not None


def test_an_unreadable_file_is_told(
    follower: MonitorFollower, bot: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bot.mkdir(parents=True)
    (bot / "state.latest.json").symlink_to("state.latest.json")
    assert follower.poll() is None
    [error] = errors(caplog)
    assert error.endswith(
        "cannot be read: Too many levels of symbolic links; no statistics until that changes"
    )


def test_a_file_that_was_there_and_is_gone_is_told_and_one_that_never_was_is_not(
    follower: MonitorFollower, bot: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bot.mkdir(parents=True)
    assert follower.poll() is None
    assert not errors(caplog)
    write_state(bot, state())
    assert follower.poll() is not None
    (bot / "state.latest.json").unlink()
    assert [follower.poll(), follower.poll()] == [None, None]
    [error] = errors(caplog)
    assert error.endswith("state.latest.json: is gone; the last good snapshot stays in force")
    shutil.rmtree(bot)
    follower.poll()
    bot.mkdir()  # it is another one, in which there was none
    follower.poll()
    assert len(errors(caplog)) == 1


def test_a_bot_whose_directory_is_deleted_is_stopped_at_once_and_comes_back(
    follower: MonitorFollower, bot: Path, tmp_path: Path, clocks: Clocks
) -> None:
    document = state()
    document["meta"]["pid"] = os.getpid()
    write_state(bot, document)
    follower.poll()
    shutil.rmtree(bot)
    stats = follower.poll()
    assert stats is not None
    assert (stats.status, stats.balance) == ("stopped", 10_000.0)
    assert follower.poll() is None
    # It comes back, on another exchange.
    write_state(tmp_path / "other" / "main", state(timestamp=int(clocks.wall_s * 1000)))
    shutil.rmtree(tmp_path / "fake")
    stats = follower.poll()
    assert stats is not None
    assert stats.status == "running"


def test_an_empty_directory_in_the_place_of_a_deleted_one_is_no_running_bot(
    follower: MonitorFollower, bot: Path
) -> None:
    write_state(bot, state())
    follower.poll()
    shutil.rmtree(bot)
    follower.poll()
    bot.mkdir()
    assert follower.poll() is None
    write_state(bot, state(timestamp=now_ms() + 1))
    stats = follower.poll()
    assert stats is not None
    assert stats.status == "running"


def test_the_same_directory_moved_away_and_back_runs_on(
    follower: MonitorFollower, bot: Path, tmp_path: Path
) -> None:
    write_state(bot, state())
    statuses = [follower.poll()]
    bot.rename(tmp_path / "away")
    statuses.append(follower.poll())
    (tmp_path / "away").rename(bot)
    statuses.append(follower.poll())
    assert [stats and stats.status for stats in statuses] == ["running", "stopped", "running"]


def test_what_was_there_is_history_and_what_comes_is_news(follower: MonitorFollower, bot: Path) -> None:
    write_state(bot, state())
    append_event(bot, "order.opened", LATER, id="old")
    follower.poll()
    assert follower.poll_events() == []
    append_event(bot, "order.opened", LATER, id="new")
    follower.poll()
    assert [event.details["order_id"] for event in follower.poll_events()] == ["new"]


def test_of_a_bot_that_appears_later_all_is_news(follower: MonitorFollower, bot: Path) -> None:
    follower.poll()
    append_event(bot, "bot.start", now_ms())
    follower.poll()
    assert [event.kind for event in follower.poll_events()] == ["bot.started"]


def test_what_was_written_before_the_deletion_is_told_and_so_is_what_comes_after(
    follower: MonitorFollower, bot: Path
) -> None:
    write_state(bot, state())
    append_event(bot, "bot.ready", now_ms())
    follower.poll()
    follower.poll_events()
    append_event(bot, "bot.stopped", now_ms())
    shutil.rmtree(bot)
    follower.poll()
    assert [event.kind for event in follower.poll_events()] == ["bot.stopped"]
    append_event(bot, "bot.start", now_ms())
    follower.poll()
    assert [event.kind for event in follower.poll_events()] == ["bot.started"]


def test_a_fill_of_before_the_start_that_the_state_tells_is_no_news(
    follower: MonitorFollower, bot: Path
) -> None:
    document = state()
    started = int(document["meta"]["bot_start_ts_ms"])
    write_state(bot, document)
    append_event(bot, "bot.ready", now_ms())
    follower.poll()
    follower.poll_events()
    append_event(bot, "order.filled", started - 1, id="old")
    append_event(bot, "order.filled", started + 1, id="new")
    follower.poll()
    assert [event.details["fill_id"] for event in follower.poll_events()] == ["new"]


def test_trouble_with_the_events_is_kept_apart_from_trouble_with_the_state(
    follower: MonitorFollower, bot: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (bot / "events" / "current.ndjson").mkdir(parents=True)
    for number in range(3):
        write_state(bot, state(timestamp=now_ms() + number))
        assert follower.poll() is not None
        assert follower.poll_events() == []
    [error] = errors(caplog)
    assert error.endswith("current.ndjson: not a regular file; no events until it is")
    assert "good again" not in caplog.text


def test_two_exchanges_that_appear_at_once_are_told_and_not_guessed(
    follower: MonitorFollower, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for exchange in ("one", "two"):
        write_state(tmp_path / exchange / "main", state())
    assert follower.poll() is None
    assert "say which: --bot one/main or --bot two/main" in errors(caplog)[0]


def test_nothing_is_read_when_nothing_changed(
    follower: MonitorFollower, bot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(bot, state())
    append_event(bot, "bot.start", 1)
    assert follower.poll() is not None
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("read again"))
    assert [follower.poll() for _ in range(3)] == [None, None, None]

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitor_files import append_event

from passivbot_hooks.sources.monitor.liveness import (
    STALE_AFTER_S,
    STOP_GRACE_MS,
    StopEvent,
    Vitals,
    is_process_gone,
    judge,
    stop_time,
)


def gone_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    return process.pid


OLD = STALE_AFTER_S + 1


@pytest.mark.parametrize(
    ("age_s", "stopped_at", "alive", "status"),
    [
        (0.0, None, True, "running"),
        (0.0, None, False, "running"),  # a container has process ids of its own
        (STALE_AFTER_S - 1, None, False, "running"),
        (OLD, None, True, "stale"),
        (OLD, None, False, "stopped"),
        (0.0, 1_000, True, "stopped"),
        (OLD, 1_000, True, "stopped"),
        (0.0, 1_000 - STOP_GRACE_MS, True, "stopped"),  # the shutdown's own last snapshot
        (0.0, 999 - STOP_GRACE_MS, True, "running"),  # a snapshot well after the stop: started again
    ],
)
def test_how_a_bot_is_judged(age_s: float, stopped_at: int | None, alive: bool, status: str) -> None:
    pid = os.getpid() if alive else gone_pid()
    assert judge(Vitals(age_s, snapshot_ts=1_000, stopped_at=stopped_at, pid=pid)) == status


def test_an_unknown_process_is_not_gone() -> None:
    assert not is_process_gone(None)


def lines(*kinds: str) -> bytes:
    events = [{"kind": kind, "ts": number} for number, kind in enumerate(kinds)]
    return "".join(json.dumps(event) + "\n" for event in events).encode()


@pytest.mark.parametrize(
    ("tail", "stopped_at"),
    [
        (b"", None),
        (lines("bot.start", "cycle.started"), None),
        (lines("bot.start", "bot.stop"), 1),
        (lines("bot.start", "bot.stop", "bot.stopping", "bot.shutdown.stage", "bot.stopped"), 4),
        # As v8.1 really ends: a stage comes after the last word.
        (lines("bot.stop", "bot.stopping", "bot.stopped", "bot.shutdown.stage"), 2),
        (lines("bot.stop", "bot.stopped", "bot.start"), None),
        (lines("bot.stopped", "bot.ready", "order.opened"), None),
        (lines("bot.stopped") + b'{"kind":"bot.start', 0),  # half a line
        (b'opped","ts":1}\n' + lines("bot.stop"), 0),  # begins within a line
        (b'{"kind": ["bot.stop"], "ts": 1}\n', None),
        (b'["bot.stop"]\n', None),
        (b'{"kind": "bot.stop", "ts": "1"}\n', None),
        (b'{"kind": "bot.stop", "x": ' + b"[" * 60_000 + b"\n", None),
    ],
)
def test_the_last_lifecycle_event_decides(tail: bytes, stopped_at: int | None) -> None:
    assert stop_time(tail) == stopped_at


@given(st.binary(max_size=200).map(lambda raw: raw + b'"bot.'))
def test_no_tail_raises(raw: bytes) -> None:
    assert stop_time(raw) is None


def test_events_are_read_when_the_file_changed_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = StopEvent(tmp_path / "events" / "current.ndjson")
    assert events.poll() is None
    append_event(tmp_path, "bot.start", 1)
    assert events.poll() is None
    for _ in range(3_000):  # much more than the tail that is read
        append_event(tmp_path, "order.opened", 2, symbol="BTC/USDT:USDT")
    append_event(tmp_path, "bot.stop", 3)
    assert events.poll() == 3
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("read again"))
    assert events.poll() == 3


def test_what_was_said_last_holds_while_the_file_is_rotated_away(tmp_path: Path) -> None:
    events = StopEvent(tmp_path / "events" / "current.ndjson")
    append_event(tmp_path, "bot.stop", 3)
    assert events.poll() == 3
    (tmp_path / "events" / "current.ndjson").rename(tmp_path / "events" / "old.ndjson")
    assert events.poll() == 3
    append_event(tmp_path, "bot.start", 4)
    assert events.poll() is None


def test_a_directory_in_the_events_place_leaves_no_descriptor(tmp_path: Path) -> None:
    (tmp_path / "current.ndjson").mkdir()
    events = StopEvent(tmp_path / "current.ndjson")
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert [events.poll() for _ in range(50)] == [None] * 50
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_fifo_in_the_events_place_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "current.ndjson")
    assert StopEvent(tmp_path / "current.ndjson").poll() is None

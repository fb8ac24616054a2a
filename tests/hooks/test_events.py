from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitor_files import append_event, append_events, event_line, rotate_events

from passivbot_hooks.sources.monitor.events import EventFollower, interesting_lines
from passivbot_hooks.sources.tailed_file import LINE_MAX_BYTES

LINES = [
    event_line("bot.start", 1, {"start_time_ms": 1}),
    event_line("remote_call.started", 2, {"kind": "a call"}),
    event_line("order.opened", 3, {"id": "1", "reason": 'says "kind":"order.filled" and \n'}),
    event_line("order.opened", 4, {"kind": "order.filled", "id": "2"}),
    b'{"kind": "bot.ready", "ts": 5, "payload": {}}\n',
    event_line("cycle.completed", 6, {}),
    event_line("bot.stopped", 7, {"reason": "done"}),
]
TOLD = ["bot.started", "order.placed", "order.placed", "bot.ready", "bot.stopped"]


class Followed:
    """A follower of one bot's events, and what it complained of."""

    def __init__(self, bot: Path, *, from_end: bool = False) -> None:
        self.bot = bot
        self.complaints: list[str] = []
        self.follower = EventFollower(
            bot / "events" / "current.ndjson", from_end=from_end, complain=self.complaints.append
        )

    def kinds(self) -> list[str]:
        return [event.kind for _ in range(3) for event in self.follower.poll(started_at=None)]


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    followed = Followed(tmp_path)
    yield followed
    followed.follower.close()


def test_the_kinds_that_matter_are_told_in_order(followed: Followed) -> None:
    append_events(followed.bot, b"".join(LINES))
    assert followed.kinds() == TOLD
    assert followed.complaints == []


def test_lines_are_told_apart_by_their_bytes() -> None:
    every = b"".join(LINES)
    assert list(interesting_lines(every)) == [LINES[index][:-1] for index in (0, 2, 3, 4, 6)]
    assert list(interesting_lines(b"")) == list(interesting_lines(b"\n\n")) == []


def test_half_lines_at_every_byte(followed: Followed) -> None:
    told: list[str] = []
    for number in b"".join(LINES):
        append_events(followed.bot, bytes([number]))
        told += followed.kinds()
    assert told == TOLD


@given(
    cuts=st.lists(st.integers(min_value=0, max_value=sum(map(len, LINES)))),
    rotations=st.sets(st.integers(min_value=0, max_value=len(LINES))),
)
def test_any_chunks_and_rotations_give_the_same_events(
    cuts: list[int], rotations: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    followed = Followed(tmp_path_factory.mktemp("bot"))
    told: list[str] = []
    written = 0
    for number, line in enumerate(LINES):
        inner = sorted(cut - written for cut in cuts if written < cut < written + len(line))
        for start, end in zip([0, *inner], [*inner, len(line)], strict=True):
            append_events(followed.bot, line[start:end])
            told += [event.kind for event in followed.follower.poll(started_at=None)]
        written += len(line)
        if number in rotations:
            rotate_events(followed.bot)
    told += followed.kinds()
    followed.follower.close()
    assert told == TOLD


def test_what_is_written_just_before_a_rotation_is_told(followed: Followed) -> None:
    append_event(followed.bot, "bot.start", 1)
    assert followed.kinds() == ["bot.started"]
    append_event(followed.bot, "bot.ready", 2)
    rotate_events(followed.bot)
    append_event(followed.bot, "bot.stopped", 3)
    assert followed.kinds() == ["bot.ready", "bot.stopped"]
    assert len(list((followed.bot / "events").glob("*.gz"))) == 1


def test_the_second_half_of_what_was_written_before_we_came_is_no_news(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"f1").hexdigest()
    append_event(tmp_path, "error.bot", 1, x="x" * 2 * LINE_MAX_BYTES)  # only the end is looked at
    append_event(tmp_path, "bot.start", 1, start_time_ms=1)
    append_event(tmp_path, "order.filled", 2, id="f1")
    followed = Followed(tmp_path, from_end=True)
    assert followed.kinds() == []
    append_event(tmp_path, "bot.started", 3, start_time_ms=1)
    append_event(tmp_path, "fill.ingested", 3, fill_id_hash=digest)
    append_event(tmp_path, "position.changed", 3, old_size=0, new_size=1)  # found at its start, not opened
    append_event(tmp_path, "bot.ready", 4)
    append_event(tmp_path, "order.filled", 5, id="f2")
    assert followed.kinds() == ["bot.ready", "fill"]
    assert followed.complaints == []
    followed.follower.close()


def test_lines_that_cannot_be_used_are_skipped_with_a_reason(followed: Followed) -> None:
    bad = {
        b'{"kind":"error.bot"': "not valid JSON",
        b'\xff{"kind":"error.bot"}': "not valid JSON",
        b'{"kind":"error.bot","payload":{},"ts":%s}' % (b"9" * 5_000): "not valid JSON",
        b'["kind","error.bot",{"kind":"error.bot"}]': "not a JSON object",
        b'{"kind":"error.bot","payload":3,"ts":1}': "error.bot: without a time or a payload",
        b'{"kind":"error.bot","payload":{},"ts":null}': "error.bot: without a time or a payload",
        b'{"kind":"error.bot"%s}' % (b" " * LINE_MAX_BYTES): "longer than 262144 bytes",
        b'{"kind":"error.bot","x":' + b"[" * 100_000: "not valid JSON",
        b"\x00\xfe garbage of no kind": "",
    }
    for line in bad:
        append_events(followed.bot, line + b"\n")
        append_events(followed.bot, event_line("order.opened", 1, {}))
    assert followed.kinds() == ["order.placed"] * len(bad)
    path = followed.bot / "events" / "current.ndjson"
    assert followed.complaints == [f"{path}: a line was skipped: {why}" for why in bad.values() if why]


def test_an_endless_line_is_skipped_with_a_reason(followed: Followed) -> None:
    append_events(followed.bot, b'{"kind":"error.bot"' + b" " * LINE_MAX_BYTES)
    assert followed.kinds() == []
    append_events(followed.bot, b"}\n" + event_line("order.opened", 1, {}))
    assert followed.kinds() == ["order.placed"]
    assert [complaint.rpartition(": ")[2] for complaint in followed.complaints] == [
        "longer than 262144 bytes"
    ]


def test_a_file_that_cannot_be_read_is_complained_of_and_read_later(followed: Followed) -> None:
    path = followed.bot / "events" / "current.ndjson"
    path.parent.mkdir()
    path.symlink_to(path)
    assert followed.kinds() == []
    assert "cannot be read: Too many levels of symbolic links" in followed.complaints[0]
    path.unlink()
    append_event(followed.bot, "bot.start", 1)
    assert followed.kinds() == ["bot.started"]


_GIVEN = os.environ.get("PASSIVBOT_MONITOR_FILES", "")


@pytest.mark.skipif(
    not _GIVEN, reason="PASSIVBOT_MONITOR_FILES names no folder of a real bot's monitor files"
)
@pytest.mark.parametrize("step", [None, 4_096])
def test_real_files_of_real_bots(step: int | None, tmp_path: Path) -> None:
    paths = sorted(Path(_GIVEN).glob("*/*/*/events/current.ndjson"))
    assert paths
    for number, path in enumerate(paths):
        raw = path.read_bytes()
        documents = [json.loads(line) for line in raw.splitlines()]
        written = [document["kind"] for document in documents]
        followed = Followed(tmp_path / str(number))
        told = []
        for start in range(0, len(raw), step or len(raw)):
            append_events(followed.bot, raw[start : start + (step or len(raw))])
            told += followed.follower.poll(started_at=None)
        followed.follower.close()
        kinds = [event.kind for event in told]
        assert followed.complaints == []
        assert [kind for kind in kinds if kind.startswith("bot.")] == [
            "bot.started", "bot.ready", "bot.stopping", "bot.stopped"
        ]  # fmt: skip
        # What a bot reads anew at its start is no news: old fills, and positions that it finds.
        fills = [document["ts"] for document in documents if document["kind"] == "order.filled"]
        assert fills
        assert kinds.count("fill") == sum(fill >= documents[0]["ts"] for fill in fills)
        ready = written.index("bot.ready")
        moved = [
            number > ready or document["payload"]["old_size"] != 0
            for number, document in enumerate(documents)
            if document["kind"] == "position.changed" and document["payload"]["size_delta"]
        ]
        assert sum(kind.startswith("position.") for kind in kinds) == sum(moved) < len(moved)
        assert kinds.count("order.placed") == written.count("order.opened")
        assert kinds.count("order.cancelled") == written.count("order.canceled")
        assert kinds.count("error") == written.count("error.bot") + written.count("error.exchange")
        assert all(event.timestamp >= told[0].timestamp for event in told)

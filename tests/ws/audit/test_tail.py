from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.audit.file import AuditFile
from passivbot_ws_plugin.audit.store import AuditFileError, rotated
from passivbot_ws_plugin.audit.tail import Table, Tail

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
FIELDS = st.sampled_from(["ts", "event", "peer", "key", "method", "reason", "count", "failures"])


def test_a_table_is_aligned_and_leaves_out_nothing() -> None:
    record = {
        "ts": "2026-01-01T12:00:00.000Z",
        "event": "auth.failure",
        "peer": "2001:db8::1234:5678",
        "key": "k",
        "method": "token",
        "reason": "wrong token",
        "count": 7,
        "failures": 12,
    }
    lines = [json.dumps(each).encode() + b"\n" for each in (record, {"ts": "short"})]
    table = Table()
    rows = table.rows(lines)
    header = table.header()
    assert header.split() == ["time", "event", "peer", "key", "method", "reason", "count", "failures"]
    for title, value in zip(header.split(), [*record.values()], strict=True):
        at = header.index(title)
        assert rows[0][at:].startswith(str(value))
        assert rows[1][at : at + 6].strip() in {"-", "short"}


@given(st.dictionaries(FIELDS, JSON) | JSON)
def test_nothing_but_printable_ascii_reaches_the_terminal(value: object) -> None:
    [row] = Table().rows([json.dumps(value).encode() + b"\n"])
    assert row.isascii()
    assert row.isprintable()
    assert len(row) < 250


@given(st.binary(max_size=100))
def test_a_line_that_is_no_record_is_shown_as_one(line: bytes) -> None:
    [row] = Table().rows([line + b"\x1b[2K\n"])
    assert row.startswith("(not a record: ")
    assert row.isascii()
    assert row.isprintable()


def test_deep_and_huge_values_do_not_raise() -> None:
    lines = [b"[" * 60_000 + b"\n", b'{"ts":' + b"9" * 5000 + b"}\n", b'{"ts":"' + b"x" * 9000 + b'"}\n']
    rows = Table().rows(lines)
    assert rows[1].startswith("(not a record")
    assert rows[2].startswith("x" * 27 + "...  ")


def append(file: AuditFile, *names: str) -> None:
    for name in names:
        file.append({"n": name})


def names(lines: list[bytes]) -> list[str]:
    return [json.loads(line)["n"] for line in lines]


def test_the_last_lines_and_then_the_new_ones(tmp_path: Path) -> None:
    with AuditFile(tmp_path / "a", max_bytes=10_000, keep=3) as file:
        append(file, "a", "b", "c")
        with Tail(tmp_path / "a") as tail:
            assert names(tail.last(2)) == ["b", "c"]
            assert tail.poll() == []
            append(file, "d")
            assert names(tail.poll()) == ["d"]


def test_no_line_is_lost_in_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with AuditFile(path, max_bytes=400, keep=3) as file:
        append(file, "a")
        with Tail(path) as tail:
            assert names(tail.last(9)) == ["a"]
            append(file, "b", "c")  # b into the old file, c into the new one
            assert rotated(path, 1).exists()
            assert names(tail.poll()) == ["b", "c"]
            path.rename(tmp_path / "elsewhere")
            assert tail.poll() == []  # until the new file is there
            append(file, "d")
            assert names(tail.poll()) == ["d"]


def test_half_a_line_waits_for_the_other_half_and_a_truncated_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b'{"n":')
    with Tail(path) as tail:
        assert tail.last(5) == []
        with path.open("ab") as file:
            file.write(b'"x"}\n')
        assert names(tail.poll()) == ["x"]
        os.truncate(path, 0)
        assert tail.poll() == []
        path.write_bytes(b'{"n":"y"}\n')
        assert names(tail.poll()) == ["y"]


def test_a_line_without_an_end_is_not_held_for_ever(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1_000_000)
    with Tail(tmp_path / "a") as tail:
        assert len(tail.last(100)) > 10
        assert len(tail._rest) < 70_000


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(AuditFileError, match="not a regular file"):
        Tail(tmp_path / "a")

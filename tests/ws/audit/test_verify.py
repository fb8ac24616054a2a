from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from passivbot_ws_plugin.audit.chain import START, Head, encode_head
from passivbot_ws_plugin.audit.file import AuditFile
from passivbot_ws_plugin.audit.store import AuditFileError, read_head, read_key, rotated
from passivbot_ws_plugin.audit.verify import Report, verify

RECORD = {"ts": "now", "event": "auth.failure", "reason": "wrong token"}


def written(path: Path, count: int, max_bytes: int = 10_000_000, keep: int = 9) -> Path:
    with AuditFile(path, max_bytes=max_bytes, keep=keep) as file:
        file.open()
        for _ in range(count):
            file.append(RECORD)
    return path


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def fault(path: Path) -> tuple[int, str] | None:
    report = verify(path)
    return None if report.fault is None else (report.fault.line, report.fault.flaw.kind)


def heads(path: Path) -> tuple[bytes, Head]:
    key = read_key(path)
    head = read_head(path, key)
    assert head is not None
    return key, head


def test_a_file_that_nobody_touched_holds(tmp_path: Path) -> None:
    report = verify(written(tmp_path / "audit.jsonl", 5))
    assert (report.records, report.fault, report.is_anchored) == (5, None, True)


def test_an_empty_file_of_a_chain_that_has_not_begun_holds(tmp_path: Path) -> None:
    assert verify(written(tmp_path / "audit.jsonl", 0)) == Report()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda path: path.write_bytes(path.read_bytes().replace(b"wrong", b"right", 1)), (1, "edited")),
        (lambda path: path.write_bytes(b"".join(lines(path)[1:])), (1, "removed")),
        (lambda path: path.write_bytes(b"".join(lines(path)[:2] + lines(path)[3:])), (3, "removed")),
        (lambda path: path.write_bytes(b"".join(lines(path)[:3])), (4, "truncated")),
        (lambda path: path.write_bytes(b""), (1, "truncated")),
        (lambda path: os.truncate(path, path.stat().st_size - 9), (4, "half_line")),
        (lambda path: path.write_bytes(path.read_bytes() + b"x" * 70_000 + b"\n"), (5, "too_long")),
        (lambda path: path.write_bytes(path.read_bytes() + b"hello\n"), (5, "not_json")),
        (lambda path: rotated(path, "head").unlink(), (5, "no_head")),
        (lambda path: rotated(path, "head").write_bytes(b"x" * 151), (5, "no_head")),
        (lambda path: rotated(path, "head").write_bytes(encode_head(START, read_key(path))), (5, "no_head")),
        (lambda path: rotated(path, "key").write_text("a" * 64), (1, "wrong_key")),
    ],
)
def test_each_kind_of_tampering_is_named(
    change: Callable[[Path], object], expected: tuple[int, str] | None, tmp_path: Path
) -> None:
    path = written(tmp_path / "audit.jsonl", 4)
    change(path)
    assert fault(path) == expected


def test_the_last_line_alone_edited_is_not_taken_for_a_wrong_key(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.jsonl", 1)
    path.write_bytes(path.read_bytes().replace(b"wrong", b"right"))
    assert fault(path) == (1, "edited")


def test_a_line_exchanged_for_one_of_an_older_copy_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.jsonl", 2)
    key, head = heads(path)
    written(path, 1)
    rotated(path, "head").write_bytes(encode_head(Head(3, head.mac), key))
    assert fault(path) == (4, "truncated")


def test_one_line_more_than_the_head_says_is_a_writer_at_work(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.jsonl", 2)
    before = rotated(path, "head").read_bytes()
    written(path, 1)
    rotated(path, "head").write_bytes(before)
    assert fault(path) is None
    written(path, 1)
    rotated(path, "head").write_bytes(before)
    assert fault(path) == (5, "no_head")


def rotated_thrice(tmp_path: Path) -> Path:
    path = written(tmp_path / "audit.jsonl", 8, max_bytes=600)
    assert [len(lines(rotated(path, number))) for number in range(4)] == [2, 2, 2, 2]
    return path


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_every_file_of_a_rotated_chain_holds(number: int, tmp_path: Path) -> None:
    report = verify(rotated(rotated_thrice(tmp_path), number))
    assert (report.records, report.fault, report.is_anchored) == (2, None, True)


@pytest.mark.parametrize(
    ("number", "kept", "expected"),
    [
        (0, slice(1, 2), {0: (1, "removed"), 1: (3, "truncated"), 2: None}),
        (1, slice(0, 1), {0: (1, "removed"), 1: (2, "truncated"), 2: None}),
        (1, slice(1, 2), {0: None, 1: (1, "removed"), 2: (3, "truncated")}),
        (2, slice(0, 1), {0: None, 1: (1, "removed"), 2: (2, "truncated")}),
        (1, slice(0, 0), {0: (1, "removed"), 1: (1, "truncated")}),
    ],
)
def test_what_is_cut_off_at_a_seam_is_named_on_both_sides(
    number: int, kept: slice, expected: dict[int, tuple[int, str] | None], tmp_path: Path
) -> None:
    path = rotated_thrice(tmp_path)
    file = rotated(path, number)
    file.write_bytes(b"".join(lines(file)[kept]))
    assert {number: fault(rotated(path, number)) for number in expected} == expected


def test_a_whole_file_taken_out_is_named(tmp_path: Path) -> None:
    path = rotated_thrice(tmp_path)
    rotated(path, 2).unlink()
    assert fault(rotated(path, 1)) == (1, "removed")
    assert fault(rotated(path, 3)) == (3, "truncated")
    rotated(path, 3).rename(rotated(path, 2))
    assert fault(rotated(path, 1)) == (1, "removed")
    assert fault(rotated(path, 2)) == (3, "truncated")


def test_several_files_taken_out_from_between_are_named_on_both_sides(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.jsonl", 12, max_bytes=600)
    for number in (2, 3):
        rotated(path, number).unlink()
    assert [fault(rotated(path, number)) for number in (0, 1, 4, 5)] == [
        None, (1, "removed"), (3, "truncated"), None,
    ]  # fmt: skip


def test_a_rotation_meanwhile_is_no_fault(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.jsonl", 200, max_bytes=10_000)

    def rotate() -> None:
        with AuditFile(path, max_bytes=10_000, keep=9) as file:
            for _ in range(40):  # some 25 are a file
                file.append(RECORD)

    for number in range(90):
        writer = threading.Thread(target=rotate)
        writer.start()
        try:
            assert fault(rotated(path, number % 3)) is None
        finally:
            writer.join()


def test_all_older_files_taken_out_is_named(tmp_path: Path) -> None:
    path = rotated_thrice(tmp_path)
    for number in (1, 2, 3):
        rotated(path, number).unlink()
    assert fault(path) == (1, "removed")


def test_the_oldest_file_may_begin_within_the_chain(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.jsonl", 8, max_bytes=600, keep=2)
    report = verify(rotated(path, 2))
    assert (report.records, report.fault, report.is_anchored) == (2, None, False)


def test_a_rotation_that_stopped_halfway_is_no_fault(tmp_path: Path) -> None:
    path = rotated_thrice(tmp_path)
    for number in (3, 2, 1):
        rotated(path, number).rename(rotated(path, number + 1))
    assert fault(path) is None
    written(path, 1, max_bytes=600)
    assert [fault(rotated(path, number)) for number in range(5)] == [None] * 5


def test_the_newest_older_file_is_compared_with_the_head_while_there_is_no_newer_one(tmp_path: Path) -> None:
    path = rotated_thrice(tmp_path)
    path.unlink()
    assert fault(rotated(path, 1)) == (3, "truncated")


def test_a_fault_of_the_newer_file_is_not_blamed_on_the_older(tmp_path: Path) -> None:
    path = rotated_thrice(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"wrong", b"right", 1))
    assert fault(path) == (1, "edited")
    assert fault(rotated(path, 1)) is None


def test_an_older_file_is_compared_with_a_newer_one_that_begins_with_a_break(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.jsonl", 3, max_bytes=600)
    os.truncate(path, 0)
    written(path, 1, max_bytes=600)
    assert fault(path) == (1, "broken")
    assert fault(rotated(path, 1)) == (3, "truncated")  # the lost one could have been here


def test_a_log_may_be_called_what_an_older_file_is(tmp_path: Path) -> None:
    assert verify(written(tmp_path / "audit.1", 3)).records == 3


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.jsonl", 1)
    with pytest.raises(FileNotFoundError):
        verify(rotated(path, 1))
    rotated(path, "key").write_text("")
    with pytest.raises(AuditFileError, match="key: is damaged, not 64 hexadecimal digits"):
        verify(path)
    rotated(path, "key").unlink()
    with pytest.raises(AuditFileError, match="no such file; the key must lie beside the audit file"):
        verify(path)
    os.mkfifo(rotated(path, "key"))
    with pytest.raises(AuditFileError, match="not a regular file"):
        verify(path)


def test_a_file_is_verified_while_it_grows_and_rotates(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditFile(path, max_bytes=1500, keep=3) as file:
        for _ in range(40):
            file.append(RECORD)
            assert fault(path) is None

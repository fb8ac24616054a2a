from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from passivbot_ws_plugin.audit.chain import START, encode_head
from passivbot_ws_plugin.audit.file import AuditFile
from passivbot_ws_plugin.audit.store import AuditFileError, read_head, read_key, rotated
from passivbot_ws_plugin.audit.verify import verify

RECORD = {"ts": "now", "event": "auth.failure", "reason": "wrong token"}


def write(path: Path, count: int = 1) -> None:
    with AuditFile(path, max_bytes=600, keep=5) as file:
        file.open()
        for _ in range(count):
            file.append(RECORD)


def fault(path: Path) -> tuple[int, str] | None:
    report = verify(path)
    return None if report.fault is None else (report.fault.line, report.fault.flaw.kind)


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage().split()[0]) for record in caplog.records]


def unlink(*paths: Path) -> None:
    for path in paths:
        path.unlink()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_a_crash_between_the_line_and_the_head_is_mended(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path)
    behind = rotated(path, "head").read_bytes()
    write(path)
    rotated(path, "head").write_bytes(behind)
    write(path, 0)
    head = read_head(path, read_key(path))
    assert head is not None
    assert head.seq == 2
    assert not caplog.records
    assert fault(path) is None


def test_a_crash_between_the_very_first_line_and_the_head_is_mended(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path)
    rotated(path, "head").write_bytes(encode_head(START, read_key(path)))
    write(path)
    assert not caplog.records
    assert fault(path) is None


@pytest.mark.parametrize("cut", [1, 2, 100, 200])
def test_a_crash_within_a_line_costs_that_line_only(
    cut: int, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path)
    before, head = path.read_bytes(), rotated(path, "head").read_bytes()
    write(path)
    os.truncate(path, path.stat().st_size - cut)
    rotated(path, "head").write_bytes(head)
    write(path, 0)
    assert path.read_bytes() == before
    assert said(caplog) == [(logging.WARNING, "event=audit.half_line_cut_off")]
    write(path)
    assert fault(path) is None


def test_a_crash_within_the_first_start_is_a_first_start(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, 0)
    rotated(path, "key").write_bytes(b"")  # the head was there, the key not yet
    write(path)
    rotated(path.with_name("other"), "key").touch(0o600)  # neither was
    write(path.with_name("other"))
    assert not caplog.records
    assert fault(path) is fault(path.with_name("other")) is None


@pytest.mark.parametrize("stage", ["older renamed", "log renamed", "new one empty"])
def test_a_crash_within_a_rotation_is_carried_on(
    stage: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, 4)
    rotated(path, 1).rename(rotated(path, 2))
    if stage != "older renamed":
        path.rename(rotated(path, 1))
    if stage == "new one empty":
        path.touch(0o600)
    rotated(path, "new").touch(0o600)
    write(path, 3)
    assert not caplog.records
    older = [rotated(path, number) for number in range(4) if rotated(path, number).exists()]
    assert sum(verify(file).records for file in older) == 7
    assert [fault(file) for file in older] == [None] * len(older)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda path: rotated(path, "head").unlink(), (3, "broken")),
        (lambda path: rotated(path, "head").write_bytes(b"junk"), (3, "broken")),
        (lambda path: rotated(path, "head").write_bytes(b"\0" * 151), (3, "broken")),
        (lambda path: rotated(path, "key").unlink(), (1, "edited")),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"wrong", b"right")), (1, "edited")),
        (lambda path: path.write_bytes(path.read_bytes() + b"{}\n"), (3, "edited")),
        (lambda path: os.truncate(path, path.stat().st_size - 1), (2, "broken")),
        (lambda path: os.truncate(path, 0), (1, "broken")),
        (lambda path: path.unlink(), (1, "broken")),
        (lambda path: unlink(path, rotated(path, "head")), (1, "broken")),
        (lambda path: unlink(path, rotated(path, "key")), (1, "broken")),
    ],
)
def test_what_somebody_did_while_it_was_closed_is_logged_and_named_for_good(
    change: Callable[[Path], object], named: tuple[int, str], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with AuditFile(path, max_bytes=10_000, keep=5) as file:
        file.append(RECORD)
        file.append(RECORD)
    change(path)
    for _ in range(2):
        with AuditFile(path, max_bytes=10_000, keep=5) as file:
            file.append(RECORD)
    assert [entry for entry in said(caplog) if entry[0] == logging.ERROR] == [
        (logging.ERROR, "event=audit.chain_broken")
    ]
    assert fault(path) == named


def test_all_of_it_removed_is_a_new_beginning(path: Path) -> None:
    write(path, 2)
    for entry in path.parent.iterdir():
        entry.unlink()
    write(path)
    assert verify(path).records == 1


def test_a_damaged_key_is_not_overwritten(path: Path) -> None:
    write(path)
    rotated(path, "key").write_text("mine")
    with pytest.raises(AuditFileError, match="move it and the audit file away to begin anew"):
        write(path)
    assert rotated(path, "key").read_text() == "mine"

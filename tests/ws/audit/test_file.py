from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from passivbot_ws_plugin.audit.chain import BROKEN
from passivbot_ws_plugin.audit.file import AuditFile
from passivbot_ws_plugin.audit.store import AuditFileError, rotated
from passivbot_ws_plugin.audit.verify import verify
from passivbot_ws_plugin.errors import WebSocketPluginError

RECORD = {"ts": "now", "event": "auth.failure", "reason": "wrong token"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "deep" / "audit.jsonl"


@pytest.fixture
def file(path: Path) -> Iterator[AuditFile]:
    with AuditFile(path, max_bytes=10_000, keep=2) as file:
        yield file


def append(file: AuditFile, count: int = 1) -> None:
    for _ in range(count):
        file.append(RECORD)


def seqs(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_bytes().splitlines()]


def fault(path: Path) -> tuple[int, str] | None:
    report = verify(path)
    return None if report.fault is None else (report.fault.line, report.fault.flaw.kind)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_record_is_one_line_with_its_fields_in_their_order(file: AuditFile, path: Path) -> None:
    append(file, 2)
    first, second = map(json.loads, path.read_bytes().splitlines())
    assert list(first) == ["ts", "event", "seq", "reason", "prev", "mac"]
    assert (first["seq"], first["prev"]) == (1, "0" * 64)
    assert (second["seq"], second["prev"]) == (2, first["mac"])


def test_all_it_makes_is_for_the_owner_only(file: AuditFile, path: Path, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)  # noqa: PTH101
    old = os.umask(0)
    try:
        for _ in range(100):
            file.append(RECORD)
    finally:
        os.umask(old)
    names = ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.head", "audit.jsonl.key"]
    assert sorted(entry.name for entry in path.parent.iterdir()) == names
    assert {entry.stat().st_mode & 0o777 for entry in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == path.parents[1].stat().st_mode & 0o777 == 0o700
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["audit.jsonl", "audit.jsonl.key", "audit.jsonl.head"])
def test_a_file_that_others_can_read_is_made_private(
    name: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with AuditFile(path, max_bytes=10_000, keep=2) as file:
        append(file)
    where = path.with_name(name)
    where.chmod(0o644)
    with AuditFile(path, max_bytes=10_000, keep=2) as file:
        append(file)
    assert where.stat().st_mode & 0o777 == 0o600
    assert f"event=audit.made_private path={where} mode_was=0644" in caplog.text
    assert fault(path) is None


@pytest.mark.parametrize("name", ["audit.jsonl", "audit.jsonl.key", "audit.jsonl.head"])
@pytest.mark.parametrize(
    ("put", "said"),
    [
        (lambda where: where.symlink_to("/etc/passwd"), "is a symbolic link; give the path that"),
        (os.mkfifo, "is not a regular file"),
        (lambda where: where.mkdir(), "Is a directory"),
    ],
)
def test_what_is_no_file_of_ours_is_not_written_to(
    name: str, put: Callable[[Path], object], said: str, file: AuditFile, path: Path
) -> None:
    path.parent.mkdir(parents=True)
    put(path.with_name(name))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(OSError, match=said):
        append(file)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_the_chain_goes_on_after_a_restart(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        with AuditFile(path, max_bytes=10_000, keep=2) as file:
            append(file, 2)
    assert seqs(path) == [1, 2, 3, 4, 5, 6]
    assert fault(path) is None
    assert not caplog.records


def test_rotation_keeps_so_many_and_carries_the_chain_on(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with AuditFile(path, max_bytes=600, keep=2) as file:
        append(file, 9)
    assert [seqs(rotated(path, number)) for number in (2, 1, 0)] == [[5, 6], [7, 8], [9]]
    assert not rotated(path, 3).exists()
    assert not rotated(path, "new").exists()
    assert max(rotated(path, number).stat().st_size for number in (0, 1, 2)) <= 600
    assert not caplog.records


def test_fewer_are_kept_when_the_setting_says_so(path: Path) -> None:
    with AuditFile(path, max_bytes=600, keep=5) as file:
        append(file, 11)
    with AuditFile(path, max_bytes=600, keep=1) as file:
        append(file, 2)
    assert seqs(rotated(path, 1)) == [11, 12]
    assert not rotated(path, 2).exists()
    assert fault(path) is None


def test_a_record_larger_than_a_file_gets_one_of_its_own(path: Path) -> None:
    with AuditFile(path, max_bytes=1, keep=3) as file:
        append(file, 3)
    assert [seqs(rotated(path, number)) for number in (2, 1, 0)] == [[1], [2], [3]]


@pytest.mark.parametrize(("max_bytes", "keep"), [(0, 1), (1, 0), (-1, 1)])
def test_bounds_that_are_none_are_refused(max_bytes: int, keep: int, path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        AuditFile(path, max_bytes=max_bytes, keep=keep)


def test_a_rotation_that_fails_lets_the_file_grow(
    file: AuditFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(file)
    rotated(path, "new").mkdir()
    append(file, 60)
    assert seqs(path) == list(range(1, 62))
    [error] = errors(caplog)  # once
    assert "audit.not_rotated" in error
    rotated(path, "new").rmdir()
    append(file)
    assert seqs(path) == [62]
    assert fault(path) is None


def test_a_rotation_that_cannot_rename_lets_the_file_grow(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with AuditFile(path, max_bytes=600, keep=1) as file:
        append(file)
        rotated(path, 1).mkdir()
        append(file, 4)
        [error] = errors(caplog)
        assert "audit.not_rotated" in error
        assert seqs(path) == [1, 2, 3, 4, 5]
        rotated(path, 1).rmdir()
        append(file)
    assert (seqs(rotated(path, 1)), seqs(path)) == ([1, 2, 3, 4, 5], [6])
    assert fault(path) is None


def test_a_second_writer_is_told_what_to_do(file: AuditFile, path: Path) -> None:
    append(file)
    with AuditFile(path, max_bytes=10_000, keep=2) as second:
        with pytest.raises(AuditFileError) as caught:
            append(second)
        assert str(caught.value) == (
            f"{path}: another process writes this audit file; "
            "set another plugins.websocket.audit.path for one of the two"
        )
        assert isinstance(caught.value, WebSocketPluginError)
        append(file)
        file.close()
        append(second)  # the first one is gone
    assert seqs(path) == [1, 2, 3]
    assert fault(path) is None


_WRITER = """
import sys
from pathlib import Path
from passivbot_ws_plugin.audit.file import AuditFile
file = AuditFile(Path(sys.argv[1]), max_bytes=2000, keep=50)
print("ready", flush=True)
sys.stdin.readline()
try:
    for _ in range(100):
        file.append({"ts": "t", "event": "e"})
except OSError as exc:
    print(type(exc).__name__, flush=True)
else:
    print("written", flush=True)
sys.stdin.readline()
"""


def test_of_many_processes_at_once_one_writes_and_one_key_is_made(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    said = [writer.stdout.readline() for writer in writers if writer.stdout]
    for writer in writers:
        writer.communicate("\n", timeout=20)
    assert sorted(said) == ["AuditFileError\n"] * 4 + ["written\n"]
    older = [rotated(path, number) for number in range(40) if rotated(path, number).exists()]
    assert len(older) > 5
    assert sum(verify(file).records for file in older) == 100
    assert [fault(file) for file in older] == [None] * len(older)


def truncate(path: Path) -> None:
    os.truncate(path, len(path.read_bytes().splitlines(keepends=True)[0]))


def replace_by_another(path: Path) -> None:
    path.with_name("other").write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    path.with_name("other").replace(path)


def remove_all(path: Path) -> None:
    for entry in path.parent.iterdir():
        entry.unlink()
    path.parent.rmdir()


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as other:
        other.write(data)


@pytest.mark.parametrize(
    ("change", "what", "named"),
    [
        (truncate, "truncated", (2, "broken")),
        (lambda path: os.truncate(path, 0), "truncated", (1, "broken")),
        (lambda path: path.unlink(), "removed or moved away", (1, "broken")),
        (replace_by_another, "replaced", (2, "broken")),
        (remove_all, "removed or moved away", (1, "broken")),
        (lambda path: add(path, b'{"seq":4}\n'), "written to by somebody else", (4, "edited")),
        (lambda path: add(path, b"x" * 70_000), "written to by somebody else", (4, "too_long")),
    ],
)
def test_what_somebody_does_to_the_open_file_is_noticed_and_named_for_good(
    change: Callable[[Path], object],
    what: str,
    named: tuple[int, str],
    path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with AuditFile(path, max_bytes=200_000, keep=2) as file:
        append(file, 3)
        change(path)
        append(file, 2)
        said = errors(caplog)
        assert len(said) == 2
        assert f"event=audit.changed_underneath path={path} what=" in said[0]
        assert what in said[0]
        assert "event=audit.chain_broken" in said[1]
        assert seqs_at_end(path) == [4, 5]
    with AuditFile(path, max_bytes=200_000, keep=2) as file:
        append(file)
    assert len(errors(caplog)) == 2
    assert fault(path) == named


def seqs_at_end(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_bytes().splitlines()[-2:]]


def test_half_a_line_that_somebody_adds_is_cut_off(
    file: AuditFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(file)
    add(path, b"half")
    append(file)
    assert seqs(path) == [1, 2]
    assert "audit.half_line_cut_off" in caplog.text
    assert fault(path) is None


def test_a_log_that_was_moved_to_its_older_name_is_no_break(
    file: AuditFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(file, 2)
    path.rename(rotated(path, 1))
    append(file)
    assert "removed or moved away" in caplog.text
    assert (seqs(rotated(path, 1)), seqs(path)) == ([1, 2], [3])
    assert fault(path) is fault(rotated(path, 1)) is None


def test_a_break_is_remembered_until_it_is_on_file(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with AuditFile(path, max_bytes=10_000, keep=2) as file:
        append(file, 3)
    truncate(path)
    for _ in range(2):  # two starts without a record
        with AuditFile(path, max_bytes=10_000, keep=2) as file:
            file.open()
    assert len(errors(caplog)) == 2
    assert fault(path) == (2, "truncated")
    with AuditFile(path, max_bytes=10_000, keep=2) as file:
        append(file)
    assert json.loads(path.read_bytes().splitlines()[-1])["prev"] == BROKEN
    assert seqs(path) == [1, 4]
    assert fault(path) == (2, "broken")

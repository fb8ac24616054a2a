"""Disks that are full or read-only, and descriptors that are all in use: real ones."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import Disk, SmallFiles, mount, small_disk

from passivbot_ws_plugin.audit import LOGGER_NAME, Audit, Visitor
from passivbot_ws_plugin.audit.file import AuditFile
from passivbot_ws_plugin.audit.store import rotated, store_key
from passivbot_ws_plugin.audit.verify import verify

RECORD = {"ts": "now", "event": "auth.failure", "reason": "x" * 900}
VISITOR = Visitor("c0ffee00", "127.0.0.1", 5, None, "x" * 200, "/")


@pytest.fixture(params=["disk", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, is_mounted=request.param == "disk") as disk:
        yield disk


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be written to, with an audit file in it."""
    folder = tmp_path / "logs"
    folder.mkdir()
    is_mounted = mount(folder)
    with AuditFile(folder / "audit.jsonl", max_bytes=10_000, keep=2) as file:
        file.append(RECORD)
    if is_mounted:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
    else:
        for entry in folder.iterdir():
            entry.chmod(0o400)
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)


def seqs(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_bytes().splitlines()]


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("passivbot_ws")]
    return [message.split()[0] for message in messages if message.startswith("event=")]


def test_a_full_disk_takes_a_whole_record_or_nothing(disk: Disk) -> None:
    with AuditFile(disk.path, max_bytes=1_000_000, keep=2) as file:
        file.append(RECORD)
        for _ in range(3):
            disk.fill()
            with contextlib.suppress(OSError):
                while True:  # what is left of the last block
                    file.append(RECORD)
            before = disk.path.read_bytes()
            assert before.endswith(b"\n")
            with pytest.raises(OSError) as caught:
                file.append(RECORD)
            assert caught.value.errno in {errno.ENOSPC, errno.EFBIG}
            assert disk.path.read_bytes() == before
            assert verify(disk.path).fault is None
            disk.free()
            file.append(RECORD)
        assert seqs(disk.path) == list(range(1, len(seqs(disk.path)) + 1))
        assert verify(disk.path).fault is None


def test_a_disk_that_is_full_from_the_start_leaves_nothing_behind(disk: Disk) -> None:
    with AuditFile(disk.path, max_bytes=1_000_000, keep=2) as file:
        disk.fill()
        with pytest.raises(OSError, match=r"No space left|File too large|bytes were taken"):
            file.append(RECORD)
        disk.free()
        file.append(RECORD)
    assert verify(disk.path).records == 1


def test_what_cannot_be_cut_back_is_when_it_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SmallFiles(tmp_path)

    def fail(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with AuditFile(disk.path, max_bytes=1_000_000, keep=2) as file:
        file.append(RECORD)
        disk.fill()
        monkeypatch.setattr(os, "ftruncate", fail)
        try:
            with pytest.raises(OSError, match="bytes were taken"):
                file.append(RECORD)
        finally:
            disk.free()
        monkeypatch.undo()
        assert not disk.path.read_bytes().endswith(b"\n")
        file.append(RECORD)
    assert events(caplog) == ["event=audit.not_cut_back", "event=audit.half_line_cut_off"]
    assert seqs(disk.path) == [1, 2]
    assert verify(disk.path).fault is None


def test_half_a_key_is_no_key(tmp_path: Path) -> None:
    disk = SmallFiles(tmp_path)
    descriptor = os.open(disk.path, os.O_RDWR | os.O_CREAT, 0o600)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, resource.RLIM_INFINITY))
    try:
        with pytest.raises(OSError, match="only 30 of 65 bytes were taken"):
            store_key(descriptor, b"k" * 32)
    finally:
        disk.free()
        os.close(descriptor)
    assert disk.path.read_bytes() == b""


def test_it_rotates_on_a_full_disk_and_goes_on(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    with AuditFile(disk.path, max_bytes=2500, keep=2) as file:
        for _ in range(5):
            file.append(RECORD)
        disk.fill()
        for _ in range(5):
            with contextlib.suppress(OSError):
                file.append(RECORD)
        disk.free()
        file.append(RECORD)
    assert not caplog.records
    for number in range(3):
        assert verify(rotated(disk.path, number)).fault is None


def test_the_caller_is_told_and_the_log_says_it_once(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    audit = Audit(AuditFile(disk.path, max_bytes=1_000_000, keep=2))
    assert audit.open()

    def login() -> bool:
        return audit.record("auth.success", VISITOR, reason="accepted", latency_s=0)

    assert login()
    assert audit.failure is None
    disk.fill()
    while login():
        pass
    assert [login(), login()] == [False, False]
    assert audit.failure is not None
    assert audit.failure.startswith(f"{disk.path}: ")
    assert events(caplog) == ["event=audit.not_writable"]
    disk.free()
    assert login()
    assert audit.failure is None
    assert events(caplog) == ["event=audit.not_writable", "event=audit.writable_again"]
    assert f"path={disk.path} lost=3" in caplog.text
    disk.fill()
    while login():
        pass
    disk.free()
    assert login()
    assert f"path={disk.path} lost=1" in caplog.text
    audit.close()
    assert verify(disk.path).fault is None


@pytest.mark.parametrize("is_required", [True, False])
def test_who_is_let_in_all_the_same_is_on_the_logger(
    disk: Disk, caplog: pytest.LogCaptureFixture, is_required: bool
) -> None:
    caplog.set_level(logging.INFO)
    audit = Audit(AuditFile(disk.path, max_bytes=1_000_000, keep=2), is_required=is_required)
    assert audit.open()
    disk.fill()
    while audit.record("auth.success", VISITOR, reason="accepted", latency_s=0):
        pass
    caplog.clear()
    assert not audit.record("auth.success", VISITOR, reason="accepted", latency_s=0)
    lines = [record for record in caplog.records if record.name == LOGGER_NAME]
    assert len(lines) == (0 if is_required else 1)
    audit.close()


def test_a_read_only_disk(read_only: Path, caplog: pytest.LogCaptureFixture) -> None:
    if os.geteuid() == 0 and not os.statvfs(read_only).f_flag & os.ST_RDONLY:
        read_only = Path("/proc/self/audit")  # root writes anywhere but there
    audit = Audit(AuditFile(read_only / "audit.jsonl", max_bytes=1_000_000, keep=2))
    assert not audit.open()
    assert audit.failure is not None
    assert not audit.record("auth.success", VISITOR, reason="accepted", latency_s=0)
    assert audit.failure is not None
    assert events(caplog) == ["event=audit.not_writable"]
    audit.close()


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_descriptor_is_needed_to_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditFile(path, max_bytes=2500, keep=2) as file:
        file.append(RECORD)
        with no_descriptor_left():
            for _ in range(5):
                file.append(RECORD)
        assert events(caplog) == ["event=audit.not_rotated"]  # it grows meanwhile
        assert seqs(path) == [1, 2, 3, 4, 5, 6]
        file.append(RECORD)
    assert seqs(path) == [7]
    assert verify(path).fault is verify(rotated(path, 1)).fault is None


def test_without_a_descriptor_it_does_not_open_but_does_later(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditFile(path, max_bytes=2500, keep=2) as file:
        with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
            file.append(RECORD)
        file.append(RECORD)
        path.unlink()
        # What was open is closed to be opened anew, which needs one descriptor more.
        with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
            file.append(RECORD)
        file.append(RECORD)
    assert seqs(path) == [2]
    report = verify(path)
    assert report.fault is not None
    assert report.fault.flaw.kind == "broken"

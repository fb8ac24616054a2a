from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from monitor_files import replace

from passivbot_hooks import UnusableFileError
from passivbot_hooks.sources.watched_file import WatchedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def count_opens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    opened: list[str] = []
    real_open = os.open

    def counting_open(path: Path, flags: int) -> int:
        opened.append(str(path))
        return real_open(path, flags)

    monkeypatch.setattr(os, "open", counting_open)
    return opened


def test_each_change_is_told_once_and_nothing_is_read_in_between(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = count_opens(monkeypatch)
    file = WatchedFile(path, 100)
    replace(path, b"one")
    assert [file.poll() for _ in range(4)] == [b"one", None, None, None]
    replace(path, b"two")
    assert [file.poll() for _ in range(4)] == [b"two", None, None, None]
    assert len(opened) == 2


def test_a_replacement_of_the_same_size_and_time_is_noticed(path: Path) -> None:
    file = WatchedFile(path, 100)
    replace(path, b"one")
    status = path.stat()
    assert file.poll() == b"one"
    replace(path, b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.poll() == b"two"


def test_a_rewrite_in_place_is_noticed(path: Path) -> None:
    file = WatchedFile(path, 100)
    path.write_bytes(b"one")
    assert file.poll() == b"one"
    status = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert file.poll() == b"two"


def test_a_file_that_comes_and_goes(path: Path) -> None:
    file = WatchedFile(path, 100)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            file.poll()
    path.write_bytes(b"one")
    assert file.poll() == b"one"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.poll()
    path.write_bytes(b"one")
    assert file.poll() == b"one"


def test_what_is_not_to_be_read_is_told_once_for_each_change(path: Path) -> None:
    file = WatchedFile(path, 3)
    path.write_bytes(b"four")
    with pytest.raises(UnusableFileError, match="4 bytes; more than 3 are not read"):
        file.poll()
    assert file.poll() is None
    replace(path, b"one")
    assert file.poll() == b"one"


def test_a_fifo_is_refused_and_does_not_block(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(UnusableFileError, match="not a regular file"):
        WatchedFile(path, 100).poll()


def test_a_directory_and_a_loop_of_links_are_refused_and_leave_no_descriptor(
    path: Path, tmp_path: Path
) -> None:
    path.mkdir()
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    directory, links = WatchedFile(path, 100), WatchedFile(loop, 100)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(UnusableFileError, match="not a regular file"):
        directory.poll()
    for _ in range(50):
        assert directory.poll() is None
        with pytest.raises(OSError, match="symbolic link"):
            links.poll()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_could_not_be_read_is_read_when_it_can_be_without_a_change(path: Path) -> None:
    path.write_bytes(b"one")
    file = WatchedFile(path, 100)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))  # no descriptor is left
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="Too many open files"):
                file.poll()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [file.poll(), file.poll()] == [b"one", None]

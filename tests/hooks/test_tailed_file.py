from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_hooks import UnusableFileError
from passivbot_hooks.sources import tailed_file
from passivbot_hooks.sources.tailed_file import LINE_MAX_BYTES, TailedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "current.ndjson"


@pytest.fixture
def tail(path: Path) -> Iterator[TailedFile]:
    tail = TailedFile(path, from_end=True)
    yield tail
    tail.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def append(path: Path, raw: bytes) -> None:
    with path.open("ab") as file:
        file.write(raw)


def drain(tail: TailedFile) -> bytes:
    return b"".join(tail.poll() for _ in range(3))


def test_what_is_there_is_skipped_and_what_comes_is_read(path: Path, tail: TailedFile) -> None:
    append(path, b"old\n")
    assert tail.poll() == b""
    append(path, b"one\ntwo\n")
    assert tail.poll() == b"one\ntwo\n"
    assert tail.poll() == b""


def test_a_file_that_appears_later_is_read_from_its_start(path: Path, tail: TailedFile) -> None:
    assert tail.poll() == b""
    append(path, b"one\n")
    assert tail.poll() == b"one\n"


def test_the_line_that_was_half_written_when_we_came_is_read_whole(path: Path, tail: TailedFile) -> None:
    append(path, b"old\nha")
    assert tail.poll() == b""
    assert tail.passed_over == b"old\n"
    append(path, b"lf\n")
    assert tail.poll() == b"half\n"


def test_the_only_line_was_half_written_when_we_came(path: Path, tail: TailedFile) -> None:
    append(path, b"ha")
    assert tail.poll() == b""
    append(path, b"lf\n")
    assert tail.poll() == b"half\n"


def test_an_endless_line_that_we_came_into_is_skipped(path: Path, tail: TailedFile) -> None:
    append(path, b"x" * (LINE_MAX_BYTES + 1))
    assert tail.poll() == b""
    append(path, b"x\nnext\n")
    assert tail.poll() == b"next\n"
    append(path, b"last\n")
    assert tail.poll() == b"last\n"


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(path: Path, tail: TailedFile) -> None:
    append(path, b"old\n")
    tail.poll()
    append(path, b"last\n")
    path.replace(path.with_name("rotated"))
    append(path, b"first\n")
    assert drain(tail) == b"last\nfirst\n"


def test_what_is_written_and_renamed_right_after_a_read_is_not_lost(
    path: Path, tail: TailedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(path, b"old\n")
    tail.poll()
    read = tail._read

    def read_and_be_too_early(file: BinaryIO) -> bytes:
        monkeypatch.undo()
        raw = read(file)
        append(path, b"last\n")
        path.replace(path.with_name("rotated"))
        append(path, b"first\n")
        return raw

    monkeypatch.setattr(tail, "_read", read_and_be_too_early)
    assert drain(tail) == b"last\nfirst\n"


def test_a_renamed_and_deleted_file_is_read_to_its_end_while_there_is_no_new_one(
    path: Path, tail: TailedFile
) -> None:
    append(path, b"old\n")
    tail.poll()
    append(path, b"last\n")
    path.unlink()
    assert drain(tail) == b"last\n"
    append(path, b"first\n")
    assert tail.poll() == b"first\n"


def test_half_a_line_at_the_end_of_a_renamed_file_is_not_glued_to_the_next(
    path: Path, tail: TailedFile
) -> None:
    tail.poll()
    append(path, b"one\nha")
    tail.poll()
    path.replace(path.with_name("rotated"))
    append(path, b"first\n")
    assert drain(tail) == b"first\n"


def test_a_file_cut_short_is_read_anew(path: Path, tail: TailedFile) -> None:
    tail.poll()
    append(path, b"one\ntwo\nha")
    tail.poll()
    os.truncate(path, 0)
    append(path, b"new\n")
    assert tail.poll() == b"new\n"


def test_a_directory_in_its_place_is_told_and_then_a_file_again(path: Path, tail: TailedFile) -> None:
    tail.poll()
    append(path, b"one\n")
    path.rename(path.with_name("away"))
    path.mkdir()
    with pytest.raises(UnusableFileError, match="not a regular file"):
        drain(tail)
    path.rmdir()
    append(path, b"two\n")
    assert tail.poll() == b"two\n"


def test_a_pipe_in_its_place_is_not_waited_for(path: Path, tail: TailedFile) -> None:
    os.mkfifo(path)
    with pytest.raises(UnusableFileError):
        tail.poll()


def test_one_poll_reads_a_bounded_amount(
    path: Path, tail: TailedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailed_file, "POLL_MAX_BYTES", 10)
    tail.poll()
    append(path, b"12345\n" * 5)
    assert [tail.poll() for _ in range(4)] == [b"12345\n", b"12345\n12345\n", b"12345\n12345\n", b""]


def test_a_line_that_is_too_long_is_skipped_and_takes_no_memory(path: Path, tail: TailedFile) -> None:
    tail.poll()
    for _ in range(3):
        append(path, b"x" * LINE_MAX_BYTES)
        assert tail.poll() == b""
        assert len(tail._half) <= LINE_MAX_BYTES
    append(path, b"\nnext\n")
    assert tail.poll() == b"next\n"
    append(path, b"last\n")
    assert tail.poll() == b"last\n"
    assert tail.overlong == 1


def test_no_descriptor_is_left_open(path: Path) -> None:
    before = open_descriptors()
    tail = TailedFile(path, from_end=False)
    for number in range(5):
        append(path, b"%d\n" % number)
        drain(tail)
        path.unlink()
    drain(tail)
    assert open_descriptors() == before


@given(
    lines=st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=20),
    cuts=st.lists(st.integers(min_value=0, max_value=900)),
)
def test_any_way_of_writing_the_same_bytes_gives_the_same_lines(
    lines: list[bytes], cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tail") / "current.ndjson"
    written = b"".join(line + b"\n" for line in lines)
    tail = TailedFile(path, from_end=True)
    read = tail.poll()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(written)], strict=True):
        append(path, written[start:end])
        read += tail.poll()
    tail.close()
    assert read == written

"""The audit log for people: its lines as a table, and its new ones as they come."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from .chain import LINE_MAX_BYTES
from .store import open_to_read, read_lines


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    field: str
    width: int
    width_max: int


_COLUMNS: Final = (
    _Column("time", "ts", 24, 30),
    _Column("event", "event", 15, 20),
    _Column("peer", "peer", 15, 45),
    _Column("key", "key", 17, 30),
    _Column("method", "method", 6, 10),
    _Column("reason", "reason", 24, 60),
    _Column("count", "count", 5, 12),
    _Column("failures", "failures", 8, 12),
)


class Table:
    """Makes aligned rows of records; columns grow with what they hold, up to a bound each."""

    def __init__(self) -> None:
        self._widths = [column.width for column in _COLUMNS]

    def header(self) -> str:
        """The titles. After the first `rows`, they are as wide as those."""
        return self._join([column.title for column in _COLUMNS])

    def rows(self, lines: Iterable[bytes]) -> list[str]:
        """A row for each line of an audit file. Printable ASCII, whatever is in the line."""
        rows = [_cells(line) for line in lines]
        for cells in rows:
            if isinstance(cells, list):
                self._widths = [max(pair) for pair in zip(self._widths, map(len, cells), strict=True)]
        return [cells if isinstance(cells, str) else self._join(cells) for cells in rows]

    def _join(self, cells: list[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True))
        return "  ".join(padded).rstrip()


class Tail:
    """Reads an audit file's end, and what is added to it, through rotations.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = open_to_read(path)
        self._rest = b""

    def last(self, count: int) -> list[bytes]:
        """The last so many lines."""
        return list(deque(self._lines(), count))

    def poll(self) -> list[bytes]:
        """What was added since the last call."""
        lines = list(self._lines())
        with contextlib.suppress(FileNotFoundError):  # in the middle of a rotation
            there, ours = self._path.stat(), os.fstat(self._file.fileno())
            if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
                begun = open_to_read(self._path)
                # Once more: lines may have come between the read above and the rotation.
                lines += self._lines()
                self._file.close()
                self._file, self._rest = begun, b""
                lines += self._lines()
            elif ours.st_size < self._file.tell():  # truncated
                self._file.seek(0)
                self._rest = b""
                lines += self._lines()
        return lines

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def _lines(self) -> Iterator[bytes]:
        """The whole lines up to the file's end; half a line waits for its other half."""
        for piece in read_lines(self._file):
            line = self._rest + piece
            is_whole = line.endswith(b"\n") or len(line) > LINE_MAX_BYTES
            self._rest = b"" if is_whole else line
            if is_whole:
                yield line


def is_record(line: bytes) -> bool:
    """Whether a line is one that this log has."""
    return isinstance((_parsed(line) or {}).get("event"), str)


def _parsed(line: bytes) -> dict[str, object] | None:
    try:
        record = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _cells(line: bytes) -> list[str] | str:
    record = _parsed(line)
    if record is None:
        return f"(not a record: {len(line)} bytes)"  # not which: who names the wrong file sees its secrets
    return [_printable(_text(record.get(column.field)), column.width_max) for column in _COLUMNS]


def _text(value: object) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, str | int | float) else "?"


def _printable(text: str, width_max: int) -> str:
    """Printable ASCII: nothing in a record can move the cursor or change the direction of the text."""
    escaped = text[: width_max + 1].encode("unicode_escape").decode("ascii")
    return escaped if len(escaped) <= width_max else f"{escaped[: width_max - 3]}..."

"""Whether an audit file's chain holds, and if not, at which line it breaks first."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .chain import BROKEN, START, Flaw, Head, Link, misplaced, unseal
from .store import last_line_of, open_to_read, read_head, read_key, read_lines, rotated

#: How often a fault is looked at again that a rotation meanwhile may have made up, and how soon, seconds.
_TRIES: Final = 10
_PAUSE_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a chain breaks first.

    Attributes:
        line: The line's number in the file, from 1. Where the file's end was cut off: of the
            first line that is not there.
        flaw: How.
    """

    line: int
    flaw: Flaw

    def __str__(self) -> str:
        return f"line {self.line}: {self.flaw.text}"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a check.

    Attributes:
        records: How many records hold, up to the fault.
        first: The first of them.
        last: The last of them.
        fault: What breaks the chain; None if it holds.
        is_anchored: Whether what the first record follows was there to be compared: the
            chain's beginning, or the end of the next older file.
    """

    records: int = 0
    first: Link | None = None
    last: Link | None = None
    fault: Fault | None = None
    is_anchored: bool = True


def verify_lines(
    lines: Iterable[bytes], key: bytes, *, before: Head | None = None, is_key_sure: bool = False
) -> Report:
    """Check lines one after another, keeping none. Nothing in a line can raise.

    Args:
        lines: Each with its line break.
        key: The chain's key.
        before: The record that the first one must follow; None if that is not known.
        is_key_sure: The key is known to be the chain's own, so that a mac that does not fit
            means an edited line, not another key.
    """
    report = Report()
    is_anchored = before is not None
    rest = iter(lines)
    for number, line in enumerate(rest, 1):
        link = unseal(line, key)
        if isinstance(link, Link):
            flaw = misplaced(link, before)
        elif link.kind == "edited" and number == 1 and not is_key_sure:
            flaw = _edited_or_wrong_key(link, rest, key)
        else:
            flaw = link
        if flaw is not None or not isinstance(link, Link):
            assert flaw is not None
            return replace(report, fault=Fault(number, flaw))
        first = report.first or link
        report = Report(number, first, link, is_anchored=is_anchored or first.seq == 1)
        before = link.head
    return report


def verify(path: Path) -> Report:
    """Check one file of an audit log: the current one, or a rotated one (``.1``, ``.2`` and so on).

    The newest file's end is compared with the head, an older one's with the beginning of the
    next newer file; a beginning within the chain with the end of the next older file. Only the
    oldest file may lack that: see `Report.is_anchored`. The log may be written to and rotated meanwhile.

    Raises:
        OSError: The file, its key or a file beside it cannot be read.
    """
    base, number = _place(path)
    for _ in range(_TRIES - 1):
        try:
            before = _files_of(base)
            report = _verify(path, base, number)
            # Else what looks like a fault may be a rotation, or a line of which half is written.
            if report.fault is None or _files_of(base) == before:
                return report
        except FileNotFoundError:  # in the middle of a rotation, perhaps
            pass
        time.sleep(_PAUSE_S)  # the writer is another process: nothing tells when it is done with a line
    return _verify(path, base, number)


def _verify(path: Path, base: Path, number: int) -> Report:
    key = read_key(base)
    # The head before the lines and once more after them: the writer may go on meanwhile, and
    # what it writes between the two is neither cut off nor too much.
    head = read_head(base, key)
    with open_to_read(path) as file:
        older = _end_of_older(base, number, key)
        report = verify_lines(read_lines(file), key, before=older, is_key_sure=head is not None)
    if report.fault is not None:
        return report
    if number == 0 and report.first is not None and not report.is_anchored:
        # At least one older file is always kept, so this one's beginning was cut off.
        text = f"begins with record {report.first.seq}; those before it, or the older file, were removed"
        return Report(fault=Fault(1, Flaw("removed", text)))
    newer = _beginning_of_newer(base, number)
    if newer:
        flaw = _end_against_newer(report, unseal(newer, key))
    else:
        flaw = _end_against_head(report, older, head, read_head(base, key))
    return report if flaw is None else replace(report, fault=Fault(report.records + 1, flaw))


def _edited_or_wrong_key(flaw: Flaw, rest: Iterable[bytes], key: bytes) -> Flaw:
    """Tell one edited line from a wrong key, with which not one line holds."""
    if any(isinstance(unseal(line, key), Link) for line in rest):
        return flaw
    return Flaw("wrong_key", "no line was written with the key beside the file, or every one was edited")


def _place(path: Path) -> tuple[Path, int]:
    """The current file's path, and how old this one is: 0 for the current one itself."""
    name, dot, number = path.name.rpartition(".")
    if rotated(path, "key").exists() or not dot or re.fullmatch(r"[1-9][0-9]{0,8}", number) is None:
        return path, 0
    return path.with_name(name), int(number)


def _files_of(base: Path) -> dict[int, tuple[int, int]]:
    """The files of a log by how old they are: which one it is, for a rotation renames them, and its size."""
    names = re.compile(re.escape(base.name) + r"(?:\.([1-9][0-9]{0,8}))?")
    with os.scandir(base.parent) as entries:
        found = ((names.fullmatch(entry.name), entry.stat) for entry in entries)
        stats = ((int(match[1] or 0), stat()) for match, stat in found if match is not None)
        return {number: (stat.st_ino, stat.st_size) for number, stat in stats}


def _end_of_older(base: Path, number: int, key: bytes) -> Head | None:
    # Of the next one that is there, whatever its number: what was removed between is missed so.
    older = sorted(other for other in _files_of(base) if other > number)
    line = next(filter(None, (last_line_of(rotated(base, other)) for other in older)), None)
    link = None if line is None else unseal(line, key)
    return link.head if isinstance(link, Link) else None


def _beginning_of_newer(base: Path, number: int) -> bytes:
    newer = sorted((other for other in _files_of(base) if other < number), reverse=True)
    return next(filter(None, (_first_line(rotated(base, other)) for other in newer)), b"")


def _first_line(path: Path) -> bytes:
    try:
        with open_to_read(path) as file:
            return next(read_lines(file), b"")
    except FileNotFoundError:
        return b""


def _end_against_newer(report: Report, newer: Link | Flaw) -> Flaw | None:
    if isinstance(newer, Flaw):
        return None  # that file's fault, not this one's
    seq, mac = (report.last.seq, report.last.mac) if report.last else (0, "")
    if newer.seq == seq + 1 and newer.prev in {mac, BROKEN}:
        return None
    return Flaw("truncated", f"cut off: the next newer file goes on with record {newer.seq}")


def _end_against_head(
    report: Report, older: Head | None, head: Head | None, head_now: Head | None
) -> Flaw | None:
    if head is None or head_now is None:
        return Flaw("no_head", "the head is missing or was edited: whether lines were cut off is not known")
    last = report.last.head if report.last else older or START
    if last.seq < head.seq:
        return Flaw("truncated", f"cut off: the file ends with record {last.seq}, the head is at {head.seq}")
    # One ahead: the writer is, or was stopped, between the line and the head.
    if last.seq > head_now.seq + 1:
        return Flaw("no_head", f"the head was set back: it is at {head_now.seq}, the file at {last.seq}")
    if last.seq == head.seq and last.mac != head.mac:
        return Flaw("truncated", "cut off and continued: the head is of another record")
    return None

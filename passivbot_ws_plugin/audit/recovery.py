"""Where an audit file's chain goes on after a restart, a crash, or somebody else's hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from passivbot_ws_plugin.log import get_logger

from .chain import BROKEN, LINE_MAX_BYTES, START, Flaw, Head, Link, decode_head, unseal
from .store import FILE_LOGGER_NAME, last_line, last_line_of, rotated, write_head

_UNUSED_HEAD: Final = b"0" * 20

_log = get_logger(FILE_LOGGER_NAME)


def end_of_chain(path: Path, log: int, key: bytes) -> Link | Flaw | None:
    """The last record on file; None if there is none. Half a last line is cut off.

    While the log is empty, right after a rotation, the chain hangs on the next older file.

    Args:
        path: The log.
        log: Its descriptor.
        key: The chain's key.

    Raises:
        OSError: A file cannot be read, or half a line not be cut off.
    """
    _end_half_line(path, log)
    line = last_line(log).line or last_line_of(rotated(path, 1))
    return None if line is None else unseal(line, key)


def resume(
    path: Path, end: Link | Flaw | None, head: int, key: bytes, known: Head | None, *, is_new_key: bool
) -> Head:
    """What the next record is tied to: the last one, or a visible break behind it.

    Args:
        path: The log.
        end: Its last record.
        head: The head's descriptor.
        key: The chain's key.
        known: The last record that this very writer wrote; None: it has just started.
        is_new_key: There was no key, so if there is nothing else either, the chain begins.

    Raises:
        OSError: The head cannot be read or written.
    """
    data = os.pread(head, 1024, 0)
    is_beginning = is_new_key and known is None and end is None and data[:20] in {b"", _UNUSED_HEAD}
    expected = START if is_beginning else known or decode_head(data, key)
    if expected is not None and _agree(expected, end):
        found = end.head if isinstance(end, Link) else expected
        write_head(head, found, key)  # it may be one record behind
        return found
    _log_break(path, end, expected)
    # Not written to the head before the next record is on file: who starts again before
    # that must find the same break.
    at = end.seq if isinstance(end, Link) else 0
    return Head(max(at, expected.seq if expected else 0), BROKEN)


def _agree(expected: Head, end: Link | Flaw | None) -> bool:
    """Whether the last record is the head's, or the one after: a crash came between the writes."""
    if isinstance(end, Link):
        return end.head == expected or end.follows(expected)
    return end is None and expected == START


def _log_break(path: Path, end: Link | Flaw | None, expected: Head | None) -> None:
    file_at = f"last line: {end.text}" if isinstance(end, Flaw) else str(end.seq if end else 0)
    _log.error(
        "audit.chain_broken",
        path=str(path),
        file_at=file_at,
        head_at="missing, damaged or of another key" if expected is None else expected.seq,
        hint="records were lost or changed; see: passivbot-ws audit verify FILE",
    )


def _end_half_line(path: Path, log: int) -> None:
    rest_bytes = last_line(log).rest_bytes
    if rest_bytes > LINE_MAX_BYTES:  # nothing of ours: it stays, as one bad line
        os.write(log, b"\n")
    elif rest_bytes:
        _log.warning("audit.half_line_cut_off", path=str(path), bytes=rest_bytes)
        os.ftruncate(log, os.fstat(log).st_size - rest_bytes)

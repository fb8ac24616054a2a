"""The audit log's files at the level of the operating system: private, locked, bounded.

Beside a log ``PATH`` lie ``PATH.key`` (the chain's key, which is also the writer's lock),
``PATH.head`` (the last record's number and mac) and the older files ``PATH.1``, ``PATH.2``, ...
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from passivbot_hooks import UnusableFileError, open_regular
from passivbot_ws_plugin.errors import WebSocketPluginError
from passivbot_ws_plugin.log import get_logger

from .chain import HEAD_BYTES, LINE_MAX_BYTES, Head, decode_head, encode_head

_KEY: Final = re.compile(rb"([0-9a-f]{64})\n?")
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

#: What the files' own troubles are told to. Not below the records' own logger, whose handlers take
#: nothing but records.
FILE_LOGGER_NAME: Final = "passivbot_ws_plugin.audit_file"

_log = get_logger(FILE_LOGGER_NAME)


class AuditFileError(WebSocketPluginError, OSError):
    """An audit file cannot be used as it is; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a file ends.

    Attributes:
        line: The last whole line, with its line break (of a line that is too long, a part).
        rest_bytes: What comes after it, without a line break: half a line.
    """

    line: bytes | None
    rest_bytes: int


def rotated(path: Path, which: int | str) -> Path:
    """A file beside the log: its key, its head, or an older one; 0 is the log itself."""
    return path.with_name(f"{path.name}.{which}") if which else path


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, as far as they are missing, for the owner only."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.is_dir()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path, flags: int = os.O_CREAT) -> int:
    """Open a regular file for reading and writing, for the owner only.

    Raises:
        AuditFileError: It is a symbolic link, or no regular file.
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, _OPEN | flags, 0o600)
    except OSError as exc:
        if exc.errno != errno.ELOOP:
            raise
        raise AuditFileError(f"{path}: is a symbolic link; give the path that it points to") from exc
    try:
        _make_private(path, descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def lock_key(path: Path) -> tuple[int, bytes | None]:
    """Become the one writer of a log.

    Returns:
        The descriptor that holds the lock until it is closed, and the key, if there is one yet.

    Raises:
        AuditFileError: Another process writes the log, or the key is damaged.
        OSError: The key cannot be opened.
    """
    where = rotated(path, "key")
    try:
        descriptor = open_private(where, os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        descriptor = open_private(where, 0)
    try:
        # Between the file's creation and the lock another process may have filled it: only
        # who holds the lock looks whether there is a key, and makes one.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        data = os.pread(descriptor, 128, 0)
        return descriptor, _parse_key(where, data) if data else None
    except BlockingIOError as exc:
        os.close(descriptor)
        raise AuditFileError(
            f"{path}: another process writes this audit file; "
            "set another plugins.websocket.audit.path for one of the two"
        ) from exc
    except OSError:
        os.close(descriptor)
        raise


def store_key(descriptor: int, key: bytes) -> None:
    """Write a new key, or nothing at all.

    Raises:
        OSError: It cannot be written.
    """
    try:
        _write_at_start(descriptor, key.hex().encode("ascii") + b"\n")
    except OSError:
        os.ftruncate(descriptor, 0)
        raise


def read_key(path: Path) -> bytes:
    """The key of a log, for who only reads.

    Raises:
        AuditFileError: There is none, or it is damaged.
        OSError: It cannot be read.
    """
    where = rotated(path, "key")
    try:
        with open_to_read(where) as file:
            return _parse_key(where, file.read(128))
    except FileNotFoundError as exc:
        raise AuditFileError(f"{where}: no such file; the key must lie beside the audit file") from exc


def write_head(descriptor: int, head: Head, key: bytes) -> None:
    """Rewrite the head in place: no new descriptor, no new block.

    Raises:
        OSError: It cannot be written.
    """
    _write_at_start(descriptor, encode_head(head, key))


def read_head(path: Path, key: bytes) -> Head | None:
    """The head beside a log; None if it is missing, damaged, or not one of this key.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with open_to_read(rotated(path, "head")) as file:
            return decode_head(file.read(HEAD_BYTES + 1), key)
    except FileNotFoundError:
        return None


def open_to_read(path: Path) -> BinaryIO:
    """Open a regular file for reading. Never waits, whatever lies there.

    Raises:
        AuditFileError: It is no regular file.
        OSError: It cannot be opened.
    """
    try:
        return open_regular(path)
    except UnusableFileError as exc:
        raise AuditFileError(f"{path}: is {exc.reason}") from exc


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. One that is too long comes in pieces that are too long as well."""
    return iter(lambda: file.readline(LINE_MAX_BYTES + 1), b"")


def last_line(descriptor: int) -> Ending:
    """How a file ends, from at most two lines' length of it."""
    size = os.fstat(descriptor).st_size
    begin = max(0, size - 2 * LINE_MAX_BYTES - 2)
    window = os.pread(descriptor, size - begin, begin)
    whole, line_break, rest = window.rpartition(b"\n")
    if not line_break:
        return Ending(None, size)
    return Ending(whole.rpartition(b"\n")[2] + b"\n", len(rest))


def last_line_of(path: Path) -> bytes | None:
    """A file's last whole line; None if it has none, or is not there.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with open_to_read(path) as file:
            return last_line(file.fileno()).line
    except FileNotFoundError:
        return None


def make_room(path: Path, keep: int) -> None:
    """Rename the log to ``.1``, after ``.1`` to ``.2`` and so on up to the first gap.

    A crash in between leaves a gap, which the next call fills.

    Raises:
        OSError: A file cannot be renamed or removed.
    """
    gap = next((number for number in range(1, keep) if not os.path.lexists(rotated(path, number))), keep)
    for number in range(gap, 0, -1):
        rotated(path, number - 1).replace(rotated(path, number))
    surplus = keep + 1
    while os.path.lexists(rotated(path, surplus)):
        rotated(path, surplus).unlink()
        surplus += 1


def _make_private(path: Path, descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise AuditFileError(f"{path}: is not a regular file")
    if stat.S_IMODE(mode) & 0o077:
        os.fchmod(descriptor, 0o600)
        _log.warning("audit.made_private", path=str(path), mode_was=f"{stat.S_IMODE(mode):04o}")


def _parse_key(where: Path, data: bytes) -> bytes:
    found = _KEY.fullmatch(data)
    if found is None:
        raise AuditFileError(
            f"{where}: is damaged, not 64 hexadecimal digits; move it and the audit file away to begin anew"
        )
    return bytes.fromhex(found[1].decode("ascii"))


def _write_at_start(descriptor: int, data: bytes) -> None:
    written = os.pwrite(descriptor, data, 0)
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes were taken")

"""A file that another process appends to and rotates, read as it grows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

from .watched_file import open_regular

#: What one poll reads at most, bytes; a busy Passivbot writes some 40 kB a second.
POLL_MAX_BYTES: Final = 4 * 1_048_576

#: A longer line is skipped; Passivbot's are 1 to 10 kB.
LINE_MAX_BYTES: Final = 262_144


class TailedFile:
    """Tells what was appended since the last call, in whole lines.

    The file may not be there yet, be renamed with a new one in its place, be cut short, or
    be deleted. Its descriptor is kept, so that a file that was renamed is read to its end
    before the new one is opened. Close it when done.

    Args:
        path: The file.
        from_end: Skip what is in the file already, if it is there at the first call.

    Attributes:
        overlong: Lines skipped because of their length.
        passed_over: Where it began at the end: the last of what was in the file before, some lines of it.
    """

    def __init__(self, path: Path, *, from_end: bool) -> None:
        self.path = path
        self.overlong = 0
        self.passed_over = b""
        self._from_end = from_end
        self._file: BinaryIO | None = None
        self._identity: tuple[int, int] | None = None
        self._position = 0
        self._half = b""  # the last line, as far as it was written
        self._is_skipping = False  # until the end of a line that is too long

    def poll(self) -> bytes:
        """The next whole lines, each with its newline; empty if there are none.

        Raises:
            UnusableFileError: Something else than a regular file is there (at each call).
            OSError: It cannot be read (at each call).
        """
        # Looked up before the read: whoever renames the file has written all of it by then.
        identity = self._identity_of_path()
        if self._file is not None:
            raw = self._read(self._file)
            if raw or identity == self._identity:
                return self._whole_lines(raw)
            self.close()  # read to its end, and another one is there, or none
        if identity is None:
            self._from_end = False
            return b""
        return self._whole_lines(self._read(self._open()))

    def close(self) -> None:
        """Close the file; a later `poll` begins with whatever is there then, from its start."""
        if self._file is not None:
            self._file.close()
        self._file = self._identity = None
        self._half, self._is_skipping = b"", False

    def _identity_of_path(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _open(self) -> BinaryIO:
        self._file = file = open_regular(self.path)
        status = os.fstat(file.fileno())
        self._identity = status.st_dev, status.st_ino
        self._position = 0
        if self._from_end:
            self._seek_last_line(file, status.st_size)
        self._from_end = False
        return file

    def _seek_last_line(self, file: BinaryIO, size: int) -> None:
        """Go to the start of the line that is being written now, or to the end."""
        start = max(0, size - LINE_MAX_BYTES)
        raw = os.pread(file.fileno(), size - start, start)
        newline = raw.rfind(b"\n")
        if newline >= 0 or start == 0:
            self._position = start + newline + 1
            self.passed_over = raw[: newline + 1]
        else:
            self._position, self._is_skipping = size, True

    def _read(self, file: BinaryIO) -> bytes:
        size = os.fstat(file.fileno()).st_size
        if size < self._position:  # cut short: it is written anew
            self._position, self._half, self._is_skipping = 0, b"", False
        if size == self._position:
            return b""
        raw = os.pread(file.fileno(), min(size - self._position, POLL_MAX_BYTES), self._position)
        self._position += len(raw)
        return raw

    def _whole_lines(self, raw: bytes) -> bytes:
        if self._is_skipping:
            _, newline, raw = raw.partition(b"\n")
            self._is_skipping = not newline
        end = raw.rfind(b"\n") + 1
        lines = self._half + raw[:end] if end else b""
        self._half = raw[end:] if end else self._half + raw
        if len(self._half) > LINE_MAX_BYTES:
            self._half, self._is_skipping = b"", True
            self.overlong += 1
        return lines

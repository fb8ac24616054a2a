"""A file that another process replaces or rewrites, read only when it changed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from passivbot_hooks.errors import UnusableFileError


class WatchedFile:
    """Tells a file's new content, once for each change.

    A change is another identity (device, inode), size or modification time; looking for
    one costs a ``stat``. The time alone would miss a replacement within one clock tick.

    Attributes:
        path: The file; it may come and go.
        max_bytes: A larger one is refused unread.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._seen: tuple[int, ...] | None = None

    def poll(self) -> bytes | None:
        """The content if it changed since the last call, else None.

        Raises:
            FileNotFoundError: There is no such file (at each call).
            UnusableFileError: It changed to something that is not to be read (once for each change).
            OSError: It cannot be read (at each call: what hinders may pass without the file's changing).
        """
        try:
            signature = _signature(self.path.stat())
        except FileNotFoundError:
            self._seen = None
            raise
        if signature == self._seen:
            return None
        # Remembered before the read: if the file changes during it, the next call compares
        # with what this call saw.
        self._seen = signature
        try:
            return self._read()
        except OSError:
            self._seen = None
            raise

    def _read(self) -> bytes:
        with open_regular(self.path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > self.max_bytes:
                raise UnusableFileError(f"{size} bytes; more than {self.max_bytes} are not read")
            return file.read(self.max_bytes)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Never waits, whatever lies there.

    Raises:
        UnusableFileError: It is no regular file.
        OSError: It cannot be opened.
    """
    # O_NONBLOCK: opening a FIFO that somebody put there must not wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    # Before `fdopen`, which raises for a directory and leaves its descriptor open.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnusableFileError("not a regular file")
    return os.fdopen(descriptor, "rb")


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size

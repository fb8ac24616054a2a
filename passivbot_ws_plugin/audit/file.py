"""The audit log on disk: one writer, a chain across rotations, and no half records.

Not for several threads: it belongs to the worker's loop. A record is handed to the kernel,
not forced to the disk: it outlives a crash of this process, not always a loss of power.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from passivbot_ws_plugin.log import get_logger

from .chain import Head, seal
from .recovery import end_of_chain, resume
from .store import (
    FILE_LOGGER_NAME,
    lock_key,
    make_folders,
    make_room,
    open_private,
    rotated,
    store_key,
    write_head,
)

_log = get_logger(FILE_LOGGER_NAME)


@dataclass(frozen=True, slots=True)
class _Files:
    """What is open: descriptors, and the key. Appending needs no other descriptor."""

    key_bytes: bytes
    key: int
    head: int
    log: int

    def close(self) -> None:
        for descriptor in (self.log, self.head, self.key):  # the lock goes last
            os.close(descriptor)


class AuditFile:
    """An append-only file of chained records.

    It opens by itself with the first record, and again after trouble. Lost or changed records
    are logged as errors and marked in the chain, so that ``passivbot-ws audit verify`` names
    the place for good.

    Args:
        path: The file. Its key and head, and the older files, lie beside it.
        max_bytes: When the file would grow beyond this, a new one is begun.
        keep: How many older ones stay.

    Raises:
        ValueError: A bound is below 1.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        if max_bytes < 1 or keep < 1:
            raise ValueError("max_bytes and keep must be at least 1")
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._files: _Files | None = None
        self._head: Head | None = None  # None: not known yet, to be read
        self._size = 0
        self._can_rotate = True

    def open(self) -> None:
        """Become the file's one writer and find the chain's end. Nothing if that is done.

        Raises:
            AuditFileError: Another process writes it, or it is not a file to write to.
            OSError: It cannot be opened, or its key or head cannot be written.
        """
        self._opened()

    def append(self, record: Mapping[str, object]) -> None:
        """Write one record, or nothing at all.

        Args:
            record: Its fields, without those of the chain: ``seq``, ``prev``, ``mac``.

        Raises:
            OSError: It is not on record. The next call tries anew.
            ValueError: The record is not one that can be written.
        """
        files = self._untouched(self._opened())
        assert self._head is not None  # known since it was opened
        line, head = seal(record, self._head, files.key_bytes)
        if self._size and self._size + len(line) > self._max_bytes:
            files = self._rotated(files)
        self._write(files, line, head)

    def close(self) -> None:
        """Let go of the files and of the lock."""
        self._release()
        self._head = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    # --- opening ----------------------------------------------------------------------

    def _opened(self) -> _Files:
        if self._files is not None:
            return self._files
        make_folders(self.path.parent)
        with contextlib.ExitStack() as on_failure:
            lock, key = lock_key(self.path)
            on_failure.callback(os.close, lock)
            head = open_private(rotated(self.path, "head"))
            on_failure.callback(os.close, head)
            log = open_private(self.path, os.O_CREAT | os.O_APPEND)
            on_failure.callback(os.close, log)
            files = _Files(key or secrets.token_bytes(32), lock, head, log)
            end = end_of_chain(self.path, log, files.key_bytes)
            self._head = resume(self.path, end, head, files.key_bytes, self._head, is_new_key=key is None)
            # The head before the key: a crash in between leaves a head at 0 and no key, which
            # is told from a chain whose head was taken away.
            if key is None:
                store_key(lock, files.key_bytes)
            self._size = os.fstat(log).st_size
            on_failure.pop_all()
        self._files = files
        return files

    # --- appending --------------------------------------------------------------------

    def _untouched(self, files: _Files) -> _Files:
        """The files, opened anew if somebody changed the log since the last record."""
        what = self._change(files)
        if what is None:
            return files
        _log.error("audit.changed_underneath", path=str(self.path), what=what)
        self._release()
        return self._opened()

    def _change(self, files: _Files) -> str | None:
        ours = os.fstat(files.log)
        try:
            there = self.path.lstat()
        except FileNotFoundError:
            return "removed or moved away"
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            return "replaced"
        if ours.st_size != self._size:
            return "truncated" if ours.st_size < self._size else "written to by somebody else"
        return None

    def _write(self, files: _Files, line: bytes, head: Head) -> None:
        try:
            written = os.write(files.log, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were taken")
            write_head(files.head, head, files.key_bytes)
        except OSError:
            self._cut_back(files)
            raise
        self._size += len(line)
        self._head = head

    def _cut_back(self, files: _Files) -> None:
        """Take back what was written of a line."""
        try:
            os.ftruncate(files.log, self._size)
        except OSError as exc:
            _log.warning("audit.not_cut_back", path=str(self.path), error=str(exc))
            self._release()  # opening it anew finds out what is there

    def _rotated(self, files: _Files) -> _Files:
        """Begin a new file. If that fails the old one grows on: better too long than not on record."""
        try:
            # First what may fail for want of a descriptor or of space, then the renaming.
            begun = rotated(self.path, "new")
            log = open_private(begun, os.O_CREAT | os.O_APPEND | os.O_TRUNC)
            try:
                make_room(self.path, self._keep)
                begun.replace(self.path)
            except OSError:
                os.close(log)
                raise
        except OSError as exc:
            if self._can_rotate:
                _log.error("audit.not_rotated", path=str(self.path), error=str(exc))
            self._can_rotate = False
            return files
        self._can_rotate = True
        os.close(files.log)
        self._files = replace(files, log=log)
        self._size = 0
        return self._files

    def _release(self) -> None:
        if self._files is not None:
            self._files.close()
            self._files = None

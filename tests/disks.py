"""Disks that are really full: a file system of 64 KiB, or files that may not grow."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """A place for an audit file.

    Attributes:
        path: The file's.
        process: Whose limit it is, if it is one; 0: this process's.
    """

    path: Path
    process: int

    def fill(self) -> None: ...

    def free(self) -> None: ...


class SmallDisk:
    """A file system of 64 KiB."""

    process = 0

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.jsonl"
        self._filler = folder / "filler"

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(b"x" * 100):
                pass

    def free(self) -> None:
        self._filler.unlink()


class SmallFiles:
    """Files that may not grow: a limit of a process."""

    process = 0

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.jsonl"

    def fill(self) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        resource.prlimit(self.process, resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))

    def free(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended, and its limit with it
            self.lift(self.process)

    @staticmethod
    def lift(process: int = 0) -> None:
        """Let a process's files grow again."""
        resource.prlimit(process, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def mount(folder: Path, options: str = "size=64k,mode=0700") -> bool:
    """Mount a small file system over a folder; whether that could be done."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


def unmount(folder: Path) -> None:
    """Have what was there before there again."""
    subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path, *, is_mounted: bool = True) -> Iterator[Disk]:
    """A disk in a folder; who may not mount, or does not want to, has a limit instead."""
    if is_mounted and mount(folder):
        try:
            yield SmallDisk(folder)
        finally:
            unmount(folder)
        return
    small = SmallFiles(folder)
    try:
        yield small
    finally:
        small.free()

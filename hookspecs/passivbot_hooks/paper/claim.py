"""One paper bot a directory, and none where a bot of another kind wrote."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from passivbot_hooks.errors import OccupiedError


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold the directory of a paper bot, which is made where it is missing.

    Args:
        path: ``<root>/<exchange>/<user>``.

    Raises:
        OccupiedError: Another paper bot holds it, or a bot of another kind wrote there.
        OSError: It cannot be made or opened.
    """
    path.mkdir(parents=True, exist_ok=True)
    if _is_of_another_kind(path / "manifest.json"):
        raise OccupiedError(
            f"{path} holds the files of a bot that is not of paper; give another DIR or --user"
        )
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OccupiedError(
            f"another paper bot writes {path}; end that one, or give another --user"
        ) from None
    except OSError:
        pass  # a file system without locks


def _is_of_another_kind(manifest: Path) -> bool:
    try:
        document = json.loads(manifest.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False  # none yet, or half of one
    runtime = document.get("runtime") if isinstance(document, dict) else None  # Passivbot v7.9 writes none
    name = runtime.get("passivbot_version") if isinstance(runtime, dict) else None
    return not str(name).startswith("paper")

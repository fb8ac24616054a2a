"""Writes a monitor root as Passivbot's ``src/monitor_publisher.py`` does.

``state.latest.json`` and ``manifest.json`` are replaced atomically; events are appended,
one JSON object a line, and rotated: renamed, compressed, and a new file begun.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_SCHEMA_VERSION: Final = 1

#: A file of events that is larger is rotated (Passivbot's default is 128 MiB or an hour).
ROTATION_BYTES: Final = 4 * 1_048_576

#: Rotated files that are kept.
_ROTATED_KEPT: Final = 2


class MonitorPublisher:
    """Writes the files of one bot under ``<root>/<exchange>/<user>``.

    Attributes:
        path: That directory.
        seq: The number of the last event.
    """

    def __init__(self, root: Path, exchange: str, user: str, runtime: Mapping[str, Any]) -> None:
        self.path = root / exchange / user
        self.seq = 0
        self._exchange = exchange
        self._user = user
        self._runtime = runtime
        self._created_ms = now_ms()
        for name in ("events", "history", "checkpoints"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        self._write_manifest()

    def record_event(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        tags: tuple[str, ...],
        symbol: str | None = None,
        pside: str | None = None,
    ) -> None:
        """Append one event."""
        self.seq += 1
        event = {
            "ts": now_ms(),
            "seq": self.seq,
            "kind": kind,
            "tags": tags,
            "exchange": self._exchange,
            "user": self._user,
            "payload": payload,
        }
        if symbol is not None:
            event["symbol"] = symbol
        if pside is not None:
            event["pside"] = pside
        current = self.path / "events" / "current.ndjson"
        with current.open("a", encoding="utf-8") as file:
            file.write(_dumps(event))
            is_full = file.tell() >= ROTATION_BYTES
        if is_full:
            _rotate(current, str(now_ms()))

    def write_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """Replace the state file, and the manifest after it."""
        state = {**snapshot, "schema_version": _SCHEMA_VERSION}
        _replace(self.path / "state.latest.json", _dumps(state))
        self._write_manifest()

    def _write_manifest(self) -> None:
        manifest = {
            "schema_version": _SCHEMA_VERSION,
            "exchange": self._exchange,
            "user": self._user,
            "pid": os.getpid(),
            "created_ts_ms": self._created_ms,
            "updated_ts_ms": now_ms(),
            "last_seq": self.seq,
            "runtime": self._runtime,
            "paths": {
                "root": str(self.path),
                "state_latest": str(self.path / "state.latest.json"),
                "events_current": str(self.path / "events" / "current.ndjson"),
            },
            "config": {"snapshot_interval_seconds": 1.0},
            "capabilities": {"snapshot": True, "events": True, "history": False, "checkpoints": False},
        }
        _replace(self.path / "manifest.json", _dumps(manifest))


def now_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def _dumps(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n"


def _rotate(current: Path, label: str) -> None:
    rotated = current.with_name(f"{label}.ndjson")
    current.replace(rotated)
    rotated.with_name(f"{label}.ndjson.gz").write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    current.touch()
    for old in sorted(current.parent.glob("*.ndjson.gz"))[:-_ROTATED_KEPT]:
        old.unlink()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

"""The sidecar as it is, with one thing added: SIGUSR1 makes it print how much of it is alive.

``python server.py CONFIG...`` takes the arguments of ``passivbot-hooks run``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from passivbot_hooks.cli import main
from passivbot_hooks.sidecar import Sidecar
from passivbot_ws_plugin.plugin import plugin


def census() -> dict[str, int]:
    """What must not grow: tasks, threads, descriptors, resident memory in KiB."""
    gc.collect()
    worker = plugin._worker
    loop = None if worker is None else worker._ready.result(0)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return {
        "tasks": 0 if loop is None else len(asyncio.all_tasks(loop)),
        "threads": threading.active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "resident_kib": int(resident.split()[1]),
    }


_wanted: Final = threading.Event()
_poll: Final = Sidecar.poll


def poll(self: Sidecar) -> None:
    """Look at the files, then print the census if it is wanted: none of them is open in between."""
    _poll(self)
    if _wanted.is_set():
        _wanted.clear()
        # In one piece: what is logged meanwhile, to the same pipe perhaps, is not to come within the line.
        print(f"census {json.dumps(census())}\n", end="", flush=True)


if __name__ == "__main__":
    Sidecar.poll = poll  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, lambda *_: _wanted.set())
    sys.exit(main(["run", *sys.argv[1:]]))

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

from passivbot_hooks.cli import main
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


def report(signum: int, frame: object) -> None:
    """Print the census, from a thread: the handler may have interrupted anything."""
    threading.Thread(target=print_census).start()


def print_census() -> None:
    # In one piece: what is logged meanwhile, to the same pipe perhaps, is not to come within the line.
    print(f"census {json.dumps(census())}\n", end="", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, report)
    sys.exit(main(["run", *sys.argv[1:]]))

"""What the figures were measured on, and what it lets us measure."""

from __future__ import annotations

import gc
import os
import platform
import resource
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def describe() -> dict[str, str]:
    """The machine, for the head of a report."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "websockets": version("websockets"),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
    }


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def resident_kib() -> int:
    """What this process has in memory, after the garbage is gone."""
    gc.collect()
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    line = next(line for line in rollup.splitlines() if line.startswith("Rss:"))
    return int(line.split()[1])

"""Scale: from the hook to the client, and what a client costs, as clients become more.

A bot's process for each number of clients, all at the same pace, each in its own part of the second.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from . import bots, readers
from .bots import Paced
from .machine import raise_descriptor_limit
from .processes import Child
from .readers import Crowd
from .report import Check, Question, Report, Table, figure, percentile, progress


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure: clients, changes, and their pace."""

    clients: tuple[int, ...]
    changes: int
    period_s: float


#: Descriptors that are no clients'.
_RESERVE: Final = 200

#: Nothing more comes when nothing came for so long, seconds; and how often that is looked at.
_QUIET_S: Final = 2.0
_LOOK_S: Final = 0.1


def measure(size: Size) -> Report:
    """The figures, and what is wanted of them."""
    report = Report()
    counts = list(size.clients)
    while sum(counts) + _RESERVE > (limit := raise_descriptor_limit()):
        report.notes.append(f"{counts.pop():,} clients are left out: the limit of open files is {limit:,}")
    rows, costs_us = [], {}
    for count, (paced, latencies_ms) in _run(counts, size).items():
        messages = count * size.changes
        costs_us[count] = paced.cpu_s * 1e6 / len(latencies_ms)
        p50, p99 = percentile(latencies_ms, 50), percentile(latencies_ms, 99)
        report.series.setdefault("cpu_us", {})[count] = costs_us[count]
        report.series.setdefault("p50_ms", {})[count] = p50
        report.series.setdefault("p99_ms", {})[count] = p99
        rows.append(
            (
                f"{count:,}",
                figure(costs_us[count], "µs"),
                figure(p50, "ms"),
                figure(p99, "ms"),
                figure(max(latencies_ms), "ms"),
                f"{len(latencies_ms):,} of {messages:,}",
            )
        )
        if len(latencies_ms) < messages:
            report.notes.append(
                f"{count:,} clients: the machine was too busy for each change; late ones were merged."
            )
    columns = ("clients", "CPU a message", "p50", "p99", "max", "received")
    title = f"Hook to client, {1 / size.period_s:g} Hz, {size.changes} changes"
    report.tables.append(Table(title, columns, rows))
    least, most = counts[0], counts[-1]
    flat = costs_us[most] / costs_us[least]
    report.checks = [
        Check(f"scale: CPU a message, {most:,} clients over {least:,}", flat, 1.25),
        Check(
            f"scale: p99 at {most:,} clients",
            report.series["p99_ms"][most] / 1000,
            0.5,
            unit="s",
            is_steady=False,
        ),
    ]
    return report


def _run(counts: list[int], size: Size) -> dict[int, tuple[Paced, list[float]]]:
    with ExitStack() as stack:
        processes = {count: stack.enter_context(Child(bots.main)) for count in counts}
        crowd = stack.enter_context(Child(readers.main))  # last: the first to go at the end
        for count, bot in processes.items():
            crowd.ask("open", str(count), bot.take(), count, Crowd(is_timed=True))
            progress(f"scale: {count:,} clients are in")
        paced: dict[int, Paced] = {}
        latencies_ms: dict[int, list[float]] = {}
        for changes in (2, size.changes):  # the first ones warm caches up
            start = time.monotonic() + 0.1
            for number, bot in enumerate(processes.values()):
                phase_s = size.period_s * number / len(counts)
                bot.post("pace", changes, size.period_s, start + phase_s, "host")
            paced = {count: bot.take() for count, bot in processes.items()}
            latencies_ms = {count: _collect(crowd, str(count), count * changes) for count in counts}
            progress(f"scale: {changes} changes for each")
        return {count: (paced[count], latencies_ms[count]) for count in counts}


def _collect(crowd: Child, name: str, expected: int) -> list[float]:
    """The latencies of what came, milliseconds; less than expected if the server merged changes."""
    latencies_ms: list[float] = []
    waited_s = 0.0
    while waited_s < _QUIET_S:
        came = crowd.ask("take", name)["latencies_ns"]
        latencies_ms += (latency / 1e6 for latency in came)
        if len(latencies_ms) >= expected:
            break
        waited_s = 0.0 if came else waited_s + _LOOK_S
        time.sleep(_LOOK_S)  # to poll all the time would take the CPU that is measured
    return latencies_ms


QUESTION: Final = Question(
    "Scale",
    {
        "full": Size((100, 1_000, 5_000), 40, 1.0),
        "quick": Size((100, 1_000), 8, 0.25),
        "tiny": Size((2, 4), 3, 0.05),
    },
    measure,
)

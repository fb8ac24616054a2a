"""The hook: how long a trading loop that calls it is kept, however many watch, and whoever does not read.

One bot's process for each number of clients, called in turns.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Final

from . import bots, readers
from .bots import Paced, Through
from .processes import Child
from .readers import Crowd
from .report import Check, Question, Report, Table, figure, percentile, progress, ratio


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure: clients, stuck ones, turns, calls in a turn, and their pace."""

    clients: tuple[int, ...]
    stuck: int
    rounds: int
    calls: int
    period_s: float


#: Large states until a stuck client's buffers are full, the kernel's too.
_FILLING: Final = 200

_HOOKS: Final[tuple[tuple[Through, str], ...]] = (
    ("host", "the hook"),
    ("plugin", "the plugin's own hook"),
)

_Course = tuple[int, int, Through]  # how many clients, how many stuck, who is called


def measure(size: Size) -> Report:
    """The figures, and what is wanted of them."""
    most = max(size.clients)
    crowds = [*((count, 0) for count in size.clients), (most, size.stuck)]
    calls: dict[_Course, list[list[int]]] = {}
    with ExitStack() as stack:
        processes = {key: stack.enter_context(Child(bots.main)) for key in crowds}
        crowd = stack.enter_context(Child(readers.main))  # last: the first to go at the end
        for (count, stuck), bot in processes.items():
            _open(crowd, bot, count, stuck)
        for number in range(size.rounds + 1):
            for (count, stuck), bot in processes.items():
                for through, _ in _HOOKS:
                    start = time.monotonic() + size.period_s
                    paced: Paced = bot.ask("pace", size.calls, size.period_s, start, through)
                    if number > 0:  # the first turn warms caches up
                        calls.setdefault((count, stuck, through), []).append(paced.calls_ns)
            progress(f"hook: round {number} of {size.rounds}")
        assert crowd.ask("count", "stuck") == size.stuck, "who never read was cut off: it weighed nothing"
    return _report(calls, most, size.stuck)


def _open(crowd: Child, bot: Child, count: int, stuck: int) -> None:
    address = bot.take()
    if stuck:
        crowd.ask("open", "stuck", address, stuck, Crowd(is_stuck=True))
        bot.ask("fill", _FILLING)
    if count:
        crowd.ask("open", f"{count} beside {stuck}", address, count, Crowd())
    progress(f"hook: a bot with {count} clients, and {stuck} that never read")


def _report(calls: dict[_Course, list[list[int]]], most: int, stuck: int) -> Report:
    rows, checks = [], []
    for (count, stuck_here, through), rounds in calls.items():
        together = [call for one in rounds for call in one]
        medians = [median(one) for one in rounds]
        alone = [median(one) for one in calls[0, 0, through]]
        rows.append(
            (
                f"{'`PluginHost`' if through == 'host' else 'the plugin by itself'}, {count:,} clients"
                + (f" and {stuck_here} stuck ones" if stuck_here else ""),
                figure(median(together) / 1000, "µs"),
                figure(ratio(medians, alone)),
                figure(percentile(together, 99) / 1000, "µs"),
                figure(max(together) / 1000, "µs"),
            )
        )
    for through, name in _HOOKS:
        none, many, beside_stuck = (
            [median(one) for one in calls[*key, through]] for key in ((0, 0), (most, 0), (most, stuck))
        )
        checks += [
            Check(f"{name}: {most:,} clients over none, median", ratio(many, none), 1.5),
            Check(f"{name}: {stuck} stuck ones over none, median", ratio(beside_stuck, many), 1.25),
        ]
    told, done = ([median(one) for one in calls[most, 0, through]] for through, _ in _HOOKS)
    checks.append(
        Check("the hook: over the plugin's own, which it does not wait for", ratio(told, done), 0.8)
    )
    worst = max(
        percentile([call for one in rounds for call in one], 99)
        for (_, _, through), rounds in calls.items()
        if through == "host"
    )
    checks.append(Check("the hook: p99, however many clients", worst / 1e6, 1.0, unit="ms", is_steady=False))
    columns = ("who is called", "median", "times none's", "p99", "max")
    return Report([Table("The hook, in the thread that calls it", columns, rows)], checks)


QUESTION: Final = Question(
    "The hook",
    {
        "full": Size((0, 100, 1_000), 50, 8, 40, 0.04),
        "quick": Size((0, 1_000), 50, 4, 10, 0.04),
        "tiny": Size((0, 2), 1, 1, 3, 0.01),
    },
    measure,
)

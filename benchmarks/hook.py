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
    courses: dict[_Course, list[Paced]] = {}
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
                        courses.setdefault((count, stuck, through), []).append(paced)
            progress(f"hook: round {number} of {size.rounds}")
        assert crowd.ask("count", "stuck") == size.stuck, "who never read was cut off: it weighed nothing"
    return _report(courses, most, size.stuck)


def _open(crowd: Child, bot: Child, count: int, stuck: int) -> None:
    address = bot.take()
    if stuck:
        crowd.ask("open", "stuck", address, stuck, Crowd(is_stuck=True))
        bot.ask("fill", _FILLING)
    if count:
        crowd.ask("open", f"{count} beside {stuck}", address, count, Crowd())
    progress(f"hook: a bot with {count} clients, and {stuck} that never read")


def _together(rounds: list[Paced]) -> list[int]:
    return [call for one in rounds for call in one.calls_ns]


def _medians(rounds: list[Paced]) -> list[float]:
    return [median(one.calls_ns) for one in rounds]


def _waits(rounds: list[Paced]) -> int:
    return sum(one.waits for one in rounds)


def _report(courses: dict[_Course, list[Paced]], most: int, stuck: int) -> Report:
    rows, checks = [], []
    for (count, stuck_here, through), rounds in courses.items():
        together = _together(rounds)
        rows.append(
            (
                f"{'`PluginHost`' if through == 'host' else 'the plugin by itself'}, {count:,} clients"
                + (f" and {stuck_here} stuck ones" if stuck_here else ""),
                figure(median(together) / 1000, "µs"),
                figure(ratio(_medians(rounds), _medians(courses[0, 0, through]))),
                figure(percentile(together, 99) / 1000, "µs"),
                figure(max(together) / 1000, "µs"),
                f"{_waits(rounds)} of {len(together)}",
            )
        )
    for through, name in _HOOKS:
        none, many, beside_stuck = (
            _medians(courses[*key, through]) for key in ((0, 0), (most, 0), (most, stuck))
        )
        checks += [
            Check(f"{name}: {most:,} clients over none, median", ratio(many, none), 1.5),
            Check(f"{name}: {stuck} stuck ones over none, median", ratio(beside_stuck, many), 1.25),
        ]
    of_host = [rounds for (_, _, through), rounds in courses.items() if through == "host"]
    share = sum(map(_waits, of_host)) / sum(len(_together(rounds)) for rounds in of_host)
    worst = max(percentile(_together(rounds), 99) for rounds in of_host)
    checks += [
        # Not none: whose processor is taken away by others may have to wait for the interpreter after it.
        Check("the hook: calls that waited for anything, of all", share, 0.05),
        Check("the hook: p99, however many clients", worst / 1e6, 1.0, unit="ms", is_steady=False),
    ]
    columns = ("who is called", "median", "times none's", "p99", "max", "waited")
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

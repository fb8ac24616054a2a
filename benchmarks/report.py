"""What was found: tables of figures, and whether what is wanted holds."""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

#: By how much a figure of the quick form may be worse than its bound: it is measured in little time, beside
#: whatever else the machine does.
SLACK: Final = 1.25

# Told to the processes of this run, by the environment that they inherit: one clock for all.
_started_s = float(os.environ.setdefault("BENCH_STARTED_S", repr(time.monotonic())))


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that something is wanted of.

    Attributes:
        what: The figure, in a few words.
        value: What was measured.
        bound: What is wanted.
        sense: Whether more or less than the bound is worse.
        unit: Of both; ``"x"`` for a ratio.
        is_steady: It does not depend on how fast the machine is, so that it can fail a build.
    """

    what: str
    value: float
    bound: float
    sense: Literal["at most", "at least"] = "at most"
    unit: str = "x"
    is_steady: bool = True

    @property
    def holds(self) -> bool:
        """Whether it is as wanted."""
        return self._is_within(1.0)

    @property
    def worse(self) -> float:
        """How many times worse than wanted it is; infinite where nothing at all is wanted."""
        over, under = (self.value, self.bound) if self.sense == "at most" else (self.bound, self.value)
        return over / under if under else math.inf

    @property
    def fails(self) -> bool:
        """Whether it is so much worse that a build has to fail."""
        return self.is_steady and not self._is_within(SLACK)

    def _is_within(self, slack: float) -> bool:
        if self.sense == "at most":
            return self.value <= self.bound * slack
        return self.value * slack >= self.bound


@dataclass(frozen=True, slots=True)
class Table:
    """Figures as text, a row for each thing that was measured."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(slots=True)
class Report:
    """The answer to one question.

    Attributes:
        tables: What was measured.
        checks: What is wanted of it.
        series: Figures for the plot: by name, by the number of clients.
        notes: What has to be known to read them.
    """

    tables: list[Table] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    series: dict[str, dict[int, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Question:
    """A benchmark.

    Attributes:
        title: Its heading.
        sizes: How much to measure, for each form: ``full``, ``quick``, ``tiny``.
        measure: Given one of them.
    """

    title: str
    sizes: Mapping[str, Any]
    measure: Callable[[Any], Report]


def progress(text: str) -> None:
    """Say on stderr what is being done; it is long."""
    sys.stderr.write(f"  [{time.monotonic() - _started_s:4.0f} s] {text}\n")
    sys.stderr.flush()


def ratio(values: Sequence[float], units: Sequence[float]) -> float:
    """The median of the ratios of what was measured in the same round."""
    return statistics.median(value / unit for value, unit in zip(values, units, strict=True))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def render(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for the terminal: the first column to the left, figures to the right."""
    widths = [max(len(row[index]) for row in (columns, *rows)) for index in range(len(columns))]
    lines = []
    for row in (columns, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join((row[0].ljust(widths[0]), *cells[1:])).rstrip())
    return "\n".join((lines[0], "-" * len(lines[0]), *lines[1:]))


def check_row(check: Check) -> tuple[str, str, str, str]:
    """A check as a row: what, measured, wanted, whether it holds."""
    wanted = f"{check.sense} {figure(check.bound, check.unit)}"
    return check.what, figure(check.value, check.unit), wanted, "yes" if check.holds else "NO"


CHECK_COLUMNS: Final = ("what", "measured", "wanted", "holds")


def figure(value: float, unit: str = "") -> str:
    """A figure with three digits that count, two below 1, and its unit; a count as it is."""
    decimals = 0
    if value and not isinstance(value, int):
        digits = 3 if abs(value) >= 1 else 2
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f} {unit}".rstrip()

"""``docs/performance.md``: what the machine wrote is between markers, the rest is written by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from .plot import Panel, draw
from .report import CHECK_COLUMNS, Check, Report, check_row, figure

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"

PAGE: Final = DOCS / "performance.md"
PLOT: Final = DOCS / "performance.svg"


class PageError(Exception):
    """The page has no place for what is to be written."""


def write(machine: Mapping[str, str], reports: Mapping[str, Report]) -> None:
    """Write the measured parts of the page anew, and the plot.

    Raises:
        PageError: The markers of a part are not there.
    """
    text = PAGE.read_text(encoding="utf-8")
    text = fill(text, "machine", ", ".join(f"{name}: {value}" for name, value in machine.items()))
    checks = [check for report in reports.values() for check in report.checks]
    text = fill(text, "wanted", f"{_table(CHECK_COLUMNS, map(check_row, checks))}\n\n{misses(checks)}")
    for title, report in reports.items():
        text = fill(text, _name(title), _section(report))
    series = next((report.series for report in reports.values() if report.series), None)
    if series is not None:
        panels = [
            Panel("CPU for each message, µs", {"CPU": series["cpu_us"]}),
            Panel("hook to client, ms", {"p50": series["p50_ms"], "p99": series["p99_ms"]}),
        ]
        PLOT.write_text(draw(panels), encoding="utf-8")
    PAGE.write_text(text, encoding="utf-8")


def fill(text: str, part: str, content: str) -> str:
    """A page with the content of one part replaced.

    Raises:
        PageError: Its markers are not there, or not once.
    """
    begin, end = f"<!-- measured: {part} -->", f"<!-- end: {part} -->"
    replaced, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n{content}\n{end}",
        text,
        flags=re.DOTALL,
    )
    if count != 1:
        raise PageError(f"{PAGE.name}: {count} places for {part!r}; there must be one, {begin} to {end}")
    return replaced


def misses(checks: Sequence[Check]) -> str:
    """In plain words, what is not as wanted."""
    missed = [check for check in checks if not check.holds]
    if not missed:
        return "All of it holds."
    lines = []
    for check in missed:
        what, measured, wanted, _ = check_row(check)
        by = f", {figure(check.worse)} times worse" if math.isfinite(check.worse) else ""
        lines.append(f"- **Missed:** {what} is {measured}; wanted is {wanted}{by}.")
    return "\n".join(lines)


def _section(report: Report) -> str:
    parts = [f"**{table.title}**\n\n{_table(table.columns, table.rows)}" for table in report.tables]
    return "\n\n".join((*parts, *report.notes))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _name(title: str) -> str:
    return title.lower()

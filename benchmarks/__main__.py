"""``make bench``: measure, print, and write ``docs/performance.md``.

``make bench QUICK=1`` takes under a minute, prints, and fails where a figure is worse than its bound by
more than a quarter.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Final

from . import fanout, hook, machine, memory, page, scale, source, wire
from .report import CHECK_COLUMNS, SLACK, Question, Report, check_row, progress, render

QUESTIONS: Final[Mapping[str, Question]] = {
    module.__name__.rpartition(".")[2]: module.QUESTION
    for module in (fanout, hook, memory, scale, wire, source)
}


def main() -> int:
    """Run it; 0 if all that can fail a build is as wanted, or nearly."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(QUESTIONS)}; default: all"
    )
    parser.add_argument(
        "--size", choices=("full", "quick", "tiny"), default="full", help="how much to measure"
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.questions) - set(QUESTIONS))
    if unknown:
        parser.error(f"no such question: {', '.join(unknown)}; there are {', '.join(QUESTIONS)}")
    described = machine.describe()
    reports: dict[str, Report] = {}
    for name, question in QUESTIONS.items():
        if not arguments.questions or name in arguments.questions:
            progress(question.title)
            reports[question.title] = question.measure(question.sizes[arguments.size])
    show(described, reports)
    if arguments.size == "full" and not arguments.questions:
        page.write(described, reports)
        print(f"written: {page.PAGE.name}, {page.PLOT.name}")
    failed = [check.what for report in reports.values() for check in report.checks if check.fails]
    if arguments.size == "quick" and failed:
        print(f"worse than wanted by more than {SLACK - 1:.0%}: {'; '.join(failed)}")
        return 1
    return 0


def show(described: Mapping[str, str], reports: Mapping[str, Report]) -> None:
    """Print it all."""
    print(", ".join(f"{name}: {value}" for name, value in described.items()))
    for report in reports.values():
        for table in report.tables:
            print(f"\n{table.title}\n{render(table.columns, table.rows)}")
        for note in report.notes:
            print(note)
    checks = [check_row(check) for report in reports.values() for check in report.checks]
    print(f"\nWanted\n{render(CHECK_COLUMNS, checks)}")


if __name__ == "__main__":
    sys.exit(main())

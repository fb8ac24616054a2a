"""The smallest form of the benchmarks, from end to end: that they run, not how fast."""

from __future__ import annotations

import re
import sys

from processes import ROOT, Process


def test_the_smallest_form_measures_and_prints() -> None:
    command = [sys.executable, "-m", "benchmarks", "--size", "tiny", "fanout", "scale", "wire", "source"]
    with Process(*command, cwd=ROOT) as run:
        assert run.wait(60) == 0, run.output
        output = run.output
    assert "Traceback" not in output
    for row in ("ours, delta", "the floor", "one position", "a poll", "6 of 6", "12 of 12"):
        assert row in output
    assert len(re.findall(r" (yes|NO)$", output, re.MULTILINE)) == 11


def test_a_question_that_there_is_not_is_named() -> None:
    with Process.python("benchmarks", "fast", cwd=ROOT) as run:
        assert run.wait() == 2
        assert "no such question: fast; there are fanout, hook" in run.output

from __future__ import annotations

import math
from typing import Literal
from xml.etree import ElementTree as ET

import pytest

from benchmarks.page import PAGE, PageError, fill, misses
from benchmarks.plot import Panel, draw
from benchmarks.report import Check, figure, percentile, ratio, render


@pytest.mark.parametrize(
    ("sense", "value", "holds", "fails"),
    [
        ("at most", 2.0, True, False),
        ("at most", 2.4, False, False),
        ("at most", 2.6, False, True),
        ("at least", 2.0, True, False),
        ("at least", 1.7, False, False),
        ("at least", 1.5, False, True),
    ],
)
def test_a_build_fails_where_a_figure_is_worse_by_more_than_a_quarter(
    sense: Literal["at most", "at least"], value: float, *, holds: bool, fails: bool
) -> None:
    check = Check("a ratio", value, 2.0, sense)
    assert (check.holds, check.fails) == (holds, fails)


def test_what_depends_on_the_machine_fails_no_build() -> None:
    check = Check("a latency", 100.0, 1.0, unit="ms", is_steady=False)
    assert not check.holds
    assert not check.fails


def test_a_ratio_is_of_what_was_measured_together() -> None:
    assert ratio([10.0, 200.0, 30.0], [1.0, 10.0, 2.0]) == 15.0


def test_a_percentile_of_few_is_the_largest() -> None:
    assert percentile([1.0, 3.0, 2.0], 99) == 3.0
    assert percentile([1.0, 3.0, 2.0], 50) == 2.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00041, "0.00041"),
        (0.0481, "0.048"),
        (1.149, "1.15"),
        (18.13, "18.1"),
        (1280.0, "1,280"),
        (1, "1"),
    ],
)
def test_a_figure_has_three_digits_that_count(value: float, text: str) -> None:
    assert figure(value) == text


def test_a_table_lines_up() -> None:
    lines = render(("what", "n"), [("a", "1"), ("longer", "1,000")]).splitlines()
    assert lines[0] == "what        n"
    assert lines[3] == "longer  1,000"


def test_what_is_written_by_hand_stays() -> None:
    text = "by hand\n<!-- measured: x -->\nold\n<!-- end: x -->\nby hand too\n"
    assert fill(text, "x", "new") == text.replace("old", "new")


def test_a_page_without_the_place_is_refused() -> None:
    with pytest.raises(PageError, match="0 places for 'x'"):
        fill("by hand", "x", "new")


def test_a_miss_is_said_in_words() -> None:
    words = misses(
        [Check("the way over the floor", 3.0, 2.0), Check("another", 1.0, 2.0), Check("no reads", 1, 0)]
    )
    assert (
        words.splitlines()[0]
        == "- **Missed:** the way over the floor is 3.00 x; wanted is at most 2.00 x, 1.50 times worse."
    )
    assert words.splitlines()[1:] == ["- **Missed:** no reads is 1 x; wanted is at most 0 x."]


def test_the_page_has_a_place_for_every_question() -> None:
    from benchmarks.__main__ import QUESTIONS

    text = PAGE.read_text(encoding="utf-8")
    for part in ("machine", "wanted", *(question.title.lower() for question in QUESTIONS.values())):
        fill(text, part, "")


@pytest.mark.parametrize("most", [0.0, 0.004, 1.0, 38.0, 39.9, 64.7, 391.0, 99_999.0])
def test_the_plot_has_an_axis_for_figures_of_any_size(most: float) -> None:
    document = ET.fromstring(draw([Panel("any", {"line": {100: most / 2, 1_000: most}})]))
    highest = min(
        float(circle.attrib["cy"]) for circle in document.iter("{http://www.w3.org/2000/svg}circle")
    )
    assert 36 <= highest <= 196


def test_the_plot_is_well_formed_and_within_its_frame() -> None:
    lines = {"p50 & more": {100: 2.0, 1_000: 20.0, 5_000: 90.0}, "p99": {100: 5.0, 5_000: 200.0}}
    document = ET.fromstring(draw([Panel("hook to client, ms", lines)]))
    _, _, width, height = map(float, document.attrib["viewBox"].split())
    circles = document.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 5
    for circle in circles:
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height
        assert math.isfinite(float(circle.attrib["cy"]))

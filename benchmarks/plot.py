"""A small plot of figures against the number of clients, as SVG: readable on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_WIDTH: Final = 360
_HEIGHT: Final = 240
_LEFT: Final = 56
_BOTTOM: Final = 44
_TOP: Final = 36
_RIGHT: Final = 20

#: Mid tones: each is told from white and from black. The text follows the page.
_COLOURS: Final = ("#2f81f7", "#d98e04", "#c04b9b")

_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.axis{stroke:#8c959f}.grid{stroke:#8c959f;opacity:.3}"
    "@media(prefers-color-scheme:dark){text{fill:#d0d7de}}"
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: What is shown, with its unit.
        lines: By name, the figure for each number of clients.
    """

    title: str
    lines: Mapping[str, Mapping[int, float]]


def draw(panels: Sequence[Panel]) -> str:
    """The panels beside each other; the number of clients on a logarithmic axis, figures from 0."""
    width = _WIDTH * len(panels)
    body = [line for index, panel in enumerate(panels) for line in _panel(panel, index * _WIDTH)]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" role="img">',
            f"<title>{escape('; '.join(panel.title for panel in panels))}</title>",
            f"<style>{_STYLE}</style>",
            *body,
            "</svg>",
            "",
        )
    )


def _panel(panel: Panel, left: int) -> Iterable[str]:
    clients = sorted({count for line in panel.lines.values() for count in line})
    step = _step(max(value for line in panel.lines.values() for value in line.values()))
    top = step * 4

    def x(count: float) -> float:
        span = math.log(clients[-1] / clients[0]) or 1.0
        part = math.log(count / clients[0]) / span
        return round(left + _LEFT + part * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - value / top * (_HEIGHT - _BOTTOM - _TOP), 1)

    yield f'<text x="{left + _LEFT}" y="18">{escape(panel.title)}</text>'
    for number in range(5):
        value, kind = step * number, "grid" if number else "axis"
        yield (
            f'<line class="{kind}" x1="{left + _LEFT}" x2="{left + _WIDTH - _RIGHT}" '
            f'y1="{y(value)}" y2="{y(value)}"/>'
        )
        yield f'<text x="{left + _LEFT - 8}" y="{y(value) + 4}" text-anchor="end">{value:g}</text>'
    for count in clients:
        yield f'<text x="{x(count)}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{count:,}</text>'
    middle = left + (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">clients</text>'
    for (name, line), colour in zip(panel.lines.items(), _COLOURS, strict=False):
        places = [(x(count), y(value)) for count, value in sorted(line.items())]
        points = " ".join(f"{across},{down}" for across, down in places)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{across}" cy="{down}" r="3" fill="{colour}"/>' for across, down in places)
        across, down = places[-1]
        yield f'<text x="{across - 6}" y="{down - 8}" text-anchor="end">{escape(name)}</text>'


def _step(most: float) -> float:
    """A round number, four of which reach above all figures."""
    most = most or 1.0
    unit = 10.0 ** math.floor(math.log10(most / 4))
    return next(unit * factor for factor in (1, 2, 2.5, 5, 10, 20) if unit * factor * 4 >= most * 1.05)

"""Values of Passivbot's JSON whose type nobody promises: each as what it should be, or None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

#: A longer text is cut.
TEXT_MAX: Final = 200

#: The end of the year 9999: beyond it, neither Python nor JavaScript can write a time down.
_MOMENT_MAX_MS: Final = 253_402_300_799_999


def number(value: object) -> float | None:
    """A finite number; None for all else, booleans and NaN too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer beyond every float
        return None


def whole(value: object) -> int | None:
    """A finite number without its fraction: Passivbot writes some times as floats."""
    finite = number(value)
    return None if finite is None else int(finite)


def moment(value: object) -> int | None:
    """A time, milliseconds since the epoch; None for all else, and for what no calendar has."""
    ms = whole(value)
    return ms if ms is not None and 0 <= ms <= _MOMENT_MAX_MS else None


def words(value: object) -> str | None:
    """A text of at most 200 characters that any encoder takes; None for all else, empty ones too."""
    cut = value[:TEXT_MAX] if isinstance(value, str) else ""
    return cut.encode("utf-8", "replace").decode() or None  # JSON can hold half a surrogate pair


def text(value: object) -> str | None:
    """A string."""
    return value if isinstance(value, str) else None


def mapping(value: object) -> Mapping[str, Any]:
    """An object; empty for all else."""
    return value if isinstance(value, dict) else {}

"""What JSON can say of a value, as nearly as it can. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

# Bounds of what is sent are facts for the schema; nothing is checked by them here.
FromZero = Annotated[int, Meta(ge=0)]
FromOne = Annotated[int, Meta(ge=1)]


def number(value: object) -> float | None:
    """A finite JSON number, or None."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    try:
        finite = float(value)  # type: ignore[arg-type]  # Decimal, numpy, ...: whatever can be a float
    except (TypeError, ValueError, OverflowError):
        return None
    return finite if math.isfinite(finite) else None


def integer(value: object) -> int | None:
    """A whole JSON number, or None."""
    finite = number(value)
    return None if finite is None or abs(finite) >= 2**63 else int(finite)


def text(value: object) -> str | None:
    """A text that UTF-8 can say, or None."""
    return None if value is None else clean_text(str(value))


def clean_text(value: str) -> str:
    """The text with each half of a surrogate pair replaced: UTF-8 cannot say those."""
    return value.encode("utf-8", "replace").decode("utf-8")


def clean(value: object) -> Any:
    """A deep copy of any value that JSON can say, the rest as nearly as it can.

    Keys become text; NaN and infinities null; tuples and sets lists; what JSON has no
    word for (a date, a path, a Decimal) its text.
    """
    match value:
        case None | bool():
            return value
        case int() | float():
            return number(value)
        case str():
            return clean_text(value)
        case Mapping():
            return {clean_text(str(key)): clean(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [clean(item) for item in value]
        case _:
            return clean_text(str(value))

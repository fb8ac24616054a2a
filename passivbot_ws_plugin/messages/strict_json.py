"""JSON as a stranger may have written it: read strictly, or refused."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from passivbot_ws_plugin.errors import ProtocolError

#: How deep a client's JSON may nest.
DEPTH_MAX: Final = 16

#: How many objects and lists it may hold, for each is work: a ``since`` of 1,000 places is half of it.
NODES_MAX: Final = 2000


def parse(text: str) -> Any:
    """What a text says as JSON.

    Raises:
        ProtocolError: It is none, nests too deep, holds too much, or says what no JSON should: a key twice,
            NaN, an infinity.
    """
    brackets = _NO_BRACKETS.sub("", text)
    if len(brackets) > 2 * NODES_MAX:
        raise ProtocolError("invalid_json", f"more than {NODES_MAX} objects and lists")
    if _is_too_deep(brackets):
        raise ProtocolError("invalid_json", f"nested deeper than {DEPTH_MAX}")
    # The standard library's parser, for its hooks: msgspec's cannot refuse a repeated key.
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite_float)
    except ValueError as exc:
        raise ProtocolError("invalid_json", "not valid JSON") from exc


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a key appears twice")
    return unique


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("beyond every number")
    return value


#: A JSON string, or the rest of the text after one that does not end; or anything else that is no bracket.
_NO_BRACKETS: Final = re.compile(r'"(?:[^"\\]+|\\.)*"?|[^"\[\]{}]+', re.DOTALL)


def _is_too_deep(brackets: str) -> bool:
    """Whether brackets nest too deep. Before parsing: how deep a parser can go differs by its version."""
    depth = 0
    for character in brackets:
        if character in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                return True
        else:
            depth -= 1
    return False

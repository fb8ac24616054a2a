"""The JSON of a ``state.latest.json``, of which a small part is read.

With 200 symbols it is about a megabyte a second, most of it of no use here. msgspec, where it is
installed (``passivbot-hooks[speed]``; the WebSocket plugin brings it), passes over what no field asks
for, in a tenth of the time. What it does not take, such as NaN, which is no JSON and which Passivbot
writes, the standard library reads: it also says best what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def load_document(raw: bytes) -> Any:
    """The document, with the keys that `state` reads, and perhaps others.

    Raises:
        ValueError: It is not JSON, not UTF-8, or holds a number of thousands of digits.
        RecursionError: It nests too deeply.
    """
    document = None if _load_fast is None else _load_fast(raw)
    return json.loads(raw) if document is None else document


def _find_fast() -> Callable[[bytes], dict[str, Any] | None] | None:
    try:
        from .fast_document import load
    except ImportError:
        return None
    return load


_load_fast = _find_fast()

"""JSON merge patches (RFC 7396): make one, apply one. Pure.

Documents are what `json` makes: an object is a ``dict``.

A merge patch cannot say everything: a member whose value is to become null, for null means
"remove" (section 1). Such a difference is refused, and the caller sends the whole document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passivbot_ws_plugin.errors import WebSocketPluginError


class UnsayableError(WebSocketPluginError):
    """No merge patch says this."""


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The patch that makes ``new`` of ``old``; empty if they are equal.

    Args:
        old: A JSON object.
        new: Another one.

    Raises:
        UnsayableError: A member is null in ``new`` and was not in ``old``.
    """
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key, _ABSENT)
        if before is value:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := diff(before, value):
                patch[key] = inner
        elif not is_same(before, value):
            patch[key] = _whole(value)
    return patch


def apply(patch: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the patch applied (RFC 7396 section 2); neither argument is changed."""
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = apply(value, before if isinstance(before, dict) else {})
        else:
            merged[key] = value
    return merged


_ABSENT = object()


def is_same(one: object, other: object) -> bool:
    """Whether two JSON values are equal. True is not 1 there, as it is in Python."""
    if type(one) is not type(other):  # they may be two numbers still
        return one == other and not isinstance(one, bool) and not isinstance(other, bool)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one == other


def _whole(value: object) -> Any:
    """A value that was not there, as a patch says it."""
    if value is None:
        raise UnsayableError("a member becomes null")
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value

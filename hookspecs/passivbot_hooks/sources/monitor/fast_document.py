"""What is read of a ``state.latest.json``, as msgspec is to read it. Imported only where msgspec is."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

_Number = int | float | UnsetType | None


class _Side(Struct):
    size: _Number = UNSET
    price: _Number = UNSET
    upnl: _Number = UNSET
    last_price: _Number = UNSET
    wallet_exposure: _Number = UNSET


class _Sides(Struct):
    long: _Side | UnsetType = UNSET
    short: _Side | UnsetType = UNSET


class _Market(Struct):
    active_symbol: bool | UnsetType = UNSET


class _Order(Struct):
    """Orders are counted, not looked at."""


class _Document(Struct):
    schema_version: int
    meta: dict[str, Any]
    account: dict[str, Any]
    positions: dict[str, _Sides]
    open_orders: dict[str, list[_Order]]
    market: dict[str, _Market]
    health: dict[str, Any] | UnsetType = UNSET


_decoder: Final = msgspec.json.Decoder(_Document)


def load(raw: bytes) -> dict[str, Any] | None:
    """The document, with nothing in it that is not read; None if it has another shape or is no JSON."""
    try:
        document: dict[str, Any] = msgspec.to_builtins(_decoder.decode(raw))
    except (ValueError, RecursionError):  # msgspec's own errors are of the former
        return None
    return document

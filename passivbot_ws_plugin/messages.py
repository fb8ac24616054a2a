"""Every message on the wire: one struct each, one encoder, one decoder. No I/O.

JSON text frames, UTF-8, one object a message. The published messages are ``auth``,
``auth_result``, ``statistics``, ``get_config``, ``config``, ``ping``, ``pong`` and ``error``;
their published fields come first and never change, what was added comes after them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from passivbot_hooks import Health, Position, Statistics

from .errors import ErrorCode, ProtocolError

#: How deep a client's JSON may nest.
DEPTH_MAX: Final = 16

#: How long a request's ``id`` may be, in characters.
ID_MAX_CHARS: Final = 64

# --- server to client -----------------------------------------------------------------


class AuthResult(Struct, frozen=True, tag_field="type", tag="auth_result"):
    """The answer to ``auth``, and the only message that a stranger ever gets unasked.

    Attributes:
        success: Whether the client is in.
        message: For people.
        data: After SCRAM: the server's own proof (RFC 5802, server-final-message).
        id: The request's id.
    """

    success: bool
    message: str
    data: str | UnsetType = UNSET
    id: Raw | UnsetType = UNSET


class Challenge(Struct, frozen=True, tag_field="type", tag="challenge"):
    """The answer to ``hello``: SCRAM's server-first-message (RFC 5802)."""

    data: str
    id: Raw | UnsetType = UNSET


class PositionData(Struct, frozen=True):
    """One held side; see `passivbot_hooks.Position` for the units."""

    symbol: str
    side: str
    size: float | None
    entry_price: float | None
    upnl: float | None
    last_price: float | None
    wallet_exposure: float | None


class HealthData(Struct, frozen=True):
    """The bot's counters; see `passivbot_hooks.Health`."""

    started_at: int | None
    fills: int | None
    orders_placed: int | None
    orders_cancelled: int | None
    errors_last_hour: int | None
    ws_reconnects: int | None
    rate_limits: int | None
    pnl: float | None


class StatisticsData(Struct, frozen=True):
    """One snapshot: the six published fields, then the extras; see `passivbot_hooks.Statistics`."""

    timestamp: int | None
    balance: float | None
    upnl: float | None
    open_orders_count: int | None
    active_symbols_count: int | None
    positions: list[PositionData]
    exchange: str | None
    quote: str | None
    status: str | None
    realized_pnl: float | None
    health: HealthData | None
    version: str | None

    def differs_from(self, other: StatisticsData | None) -> bool:
        """Whether anything but the timestamp differs; True against None."""
        return other is None or self != msgspec.structs.replace(other, timestamp=self.timestamp)


class StatisticsMessage(Struct, frozen=True, tag_field="type", tag="statistics"):
    """A bot's state: right after the login, and at each change.

    Attributes:
        data: The state.
        bot: The bot's name.
        epoch: New at each start of the server; ``seq`` counts within it.
        seq: Counts up by one for each change of this bot, from 1.
    """

    data: StatisticsData
    bot: str
    epoch: str
    seq: int


class ConfigMessage(Struct, frozen=True, tag_field="type", tag="config"):
    """The answer to ``get_config``: the whole config."""

    data: Raw
    bot: str
    id: Raw | UnsetType = UNSET


class Pong(Struct, frozen=True, tag_field="type", tag="pong"):
    """The answer to ``ping``."""

    id: Raw | UnsetType = UNSET


class Error(Struct, frozen=True, tag_field="type", tag="error"):
    """The answer to what cannot be done."""

    message: str
    code: ErrorCode
    id: Raw | UnsetType = UNSET


ServerMessage = AuthResult | Challenge | StatisticsMessage | ConfigMessage | Pong | Error

_encoder: Final = msgspec.json.Encoder()


def encode(message: ServerMessage) -> bytes:
    """A message as UTF-8 JSON."""
    return _encoder.encode(message)


def encode_config(config: Mapping[str, Any]) -> Raw:
    """A config, made of `clean` values, as JSON for `ConfigMessage`."""
    return Raw(_encoder.encode(config))


def statistics_data(stats: Statistics) -> StatisticsData:
    """A source's statistics as they go on the wire.

    What JSON cannot say (NaN, an infinity, half a surrogate pair) does not pass: numbers
    become null, text is repaired. Decimal and other numbers become JSON numbers.
    """
    return StatisticsData(
        timestamp=_integer(stats.timestamp),
        balance=_number(stats.balance),
        upnl=_number(stats.upnl),
        open_orders_count=_integer(stats.open_orders_count),
        active_symbols_count=_integer(stats.active_symbols_count),
        positions=[_position_data(position) for position in stats.positions],
        exchange=_text(stats.exchange),
        quote=_text(stats.quote),
        status=_text(stats.status),
        realized_pnl=_number(stats.realized_pnl),
        health=None if stats.health is None else _health_data(stats.health),
        version=_text(stats.version),
    )


def _position_data(position: Position) -> PositionData:
    return PositionData(
        symbol=clean_text(str(position.symbol)),
        side=clean_text(str(position.side)),
        size=_number(position.size),
        entry_price=_number(position.entry_price),
        upnl=_number(position.upnl),
        last_price=_number(position.last_price),
        wallet_exposure=_number(position.wallet_exposure),
    )


def _health_data(health: Health) -> HealthData:
    return HealthData(
        started_at=_integer(health.started_at),
        fills=_integer(health.fills),
        orders_placed=_integer(health.orders_placed),
        orders_cancelled=_integer(health.orders_cancelled),
        errors_last_hour=_integer(health.errors_last_hour),
        ws_reconnects=_integer(health.ws_reconnects),
        rate_limits=_integer(health.rate_limits),
        pnl=_number(health.pnl),
    )


def _number(value: object) -> float | None:
    """A finite JSON number, or None."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    try:
        number = float(value)  # type: ignore[arg-type]  # Decimal, numpy, ...: whatever can be a float
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: object) -> int | None:
    number = _number(value)
    return None if number is None or abs(number) >= 2**63 else int(number)


def _text(value: object) -> str | None:
    return None if value is None else clean_text(str(value))


def clean_text(text: str) -> str:
    """The text with each half of a surrogate pair replaced: UTF-8 cannot say those."""
    return text.encode("utf-8", "replace").decode("utf-8")


def clean(value: object) -> Any:
    """A deep copy of any value that JSON can say, the rest as nearly as it can.

    Keys become text; NaN and infinities null; tuples and sets lists; what JSON has no
    word for (a date, a path, a Decimal) its text.
    """
    match value:
        case None | bool():
            return value
        case int() | float():
            return _number(value)
        case str():
            return clean_text(value)
        case Mapping():
            return {clean_text(str(key)): clean(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [clean(item) for item in value]
        case _:
            return clean_text(str(value))


# --- client to server -----------------------------------------------------------------


class Auth(Struct, frozen=True):
    """A login with the published token: lower-case hex SHA-256 of password and key part."""

    token: str
    public_key_part: str
    id: bytes | None = None


class Hello(Struct, frozen=True):
    """The beginning of a SCRAM login: the mechanism, and the client-first-message."""

    mechanism: str
    data: str
    id: bytes | None = None


class AuthProof(Struct, frozen=True):
    """The end of a SCRAM login: an ``auth`` with the client-final-message in ``data``."""

    data: str
    id: bytes | None = None


class GetConfig(Struct, frozen=True):
    """A request for a bot's config; without a name, the first bot's."""

    bot: str | None = None
    id: bytes | None = None


class Ping(Struct, frozen=True):
    """A request for a ``pong``."""

    id: bytes | None = None


Request = Auth | Hello | AuthProof | GetConfig | Ping

#: Each request's struct, and what is said to a client that got it wrong.
_REQUESTS: Final[Mapping[str, tuple[type[Request], str]]] = {
    "auth": (Auth, "auth needs token and public_key_part, both strings"),
    "hello": (Hello, "hello needs mechanism and data, both strings"),
    "get_config": (GetConfig, "get_config may name a bot, a string"),
    "ping": (Ping, "ping takes no arguments"),
}


def decode(frame: str | bytes) -> Request:
    """Read a client's message. Unknown keys are ignored.

    Args:
        frame: The payload of a text frame as ``str``, or of a binary one as ``bytes``.

    Raises:
        ProtocolError: And nothing else, whatever the frame holds.
    """
    if not isinstance(frame, str):
        raise ProtocolError("invalid_message", "send JSON in text frames, not binary ones")
    document = _parse(frame)
    if not isinstance(document, dict):
        raise ProtocolError("invalid_message", "a message is a JSON object with a type")
    request_id = _request_id(document)
    name = document.get("type")
    if not isinstance(name, str):
        raise ProtocolError("invalid_message", "a message needs a type, a string", id=request_id)
    if name not in _REQUESTS:
        known = ", ".join(_REQUESTS)
        raise ProtocolError("unknown_type", f"unknown type; there is {known}", id=request_id)
    kind, usage = _REQUESTS[name]
    if kind is Auth and "data" in document and "token" not in document:
        kind, usage = AuthProof, "auth after a challenge needs data, a string"
    # The struct's own names only: a key may hold half a surrogate pair, at which msgspec raises
    # UnicodeEncodeError while it looks whether it knows it.
    arguments = {key: document[key] for key in kind.__struct_fields__ if key in document}
    try:
        request = msgspec.convert({**arguments, "id": request_id}, kind)
    except msgspec.ValidationError as exc:
        raise ProtocolError("invalid_message", usage, id=request_id) from exc
    return request


def _parse(text: str) -> Any:
    if _is_too_deep(text):
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


#: A JSON string, or the rest of the text after one that does not end.
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def _is_too_deep(text: str) -> bool:
    """Whether brackets nest too deep. Before parsing: how deep a parser can go differs by its version."""
    depth = 0
    for character in _STRING.sub("", text):
        if character in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                return True
        elif character in "]}":
            depth -= 1
    return False


def _request_id(document: dict[str, Any]) -> bytes | None:
    if "id" not in document:
        return None
    value = document["id"]
    is_right_type = isinstance(value, str | int) and not isinstance(value, bool)
    # As JSON text, not as a value: an integer may be longer than any machine word.
    if not is_right_type or len(str(value)) > ID_MAX_CHARS:
        raise ProtocolError(
            "invalid_message", f"id must be a string or an integer of at most {ID_MAX_CHARS} characters"
        )
    return json.dumps(value).encode("ascii")


def echo(request_id: bytes | None) -> Raw | UnsetType:
    """A request's id as the answer carries it; absent if the request had none."""
    return UNSET if request_id is None else Raw(request_id)

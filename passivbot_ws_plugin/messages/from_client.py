"""What a client may say: one struct for each request, one decoder."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, NoReturn

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from passivbot_hooks import EVENT_KINDS
from passivbot_ws_plugin.errors import ProtocolError

from .from_server import Channel, Mode, Place
from .values import clean_text

#: How deep a client's JSON may nest.
DEPTH_MAX: Final = 16

#: How long a request's ``id`` may be, in characters.
ID_MAX_CHARS: Final = 64

#: How many subscriptions an ``auth`` may carry.
SUBSCRIPTIONS_MAX: Final = 8

_Names = Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=1000)]

# The enumeration is for the schema only: `_check_channel` says in its answer what there is.
_Kind = Annotated[str, Meta(max_length=256, extra_json_schema={"enum": list(EVENT_KINDS)})]
_Kinds = Annotated[list[_Kind], Meta(max_length=1000)]


class Auth(Struct, frozen=True):
    """A login with the published token: lower-case hex SHA-256 of password and key part.

    Attributes:
        token: The token.
        public_key_part: The key part.
        subscribe: Subscriptions that begin with the login, in place of the published one: each an
            object with the fields of `Subscribe`, and checked as one; None: the published one.
        id: Echoed.
    """

    token: str
    public_key_part: str
    subscribe: list[Any] | None = None
    id: bytes | None = None


class Hello(Struct, frozen=True):
    """The beginning of a SCRAM login.

    Attributes:
        mechanism: ``SCRAM-SHA-256``; there is no other.
        data: The client-first-message (RFC 5802); the user name in it is the key part.
        id: Echoed.
    """

    mechanism: str
    data: str
    id: bytes | None = None


class AuthProof(Struct, frozen=True):
    """The end of a SCRAM login: an ``auth`` with a proof in place of the token.

    Attributes:
        data: The client-final-message (RFC 5802).
        subscribe: As in `Auth`.
        id: Echoed.
    """

    data: str
    subscribe: list[Any] | None = None
    id: bytes | None = None


class Subscribe(Struct, frozen=True):
    """A request for a channel, in place of what the client had of it.

    Attributes:
        channel: Of what.
        bots: Which; None: all, those too that come later.
        mode: Statistics only: whole, or as merge patches where that is shorter.
        max_rate: Statistics only: how many of one bot a second at most.
        since: Statistics and events: go on from there, bot by bot.
        kinds: Events only: of these kinds.
        symbols: Events only: of these symbols.
        id: Echoed.
    """

    channel: Channel
    bots: _Names | None = None
    mode: Mode | None = None
    max_rate: Annotated[float, Meta(gt=0, le=1000)] | None = None
    since: Annotated[dict[str, Place], Meta(max_length=1000)] | None = None
    kinds: _Kinds | None = None
    symbols: _Names | None = None
    id: bytes | None = None


class Unsubscribe(Struct, frozen=True):
    """A request for nothing more of a channel.

    Attributes:
        channel: Of what.
        id: Echoed.
    """

    channel: Channel
    id: bytes | None = None


class ListBots(Struct, frozen=True):
    """A request for the bots, and how they are."""

    id: bytes | None = None


class GetConfig(Struct, frozen=True):
    """A request for a bot's config.

    Attributes:
        bot: The bot's name; None: the first that has a config.
        id: Echoed.
    """

    bot: str | None = None
    id: bytes | None = None


class Ping(Struct, frozen=True):
    """A request for a ``pong``."""

    id: bytes | None = None


Request = Auth | Hello | AuthProof | Subscribe | Unsubscribe | ListBots | GetConfig | Ping

_SUBSCRIBE_USAGE: Final = (
    "subscribe needs channel (statistics, events or config) and may have bots (a list of names); statistics: "
    "mode (full or delta), max_rate (a number above 0, at most 1000), since; events: kinds, symbols (lists), "
    'since; since is {"BOT": {"epoch": "...", "seq": 0}}'
)

#: Each request's struct, and what is said to a client that got it wrong.
REQUESTS: Final[Mapping[str, tuple[type[Request], str]]] = {
    "auth": (Auth, "auth needs token and public_key_part, both strings; subscribe, if any, is a list"),
    "hello": (Hello, "hello needs mechanism and data, both strings"),
    "subscribe": (Subscribe, _SUBSCRIBE_USAGE),
    "unsubscribe": (Unsubscribe, "unsubscribe needs channel (statistics, events or config)"),
    "list_bots": (ListBots, "list_bots takes no arguments"),
    "get_config": (GetConfig, "get_config may name a bot, a string"),
    "ping": (Ping, "ping takes no arguments"),
}

#: What belongs to some channels only.
CHANNELS_OF: Final[Mapping[str, tuple[Channel, ...]]] = {
    "mode": ("statistics",),
    "max_rate": ("statistics",),
    "since": ("statistics", "events"),
    "kinds": ("events",),
    "symbols": ("events",),
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
    return _read(_parse(frame))


def _read(document: object) -> Request:
    if not isinstance(document, dict):
        raise ProtocolError("invalid_message", "a message is a JSON object with a type")
    request_id = _request_id(document)
    name = document.get("type")
    if not isinstance(name, str):
        raise ProtocolError("invalid_message", "a message needs a type, a string", id=request_id)
    if name not in REQUESTS:
        known = ", ".join(REQUESTS)
        raise ProtocolError("unknown_type", f"unknown type; there is {known}", id=request_id)
    kind, usage = REQUESTS[name]
    if kind is Auth and "data" in document and "token" not in document:
        kind, usage = AuthProof, "auth after a challenge needs data, a string; subscribe, if any, is a list"
    request = _convert(document, kind, usage, request_id)
    if isinstance(request, Subscribe):
        _check_channel(request)
    if isinstance(request, Auth | AuthProof) and len(request.subscribe or ()) > SUBSCRIPTIONS_MAX:
        raise ProtocolError("invalid_message", f"at most {SUBSCRIPTIONS_MAX} subscriptions", id=request_id)
    return request


def decode_subscription(document: object) -> Subscribe:
    """Read one of the subscriptions of an ``auth``.

    Raises:
        ProtocolError: It is none.
    """
    if not isinstance(document, dict):
        raise ProtocolError("invalid_message", _SUBSCRIBE_USAGE)
    request = _convert(document, Subscribe, _SUBSCRIBE_USAGE, _request_id(document))
    assert isinstance(request, Subscribe)
    _check_channel(request)
    return request


def _convert(document: dict[str, Any], kind: type[Request], usage: str, request_id: bytes | None) -> Request:
    # The struct's own names only: a key may hold half a surrogate pair, at which msgspec raises
    # UnicodeEncodeError while it looks whether it knows it.
    arguments = {key: document[key] for key in kind.__struct_fields__ if key in document}
    try:
        return msgspec.convert({**arguments, "id": request_id}, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as exc:
        raise ProtocolError("invalid_message", usage, id=request_id) from exc


def _check_channel(request: Subscribe) -> None:
    for name, channels in CHANNELS_OF.items():
        if getattr(request, name) is not None and request.channel not in channels:
            raise ProtocolError(
                "invalid_message", f"{name} is for {' and '.join(channels)} only", id=request.id
            )
    if not set(request.kinds or ()) <= set(EVENT_KINDS):
        known = ", ".join(EVENT_KINDS)
        raise ProtocolError("invalid_message", f"unknown kind of events; there is {known}", id=request.id)
    names = (*(request.bots or ()), *(request.symbols or ()), *(request.since or ()))
    if any(clean_text(name) != name for name in names):  # the answer repeats them
        raise ProtocolError("invalid_message", "a name holds half a surrogate pair", id=request.id)


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

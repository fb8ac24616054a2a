"""All that a client may say, and its decoder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from passivbot_hooks import EVENT_KINDS
from passivbot_ws_plugin.errors import ProtocolError

from .basics import Ping
from .bots import ListBots
from .configs import GetConfig
from .logins import Auth, AuthProof, Hello
from .strict_json import parse
from .subscriptions import CHANNELS_OF, Subscribe, Unsubscribe
from .values import clean_text

#: How long a request's ``id`` may be, in characters.
ID_MAX_CHARS: Final = 64

#: How many subscriptions an ``auth`` may carry.
SUBSCRIPTIONS_MAX: Final = 3

#: A message that is refused unread is looked at for its ``id`` if it has no more characters: 0.3 ms at most.
_GLANCE_MAX_CHARS: Final = 512

Request = Auth | Hello | AuthProof | Subscribe | Unsubscribe | ListBots | GetConfig | Ping

_SUBSCRIBE_USAGE: Final = (
    "subscribe needs channel (statistics, events or config) and may have bots (a list of names); statistics: "
    "mode (full or delta), max_rate (a number from 0.001 to 1000), since; events: kinds, symbols (lists), "
    'since; since is {"BOT": {"epoch": "...", "seq": 0}}'
)

#: What each field of a ``subscribe`` must be.
_SUBSCRIBE_FIELDS: Final[Mapping[str, str]] = {
    "channel": "statistics, events or config",
    "bots": "a list of names",
    "mode": "full or delta",
    "max_rate": "a number from 0.001 to 1000",
    "since": 'an object of places: {"BOT": {"epoch": "...", "seq": 0}}',
    "kinds": "a list of kinds of events",
    "symbols": "a list of symbols",
}

#: What is no part of an open connection's talk.
_LOGIN: Final = ("auth", "hello")

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


def decode(frame: str | bytes) -> Request:
    """Read a client's message. Unknown keys are ignored.

    Args:
        frame: The payload of a text frame as ``str``, or of a binary one as ``bytes``.

    Raises:
        ProtocolError: And nothing else, whatever the frame holds.
    """
    if not isinstance(frame, str):
        raise ProtocolError("invalid_message", "send JSON in text frames, not binary ones")
    return _read(parse(frame))


def _read(document: object) -> Request:
    if not isinstance(document, dict):
        raise ProtocolError("invalid_message", "a message is a JSON object with a type")
    request_id = _request_id(document)
    name = document.get("type")
    if not isinstance(name, str):
        raise ProtocolError("invalid_message", "a message needs a type, a string", id=request_id)
    if name not in REQUESTS:
        known = ", ".join(known for known in REQUESTS if known not in _LOGIN)
        raise ProtocolError(
            "unknown_type",
            f"unknown type; there is {known}, and for the login {' and '.join(_LOGIN)}",
            id=request_id,
        )
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
        if kind is Subscribe and isinstance(exc, msgspec.ValidationError):
            usage = _wrong_field(str(exc)) or usage
        raise ProtocolError("invalid_message", usage, id=request_id) from exc


def _wrong_field(text: str) -> str | None:
    """Which field of a ``subscribe`` is wrong, by msgspec's message, which ends in ``at `$.mode```."""
    at = re.search(r" - at `\$\.(\w+)", text)
    name = "channel" if at is None else at[1]  # the one that may be missing has no place
    return f"{name} must be {_SUBSCRIBE_FIELDS[name]}" if name in _SUBSCRIBE_FIELDS else None


def _check_channel(request: Subscribe) -> None:
    for name, channels in CHANNELS_OF.items():
        if getattr(request, name) is not None and request.channel not in channels:
            raise ProtocolError(
                "invalid_message", f"{name} is for {' and '.join(channels)} only", id=request.id
            )
    if not set(request.kinds or ()) <= set(EVENT_KINDS):
        known = ", ".join(EVENT_KINDS)
        raise ProtocolError("invalid_message", f"unknown kind of events; there is {known}", id=request.id)
    since = request.since or {}
    epochs = (place.epoch for place in since.values())
    repeated = (*(request.bots or ()), *(request.symbols or ()), *since, *epochs)  # in what is sent
    if any(clean_text(text) != text for text in repeated):
        raise ProtocolError(
            "invalid_message", "a name or an epoch holds half a surrogate pair", id=request.id
        )


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


def glance_at_id(frame: str | bytes) -> bytes | None:
    """The ``id`` of a message that is refused unread; None if it has no valid one, or is not short."""
    if not isinstance(frame, str) or len(frame) > _GLANCE_MAX_CHARS:
        return None
    try:
        document = parse(frame)
        return _request_id(document) if isinstance(document, dict) else None
    except ProtocolError:
        return None


def echo(request_id: bytes | None) -> Raw | UnsetType:
    """A request's id as the answer carries it; absent if the request had none."""
    return UNSET if request_id is None else Raw(request_id)

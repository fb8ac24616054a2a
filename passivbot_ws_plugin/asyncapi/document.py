"""The AsyncAPI document around the schemas: servers, security, the channel, its operations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from msgspec import Struct

from passivbot_ws_plugin.messages import encode

from .catalog import REQUESTS, make_answers
from .codes import CLOSE_CODES, ERROR_CODES
from .schemas import make_schemas, ref

_HOST: Final = "127.0.0.1:8765"

_ABOUT: Final = """\
See a running Passivbot live: balance, unrealised profit, positions, open orders, events, and its
configuration.

JSON in text frames (RFC 6455), UTF-8, one object a message. What is unknown is null, never NaN or
Infinity. Unknown members are ignored in both directions: the protocol grows by them, and by new
types of messages that nobody gets who did not ask.

The client speaks first: `auth`, or `hello` for SCRAM-SHA-256. The server says nothing before that.
After the login come the statistics of each bot, whole, at each change, unless the login or a
`subscribe` asks for something else.

Every answer carries the `id` of its request, if that had one. A request that cannot be done is
answered by `error`.
"""

_TOKEN: Final = """\
`auth` with a token: the lower-case hexadecimal SHA-256 of the UTF-8 bytes of password and key part,
one after the other. It goes in the first message and never in a URL or a header. It is as good as
the password for whoever sees it.
"""

_SCRAM: Final = """\
SCRAM-SHA-256 (RFC 5802, RFC 7677) in `hello`, `challenge`, `auth` and `auth_result`, without channel
binding. The user name is the key part. The client must check the server's proof in the last of them.
"""

#: What each request is for, and what may come in answer to it beside `error`.
_REQUESTED: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "auth": ("Log in with the published token.", ("auth_result",)),
    "hello": ("Begin a login with SCRAM-SHA-256.", ("challenge", "auth_result")),
    "auth_proof": ("End a login with SCRAM-SHA-256.", ("auth_result",)),
    "subscribe": ("Ask for a channel, in place of what was asked of it before.", ("subscribed",)),
    "unsubscribe": ("Ask for nothing more of a channel.", ("unsubscribed",)),
    "list_bots": ("Ask which bots there are, and how they are.", ("bots",)),
    "get_config": ("Ask for a bot's config.", ("config",)),
    "ping": ("Ask for a sign of life.", ("pong",)),
}

#: A stranger is never answered by anything else.
_LOGINS: Final = ("auth", "hello", "auth_proof")

#: What comes unasked, or because it was subscribed to.
_SENT: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "statistics": (
        "A bot's statistics: after the login or the `subscribed`, and at each change.",
        ("statistics", "statistics_delta"),
    ),
    "event": (
        "What happens at a bot, in order, each event once; a gap where some are lost.",
        ("event", "gap"),
    ),
    "config_changed": ("A bot's config: right after `subscribed`, and at each change.", ("config_changed",)),
    "error": ("After the login, in place of statistics that are not known, or not for this key.", ("error",)),
}

_Object = dict[str, Any]


def make_document() -> _Object:
    """The document, as what JSON is made of."""
    messages = _messages()
    return {
        "asyncapi": "3.0.0",
        "id": "urn:passivbot-ws-plugin",
        "info": {
            "title": "Passivbot WebSocket API",
            "version": version("passivbot-ws-plugin"),
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "ws": _server("ws", "Unencrypted: on this machine, or through an SSH tunnel."),
            "wss": _server("wss", "With `plugins.websocket.tls`: TLS 1.2 or newer."),
        },
        "channels": {"connection": _channel(messages)},
        "operations": _operations(),
        "components": {
            "messages": messages,
            "schemas": make_schemas(),
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "password", "description": _TOKEN},
                "scram": {"type": "scramSha256", "description": _SCRAM},
            },
        },
    }


@cache
def compact_json() -> str:
    """The document as JSON, for programs; made once."""
    return json.dumps(make_document(), separators=(",", ":"), sort_keys=True)


def pretty_json() -> str:
    """The document as JSON, for people and for diffs."""
    return json.dumps(make_document(), indent=2, sort_keys=True) + "\n"


def _server(protocol: str, description: str) -> _Object:
    schemes = [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("scram", "token")]
    return {
        "host": _HOST,
        "protocol": protocol,
        "protocolVersion": "13",
        "description": f"{description} The defaults of `live.websocket_host` and `live.websocket_port`.",
        "security": schemes,
    }


def _channel(messages: Iterable[str]) -> _Object:
    return {
        "address": "/",
        "title": "The connection",
        "description": "Any path is served, so that a proxy may add a prefix.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-close-codes": {str(code): about._asdict() for code, about in CLOSE_CODES.items()},
        "x-error-codes": dict(ERROR_CODES),
    }


def _messages() -> _Object:
    requests = {name: _message(kind, name, dict(example)) for name, (kind, example) in REQUESTS.items()}
    answers = {
        name: _message(type(answer), name, json.loads(encode(answer)))
        for name, answer in make_answers().items()
    }
    return requests | answers


def _message(kind: type[Struct], name: str, example: _Object) -> _Object:
    message: _Object = {
        "name": name,
        "title": kind.__name__,
        "contentType": "application/json",
        "payload": ref(kind.__name__),
        "examples": [{"name": name, "payload": example}],
    }
    if "id" in kind.__struct_fields__:
        message["correlationId"] = {"location": "$message.payload#/id"}
    return message


def _operations() -> _Object:
    asked = {
        name: {
            "action": "receive",
            "summary": summary,
            **_of([name]),
            "reply": _of(answers if name in _LOGINS else (*answers, "error")),
        }
        for name, (summary, answers) in _REQUESTED.items()
    }
    sent = {
        f"send_{name}": {"action": "send", "summary": summary, **_of(names)}
        for name, (summary, names) in _SENT.items()
    }
    return asked | sent


def _of(messages: Iterable[str]) -> _Object:
    return {
        "channel": {"$ref": "#/channels/connection"},
        "messages": [{"$ref": f"#/channels/connection/messages/{name}"} for name in messages],
    }

"""Plain HTTP on the WebSocket's port: health, the contract, and turning away. Says little to strangers."""

from __future__ import annotations

import email.utils
from http import HTTPStatus
from typing import Final

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from passivbot_ws_plugin.asyncapi import compact_json

#: Never ``/health``: Passivbot's own tools take any answer of 200 there, on this very port, for
#: their monitor relay.
_HEALTH_PATHS: Final = frozenset({"/healthz", "/readyz"})

#: The protocol for programs: the same for everybody, and public anyway.
_CONTRACT_PATH: Final = "/asyncapi.json"

#: What a handshake lists. The library takes a list apart item by item, before the login: 24 KiB of blanks
#: and commas would hold everybody up for 30 ms.
_LISTS: Final = ("Connection", "Upgrade", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol")

#: How long all lists may be together, in characters; a browser's have some 70.
_LISTS_MAX_CHARS: Final = 1024

#: What is said to who asks for a WebSocket in a wrong way.
NO_HANDSHAKE: Final = "This is no WebSocket handshake (RFC 6455 section 4.1).\n"

#: For a browser, too, that was sent here to accept a certificate. It names no scheme: behind a TLS proxy
#: nobody here knows the right one.
_NO_PAGE: Final = "This is a WebSocket server: connect a client to this address. There is no page here.\n"


def prepare() -> None:
    """Make the contract, which takes some 50 ms, before there is a client that would wait meanwhile."""
    compact_json()


def is_path(path: str) -> bool:
    """Whether a request's path is one: the library takes every byte of ASCII but the blank, NUL too."""
    return path.isascii() and path.isprintable()


def are_lists_short(request: Request) -> bool:
    """Whether what a request lists is no longer than anybody needs."""
    values = (value for name in _LISTS for value in request.headers.get_all(name))
    return sum(map(len, values)) <= _LISTS_MAX_CHARS


def is_websocket(request: Request) -> bool:
    """Whether a request asks for a WebSocket; whether it does so rightly is the library's to say."""
    return any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))


def answer(request: Request, failure: str | None) -> Response:
    """Answer a request that is no WebSocket handshake.

    Args:
        request: It.
        failure: What keeps the server from letting anybody in, in a word; None: nothing.
    """
    if request.method not in ("GET", "HEAD"):
        response = respond(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is understood here.\n")
        response.headers["Allow"] = "GET, HEAD"
    elif (path := request.path.partition("?")[0]) == _CONTRACT_PATH:
        response = respond(HTTPStatus.OK, compact_json(), "application/json")
    elif path not in _HEALTH_PATHS:
        response = respond(HTTPStatus.NOT_FOUND, _NO_PAGE)
    elif failure is None:
        response = respond(HTTPStatus.OK, _json({"status": "ok"}), "application/json")
    else:
        body = _json({"status": "unavailable", "reason": failure})
        response = respond(HTTPStatus.SERVICE_UNAVAILABLE, body, "application/json")
    if request.method == "HEAD":
        response.body = b""
    return response


def turn_away(status: HTTPStatus, retry_after_s: int, why: str = "Too many connections.") -> Response:
    """Refuse a connection before it is one, and say when to come back."""
    retry_after_s = max(1, retry_after_s)
    response = respond(status, f"{why} Try again in {retry_after_s} s.\n")
    response.headers["Retry-After"] = str(retry_after_s)
    return response


def refuse(response: Response) -> Response:
    """The library's refusal of a handshake, with our own words and the headers that it needs."""
    refusal = respond(HTTPStatus(response.status_code), NO_HANDSHAKE)
    for name in ("Allow", "Upgrade"):
        if name in response.headers:
            refusal.headers[name] = response.headers[name]
    return refusal


def respond(status: HTTPStatus, body: str, content_type: str = "text/plain; charset=utf-8") -> Response:
    """A small answer that nobody caches, after which the connection is closed."""
    raw = body.encode()
    headers = Headers(
        [
            ("Date", email.utils.formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Length", str(len(raw))),
            ("Content-Type", content_type),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
    )
    return Response(status.value, status.phrase, headers, raw)


def _json(document: dict[str, str]) -> str:
    return msgspec.json.encode(document).decode() + "\n"

"""The published contract, compiled, and every message of every test checked against it.

`watched` checks what a server in this process encodes and decodes, whoever asks for it; the tests'
clients check by `check` what they receive, from servers in other processes too.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pytest
from jsonschema_rs import Draft7Validator, ValidationError
from msgspec import Struct

from passivbot_ws_plugin.asyncapi import make_document
from passivbot_ws_plugin.errors import ProtocolError
from passivbot_ws_plugin.messages import Request, decode_subscription, from_client, from_server

DOCUMENT: Final = make_document()


def validator(name: str) -> Draft7Validator:
    """The validator of one of the document's schemas."""
    reference = {"$ref": f"#/components/schemas/{name}"}
    return Draft7Validator({"allOf": [reference], "components": DOCUMENT["components"]})


def _by_type(names: set[str]) -> Mapping[str, list[Draft7Validator]]:
    """The validators of messages by their types; a token's ``auth`` and a proof's share one."""
    found: dict[str, list[Draft7Validator]] = defaultdict(list)
    for name in sorted(names):
        schema = DOCUMENT["components"]["messages"][name]["payload"]["$ref"].rpartition("/")[2]
        [type_] = DOCUMENT["components"]["schemas"][schema]["properties"]["type"]["enum"]
        found[type_].append(validator(schema))
    return dict(found)


def _messages(part: Mapping[str, Any]) -> set[str]:
    return {reference["$ref"].rpartition("/")[2] for reference in part["messages"]}


_OPERATIONS: Final = DOCUMENT["operations"].values()

#: What the server receives, and what it sends: by itself, and as an answer.
RECEIVED: Final = _by_type(
    {name for one in _OPERATIONS if one["action"] == "receive" for name in _messages(one)}
)
SENT: Final = _by_type(
    {name for one in _OPERATIONS for name in _messages(one if one["action"] == "send" else one["reply"])}
)
_SUBSCRIPTION: Final = validator("Subscription")


def fault(message: Any) -> str | None:
    """What is wrong with a message from a server; None: nothing."""
    validators = SENT.get(message["type"])
    if validators is None:
        return f"no such message: {message}"
    return _fault(validators, message)


def check(message: Any) -> Any:
    """A message from a server, which must be as the contract says."""
    wrong = fault(message)
    assert wrong is None, wrong
    return message


def _fault(validators: list[Draft7Validator], document: Any) -> str | None:
    """Why a document is valid against none of them, by the last one's words."""
    document, wrong = _sayable(document), None
    for one in validators:
        try:
            one.validate(document)
        except ValidationError as exc:
            wrong = f"{document}: {exc.message} at {exc.instance_path}"
        else:
            return None
    return wrong


def _sayable(document: Any) -> Any:
    """The document without halves of surrogate pairs, which UTF-8 has no bytes for and JSON has."""
    raw = json.dumps(document, ensure_ascii=False)
    return document if raw.isascii() else json.loads(raw.encode("utf-8", "replace"))


def _is_beyond_schemas(document: Any) -> bool:
    """Whether a document holds what is refused and JSON Schema cannot tell.

    Half a surrogate pair; a number such as 1.0 or 1e2, which is an integer to JSON Schema.
    """
    match document:
        case float():
            return document.is_integer()
        case str():
            return document.encode("utf-8", "replace").decode() != document
        case dict():
            return any(_is_beyond_schemas(part) for item in document.items() for part in item)
        case list():
            return any(map(_is_beyond_schemas, document))
    return False


# --- in this process -------------------------------------------------------------------

_encoder: Final = from_server._encoder
_read: Final = from_client._read


@contextmanager
def watched() -> Iterator[None]:
    """Check all that `messages` encodes and decodes meanwhile.

    It is found out at the end: the server catches what is raised within it, as it should.
    """
    faults: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        # Not `encode` and `decode`: every module has a name of its own for those.
        patch.setattr(from_server, "_encoder", _WatchedEncoder(faults))
        patch.setattr(from_client, "_read", lambda document: _watched_read(document, faults))
        yield
    assert not faults, "against the contract:\n" + "\n".join(faults)


class _WatchedEncoder:
    """The encoder, whose messages are checked."""

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def encode(self, value: object) -> bytes:
        raw = _encoder.encode(value)
        if isinstance(value, Struct):
            wrong = fault(json.loads(raw))
            if wrong is not None:
                self._faults.append(f"sent: {wrong}")
        return raw


def _watched_read(document: object, faults: list[str]) -> Request:
    """Read a request: what is accepted is valid, and what is refused for its shape is not."""
    type_ = document.get("type") if isinstance(document, dict) else None
    validators = RECEIVED.get(type_, []) if isinstance(type_, str) else []
    try:
        request = _read(document)
    except ProtocolError as exc:
        is_refused = exc.code == "invalid_message" and validators and not _is_beyond_schemas(document)
        if is_refused and _fault(validators, document) is None:
            faults.append(f"refused, though it is valid: {document}: {exc.message}")
        raise
    assert isinstance(document, dict)
    if type_ == "auth" and document.get("subscribe"):  # of these a login may have wrong ones
        document = {**document, "subscribe": list(_accepted(document["subscribe"], faults))}
    wrong = _fault(validators, document)
    if wrong is not None:
        faults.append(f"accepted: {wrong}")
    return request


def _accepted(subscriptions: list[Any], faults: list[str]) -> Iterator[Any]:
    """Those of an ``auth``'s subscriptions that are accepted when their turn comes."""
    for document in subscriptions:
        try:
            decode_subscription(document)
        except ProtocolError as exc:
            if not _is_beyond_schemas(document) and _fault([_SUBSCRIPTION], document) is None:
                faults.append(f"refused, though it is valid: {document}: {exc.message}")
        else:
            yield document

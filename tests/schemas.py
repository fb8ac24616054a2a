"""The published contract, compiled: what is wrong with a message from a server, or with a request.

`watched` holds every message of every test to it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from jsonschema_rs import Draft7Validator, ValidationError

from passivbot_ws_plugin.asyncapi import make_document

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
SUBSCRIPTION: Final = validator("Subscription")


def fault(message: Any) -> str | None:
    """What is wrong with a message from a server; None: nothing."""
    return _fault(SENT, message)


def request_fault(document: Any) -> str | None:
    """What is wrong with a message from a client; None: nothing."""
    return _fault(RECEIVED, document)


def check(message: Any) -> Any:
    """A message from a server, which must be as the contract says."""
    wrong = fault(message)
    assert wrong is None, wrong
    return message


def check_request(message: Any) -> Any:
    """A message from a client, which must be as the contract says."""
    wrong = request_fault(message)
    assert wrong is None, wrong
    return message


def _fault(by_type: Mapping[str, list[Draft7Validator]], message: Any) -> str | None:
    type_ = message.get("type") if isinstance(message, dict) else None
    validators = by_type.get(type_) if isinstance(type_, str) else None
    return f"no such message: {message}" if validators is None else fault_of(validators, message)


def fault_of(validators: list[Draft7Validator], document: Any) -> str | None:
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


def is_beyond_schemas(document: Any) -> bool:
    """Whether a document holds what is refused and JSON Schema cannot tell.

    Half a surrogate pair; a number such as 1.0 or 1e2, which is an integer to JSON Schema.
    """
    match document:
        case float():
            return document.is_integer()
        case str():
            return document.encode("utf-8", "replace").decode() != document
        case dict():
            return any(is_beyond_schemas(part) for item in document.items() for part in item)
        case list():
            return any(map(is_beyond_schemas, document))
    return False

"""The document itself: valid AsyncAPI, as committed, and complete."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

import jsonschema_rs
import pytest
from processes import ROOT
from schemas import DOCUMENT, SENT, fault, validator

from passivbot_ws_plugin import close_codes
from passivbot_ws_plugin.access.auth import make_token
from passivbot_ws_plugin.asyncapi import compact_json, pretty_json
from passivbot_ws_plugin.errors import ErrorCode
from passivbot_ws_plugin.messages import Auth, Request, ServerMessage, decode

COMMITTED: Final = ROOT / "docs" / "asyncapi.json"
PROTOCOL: Final = ROOT / "docs" / "protocol.md"
SPECIFICATION: Final = (
    Path(__file__).with_name("node_modules") / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
)
MESSAGES: Final = DOCUMENT["components"]["messages"]
SCHEMAS: Final = DOCUMENT["components"]["schemas"]
CHANNEL: Final = DOCUMENT["channels"]["connection"]

needs_specification = pytest.mark.skipif(
    not SPECIFICATION.is_file(), reason="needs npm ci --prefix tests/contract"
)


@cache
def specification() -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(json.loads(SPECIFICATION.read_text(encoding="utf-8")))


def test_the_committed_document_is_current() -> None:
    assert COMMITTED.read_text(encoding="ascii") == pretty_json(), "run make asyncapi, and commit it"
    assert json.loads(compact_json()) == json.loads(pretty_json()) == DOCUMENT


@needs_specification
def test_it_is_asyncapi() -> None:
    assert [(error.instance_path, error.message) for error in specification().iter_errors(DOCUMENT)] == []


@needs_specification
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("asyncapi",), "2.6.0"),
        (("servers", "ws", "host"), 5),
        (("channels", "connection", "messages", "ping"), "ping"),
        (("operations", "ping", "action"), "publish"),
        (("operations", "ping", "reply", "messages"), {}),
        (("components", "securitySchemes", "scram", "type"), "scram"),
        (("components", "messages", "ping", "payload"), {"type": "texts"}),
        (("components", "schemas", "Place", "required"), "epoch"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_asyncapi_is_found(path: tuple[str, ...], value: object) -> None:
    broken: Any = json.loads(json.dumps(DOCUMENT))
    part = broken
    for key in path[:-1]:
        part = part[key]
    assert part[path[-1]] != value
    part[path[-1]] = value
    assert not specification().is_valid(broken)


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one(name: str) -> None:
    jsonschema_rs.meta.validate({"$schema": "http://json-schema.org/draft-07/schema#", **SCHEMAS[name]})


def test_each_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)))
    assert len(references) > 50
    for reference in references:
        part: Any = DOCUMENT
        for key in reference.split("/"):
            part = part[key]


def test_every_message_is_in_it_and_in_an_operation() -> None:
    structs = {kind.__name__ for kind in (*get_args(Request), *get_args(ServerMessage))}
    assert {message["title"] for message in MESSAGES.values()} == structs
    named = re.findall(
        r"#/channels/connection/messages/(\w+)", json.dumps([*DOCUMENT["operations"].values()])
    )
    assert set(named) == set(CHANNEL["messages"]) == set(MESSAGES)


def test_every_member_is_described() -> None:
    bare = [
        f"{name}.{member}"
        for name, schema in SCHEMAS.items()
        for member, about in schema.get("properties", {}).items()
        if member != "type" and "$ref" not in about and not about.get("description")
    ]
    assert not bare
    # What means something in Python only.
    assert not re.findall(r"passivbot_\w+|\bNone\b|``", json.dumps(SCHEMAS))


def examples() -> dict[str, Any]:
    return {name: message["examples"][0]["payload"] for name, message in MESSAGES.items()}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_examples_are_valid(name: str) -> None:
    message, example = MESSAGES[name], examples()[name]
    assert validator(message["title"]).is_valid(example)
    if example["type"] in SENT:
        assert fault(example) is None
    else:
        assert type(decode(json.dumps(example))).__name__ == message["title"]


def test_the_example_of_a_token_is_one() -> None:
    auth = decode(json.dumps(examples()["auth"]))
    assert isinstance(auth, Auth)
    assert auth.token == make_token("a long secret of your own", auth.public_key_part)


def test_the_codes_are_those_of_the_protocol() -> None:
    ours = {value for name, value in vars(close_codes).items() if name.startswith("CLOSE_")}
    theirs = {1000, 1001, 1002, 1007, 1009, 1011}  # RFC 6455's own, which the library sends
    assert ours | theirs == {int(code) for code in CHANNEL["x-close-codes"]}
    rows = {
        code: {"meaning": meaning, "reconnect": reconnect}
        for codes, meaning, reconnect in table("| code | meaning | come back? |")
        for code in codes.split(", ")
    }
    assert rows == CHANNEL["x-close-codes"]


def test_the_codes_of_errors_are_those_of_the_protocol() -> None:
    rows = {code.strip("`"): meaning for code, meaning in table("| code of an error | meaning |")}
    assert rows == {
        code: meaning for code, meaning in CHANNEL["x-error-codes"].items() if meaning != "reserved"
    }
    assert set(get_args(ErrorCode)) == set(CHANNEL["x-error-codes"])


def table(head: str) -> list[list[str]]:
    """The rows of the protocol's table with this head, cell by cell."""
    rows = PROTOCOL.read_text(encoding="utf-8").partition(f"\n{head}\n")[2].partition("\n\n")[0]
    return [row.strip("| ").split(" | ") for row in rows.splitlines()[1:]]


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name not in {"Id", "Subscribe"}])
def test_what_is_unknown_is_allowed(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["type"] == "object"
    assert schema.get("additionalProperties", True) is True

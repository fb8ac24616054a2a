"""The JSON Schema of every message, from its struct and the struct's docstring.

What the server sends is described as strictly as it is encoded: each member that it always writes is
required. What a client sends is described as it is decoded. Neither forbids unknown members: the
protocol grows by them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec
from msgspec import UNSET, Struct

from passivbot_ws_plugin import messages
from passivbot_ws_plugin.messages import (
    CHANNELS_OF,
    ID_MAX_CHARS,
    REQUESTS,
    SUBSCRIPTIONS_MAX,
    AuthProof,
    Request,
    ServerMessage,
)

Schema = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"

#: The types of the requests that share one with another: an ``auth`` is a token's or a proof's.
_TYPES: Final[Mapping[type[Struct], str]] = {
    **{kind: name for name, (kind, _) in REQUESTS.items()},
    AuthProof: "auth",
}


def make_schemas() -> dict[str, Schema]:
    """All schemas by name: those of the messages, and what they are made of."""
    _, received = msgspec.json.schema_components(get_args(Request), ref_template=_REF)
    _, sent = msgspec.json.schema_components(get_args(ServerMessage), ref_template=_REF)
    for name, schema in sent.items():
        _require_what_is_sent(schema, _struct(name))
    schemas: dict[str, Schema] = {**received, **sent}
    for name, schema in schemas.items():
        _describe(schema, _struct(name))
    for kind, type_ in _TYPES.items():
        _name(schemas[kind.__name__], type_)
    schemas["Subscription"] = _split_subscription(schemas)
    for name in ("Auth", "AuthProof"):
        _refine(schemas[name], "subscribe", items=ref("Subscription"), maxItems=SUBSCRIPTIONS_MAX)
    schemas["AuthProof"]["not"] = {"required": ["token"]}  # it would be the other ``auth``
    schemas |= _raw_schemas(schemas)
    return schemas


def ref(name: str) -> Schema:
    """A reference to a schema."""
    return {"$ref": _REF.format(name=name)}


def _struct(name: str) -> type[Struct]:
    kind: type[Struct] = getattr(messages, name)
    return kind


# --- what msgspec cannot know ----------------------------------------------------------


def _require_what_is_sent(schema: Schema, kind: type[Struct]) -> None:
    """The encoder leaves out nothing but what is unset, so defaults are no news to who reads."""
    always = [field.encode_name for field in msgspec.structs.fields(kind) if field.default is not UNSET]
    tag = ["type"] if kind.__struct_config__.tag is not None else []
    schema["required"] = [*tag, *always]
    for member in schema["properties"].values():
        member.pop("default", None)


def _name(schema: Schema, type_: str) -> None:
    """A client's struct has no tag: two of them share one."""
    schema["properties"] = {"type": {"enum": [type_]}, **schema["properties"]}
    schema["required"] = ["type", *schema["required"]]


def _split_subscription(schemas: dict[str, Schema]) -> Schema:
    """What a ``subscribe`` says beside its type: the same, an item of an ``auth``'s ``subscribe``.

    What belongs to some channels only is null, or not there, in those of the others.
    """
    whole = schemas["Subscribe"]
    subscription = whole | {
        "title": "Subscription",
        "properties": {name: member for name, member in whole["properties"].items() if name != "type"},
        "required": ["channel"],
        "allOf": [
            {
                "if": {"properties": {"channel": {"enum": list(channels)}}},
                "else": {"properties": {name: {"type": "null"}}},
            }
            for name, channels in CHANNELS_OF.items()
        ],
    }
    schemas["Subscribe"] = {
        "title": "Subscribe",
        "description": whole["description"],
        "type": "object",
        "properties": {"type": {"enum": ["subscribe"]}},
        "required": ["type"],
        "allOf": [ref("Subscription")],
    }
    return subscription


def _refine(schema: Schema, name: str, **keywords: Any) -> None:
    """Say more of a member that may be null."""
    schema["properties"][name]["anyOf"][0] |= keywords


def _raw_schemas(schemas: dict[str, Schema]) -> dict[str, Schema]:
    """Of what the structs hold as JSON text already."""
    _member(schemas, "ConfigMessage", "data", {"type": "object"})
    _member(schemas, "StatisticsDelta", "patch", ref("StatisticsPatch"))
    for schema in schemas.values():
        if "id" in schema.get("properties", ()):
            schema["properties"]["id"] = ref("Id")
    position = _patch_of(schemas["PositionData"], "PositionPatch", "What is new of one position.")
    health = _patch_of(schemas["HealthData"], "HealthPatch", "What is new of the bot's counters.")
    statistics = _patch_of(
        schemas["StatisticsData"],
        "StatisticsPatch",
        "A JSON merge patch (RFC 7396) of the keyed form of `StatisticsData`: of `data` with `positions` "
        "as an object, in which each position stands under `symbol|side`. Null: that position is gone.",
    )
    statistics["properties"]["health"] = ref("HealthPatch")
    statistics["properties"]["positions"] = {
        "description": "What is new of the positions, by `symbol|side`.",
        "type": "object",
        "additionalProperties": {"anyOf": [ref("PositionPatch"), {"type": "null"}]},
    }
    return {
        "PositionPatch": position,
        "HealthPatch": health,
        "StatisticsPatch": statistics,
        "Id": {
            "title": "Id",
            "description": f"At most {ID_MAX_CHARS} characters. The answer has the request's.",
            "type": ["string", "integer"],
            "maxLength": ID_MAX_CHARS,
            "maximum": 10**ID_MAX_CHARS - 1,
            "minimum": -(10 ** (ID_MAX_CHARS - 1) - 1),
        },
    }


def _member(schemas: dict[str, Schema], name: str, member: str, schema: Schema) -> None:
    described = schemas[name]["properties"][member]
    # Beside a reference nothing counts in JSON Schema draft 7.
    known = {"allOf": [schema]} if "$ref" in schema else schema
    schemas[name]["properties"][member] = described | known


def _patch_of(schema: Schema, title: str, description: str) -> Schema:
    """A part of an object: any of its members, none of them null."""
    members = {name: _not_null(member) for name, member in schema["properties"].items()}
    return {"title": title, "description": description, "type": "object", "properties": members}


def _not_null(member: Schema) -> Schema:
    if "anyOf" not in member:
        return dict(member)
    [value] = [choice for choice in member["anyOf"] if choice != {"type": "null"}]
    return {**{key: word for key, word in member.items() if key != "anyOf"}, **value}


# --- descriptions ----------------------------------------------------------------------

#: One attribute in a docstring's section: its name, and its text with the lines that go on.
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


def _describe(schema: Schema, kind: type[Struct]) -> None:
    """What the struct's docstring says, of the whole and of each member."""
    # None under `python -OO`.
    text, _, attributes = inspect.cleandoc(kind.__doc__ or "").partition("\nAttributes:\n")
    schema["description"] = _markdown(text)
    described = dict(_ATTRIBUTE.findall(attributes))
    for name, member in schema["properties"].items():
        if name in described:
            schema["properties"][name] = _described(member, _markdown(described[name]))


def _described(member: Schema, description: str) -> Schema:
    if "$ref" in member:
        return {"allOf": [member], "description": description}
    return member | {"description": description}


def _markdown(text: str) -> str:
    """A docstring's text as the document's: paragraphs on a line each, literals in single backquotes."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
    return "\n\n".join(paragraphs).replace("``", "`").replace("None", "null")

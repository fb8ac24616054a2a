"""The protocol for programs: an AsyncAPI 3.0.0 document, made of the message structs. No I/O.

It is what ``GET /asyncapi.json`` serves, ``passivbot-ws asyncapi`` prints and docs/asyncapi.json
keeps. Nothing in it depends on the settings, so there is nothing in it to hide.
"""

from __future__ import annotations

from .document import compact_json, make_document, pretty_json

__all__ = ["compact_json", "make_document", "pretty_json"]

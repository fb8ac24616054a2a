"""What any conversation has: whether the server answers, and what it cannot do."""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType

from passivbot_ws_plugin.errors import ErrorCode


class Ping(Struct, frozen=True):
    """A request for a ``pong``."""

    id: bytes | None = None


class Pong(Struct, frozen=True, tag_field="type", tag="pong"):
    """The answer to ``ping``."""

    id: Raw | UnsetType = UNSET


class Error(Struct, frozen=True, tag_field="type", tag="error"):
    """The answer to what cannot be done.

    Attributes:
        message: For people.
        code: For programs.
        id: The request's id.
    """

    message: str
    code: ErrorCode
    id: Raw | UnsetType = UNSET

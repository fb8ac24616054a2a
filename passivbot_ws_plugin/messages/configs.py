"""A bot's config, and that it is another one now."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

_Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class GetConfig(Struct, frozen=True):
    """A request for a bot's config.

    Attributes:
        bot: The bot's name; None: the first that has a config.
        id: Echoed.
    """

    bot: str | None = None
    id: bytes | None = None


class ConfigMessage(Struct, frozen=True, tag_field="type", tag="config"):
    """The answer to ``get_config``.

    Attributes:
        data: The whole config, without Passivbot's own ``_`` keys.
        bot: The bot's name.
        hash: As in `ConfigChanged`.
        id: The request's id.
    """

    data: Raw
    bot: str
    hash: _Sha256
    id: Raw | UnsetType = UNSET


class ConfigChanged(Struct, frozen=True, tag_field="type", tag="config_changed"):
    """A bot's config is another one now; right after ``subscribed``: it is this one.

    Attributes:
        bot: The bot's name.
        hash: SHA-256 of the config as this key would get it by ``get_config``, hexadecimal: of the
            JSON text with sorted keys and no blanks. A key without the scope ``config``: of the
            masked one.
        paths: What changed, as JSON pointers (RFC 6901), sorted; None: it may be anything.
        values: The new values of those paths that still exist; only with the scope ``config``.
    """

    bot: str
    hash: _Sha256
    paths: list[str] | None
    values: dict[str, Any] | UnsetType = UNSET

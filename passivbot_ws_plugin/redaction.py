"""Which values of a config are secrets, and masking them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: What is sent in a secret's place.
MASK: Final = "********"

#: A key is a secret's if it holds one of these, whatever the case and the punctuation.
_SECRET_WORDS: Final = (
    "password",
    "secret",
    "token",
    "apikey",
    "privatekey",
    "passphrase",
    "mnemonic",
)


def is_secret(key: str) -> bool:
    """Whether a key's name says that its value is a secret."""
    plain = "".join(character for character in key.casefold() if character.isalnum())
    return any(word in plain for word in _SECRET_WORDS)


def mask_secrets(value: Any, *, hide: bool = False) -> Any:
    """A copy of a config with every secret masked.

    Args:
        value: The config, or a part of it.
        hide: Mask every value in it: it stands under a secret's key.
    """
    match value:
        case Mapping():
            return {key: mask_secrets(item, hide=hide or is_secret(key)) for key, item in value.items()}
        case list():
            return [mask_secrets(item, hide=hide) for item in value]
        case None:
            return None
        case _:
            return MASK if hide else value


def without_metadata(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without Passivbot's own metadata: ``_raw``, ``_transform_log``, ..."""
    return {key: value for key, value in config.items() if not str(key).startswith("_")}

"""Which values of a config are secrets, and masking them."""

from __future__ import annotations

import re
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

#: Likewise, but only as words of their own: they stand inside of others.
_SHORT_WORDS: Final = frozenset(
    {"pass", "passwd", "pwd", "pin", "seed", "auth", "bearer", "credential", "credentials", "cookie",
     "session", "jwt", "totp", "webhook"}
)  # fmt: skip


def is_secret(key: str) -> bool:
    """Whether a key's name says that its value is a secret."""
    plain = "".join(character for character in key.casefold() if character.isalnum())
    if any(word in plain for word in _SECRET_WORDS):
        return True
    words = [word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", key)]
    return not _SHORT_WORDS.isdisjoint(words) or words[-1:] == ["key"]


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

"""Msgspec's words for what is wrong with a setting, and an owner's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from passivbot_hooks import did_you_mean
from passivbot_ws_plugin.errors import SettingsError

from .options import ALL_SCOPES, AuditOptions, AuthOptions, Limits, Tls

_T = TypeVar("_T", bound=Struct)

#: The options of each object, by its path below ``plugins.websocket``, for the did-you-mean.
_KNOWN: Final[Mapping[str, type[Struct]]] = {
    ".limits": Limits,
    ".tls": Tls,
    ".auth": AuthOptions,
    ".audit": AuditOptions,
}

#: What may stand where msgspec only says that something may not.
_CHOICES: Final[Mapping[str, str]] = {
    "config_secrets": "auto, include or mask",
    "token": "allow, warn or deny",
    "scopes": "one of " + ", ".join(ALL_SCOPES),
}

#: msgspec's words and an owner's.
_WORDS: Final = (
    (r"^Expected", "must be"),
    (r"^Invalid RFC3339 encoded datetime", "must be a time with a zone, such as 2027-01-01T00:00:00Z"),
    (r"\bobject\b", "an object"),
    (r"\barray of length >= 1", "a list that is not empty"),
    (r"\barray\b", "a list"),
    (r"\bstr of length >= 1", "a string that is not empty"),
    (r"\bstr\b", "a string"),
    (r"\bbool\b", "true or false"),
    (r"\bint\b", "a whole number"),
    (r"\bfloat\b", "a number"),
    (r"\bdatetime with a timezone component", "a time with a zone, such as 2027-01-01T00:00:00Z"),
    (r"\bdatetime\b", "a time in quotes"),
    (r"> 0\.0", "more than 0"),
    (r">= (\S+)", r"of at least \1"),
    (r"<= (\S+)", r"of at most \1"),
    (r" \| ", " or "),
    (r", got ", ", not "),
)


def convert(value: object, kind: type[_T], path: str) -> _T:
    """A part of a config as its struct.

    Raises:
        SettingsError: It is not one; told with the path of the wrong key.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise _settings_error(str(exc), kind, path) from None


def _settings_error(text: str, kind: type[Struct], path: str) -> SettingsError:
    """Msgspec's message as ours: ``Expected `int`, got `str` - at `$.limits.auth_s```."""
    reason, _, at = text.partition(" - at `$")
    at = at.rstrip("`")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", reason, re.DOTALL)
    if unknown is not None:
        known = _KNOWN.get(at, kind).__struct_fields__
        return SettingsError(f"{path}{at}.{unknown[1]}", f"is not an option{did_you_mean(unknown[1], known)}")
    missing = re.fullmatch(r"Object missing required field `(.*)`", reason)
    if missing is not None:
        return SettingsError(f"{path}{at}.{missing[1]}", "is missing")
    if reason.startswith("Invalid enum value"):
        choices = next((choices for name, choices in _CHOICES.items() if name in at), "")
        return SettingsError(f"{path}{at}", f"must be {choices}")
    reason = reason.replace("`", "")
    for pattern, words in _WORDS:
        reason = re.sub(pattern, words, reason)
    return SettingsError(f"{path}{at}", reason)

"""Reading a bot's HJSON config file.

Passivbot reads the same files with the same library (``hjson.load``), and drops the
keys that it does not know, so that ``plugins`` and ``live.websocket_*`` can stand there.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import hjson

from .errors import ConfigError
from .syntax_errors import QUOTES_HINT, explain

#: A Passivbot config is some 20 kB; one of megabytes is some other file, and the
#: parser, pure Python, would need seconds for it.
CONFIG_MAX_BYTES: Final = 1_048_576

#: Keys that stand twice and are told.
_TWICE_MAX: Final = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BotConfig:
    """A config that was read.

    Attributes:
        path: The file.
        user: ``live.user``, the account's name, Passivbot's own key for a bot; None if absent.
        data: The whole content. Nobody writes to it.
        digest: SHA-256 of the file's bytes, hexadecimal.
    """

    path: Path
    user: str | None
    data: Mapping[str, Any]
    digest: str


def load_config(path: Path) -> BotConfig:
    """Read a config file.

    Raises:
        ConfigError: It cannot be read or is not a bot's config.
    """
    try:
        if not path.is_file():
            raise ConfigError(path, _why_no_file(path))
        with path.open("rb") as file:
            raw = file.read(CONFIG_MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(path, f"cannot be read: {exc.strerror}") from exc
    return parse_config(path, raw)


def parse_config(path: Path, raw: bytes) -> BotConfig:
    """Make a config of a file's bytes.

    Args:
        path: Where they come from, for the messages.
        raw: UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: They are not a bot's config: not UTF-8, not HJSON, no ``live`` object, ...
    """
    if len(raw) > CONFIG_MAX_BYTES:
        raise ConfigError(path, f"larger than {CONFIG_MAX_BYTES} bytes; is it a bot's config?")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise ConfigError(path, "not UTF-8; save the file as UTF-8", line=line) from exc
    twice: list[str] = []

    def make(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return made

    try:
        data = hjson.loads(text, object_pairs_hook=make)
        if isinstance(data, str):
            raise TypeError("an object without braces that is wrong is read as a string")
    except RecursionError as exc:
        raise ConfigError(path, "nested too deeply; is it a bot's config?") from exc
    # The parser lets errors of other kinds than its own through (a number of 5,000 digits, an
    # open comment); this is the boundary at which a file's content stops being able to raise.
    except Exception as exc:
        fault = explain(text, exc)
        raise ConfigError(path, f"not valid HJSON: {fault.reason}", line=fault.line) from exc
    for key in twice[:_TWICE_MAX]:
        _log.warning(
            "%s: %.40r stands twice in one object; the last one counts, for Passivbot too", path, key
        )
    return BotConfig(path, _user(path, data), data, hashlib.sha256(raw).hexdigest())


def _user(path: Path, data: object) -> str | None:
    if not isinstance(data, dict) or not isinstance(data.get("live"), dict):
        raise ConfigError(path, "has no `live: { ... }` section; is it a bot's config?")
    user = data["live"].get("user")
    if user is None:
        return None
    if not isinstance(user, str) or not is_name(user):
        # Not the value: an unquoted one may hold the rest of its line, with a password in it.
        raise ConfigError(
            path, f"live.user must be the account's name in api-keys.json, such as main; {QUOTES_HINT}"
        )
    return user


def is_name(text: str) -> bool:
    """Whether a text can be the name of an account and of one directory.

    Not empty, no separator, no dots alone; nothing of HJSON's own, which an unquoted text may hold.
    """
    return text not in ("", ".", "..") and text.isprintable() and not set(text) & set("/\\,:{}[]\"'#")


def _why_no_file(path: Path) -> str:
    if path.is_dir():
        return "is a directory; give the bot's config file"
    if path.exists():
        return "is not a regular file; give the bot's config file"
    return "no such file"

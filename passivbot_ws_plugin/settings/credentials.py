"""Who may log in: the published key, and those of ``plugins.websocket.keys``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from passivbot_hooks import UnusableFileError, open_regular
from passivbot_ws_plugin.errors import SettingsError

from .options import ALL_SCOPES, Key, Scope
from .paths import expanded, unreadable

#: Passwords that stand in documentation, and so are everybody's.
_EXAMPLE_PASSWORDS: Final = frozenset({"your_secret_bot_password", "a long secret of your own"})

#: What is read of a file that holds a password.
_SECRET_MAX_BYTES: Final = 4096

#: The shortest password that may guard a server which others can reach.
_PASSWORD_MIN_CHARS: Final = 12


class Credential(Struct, frozen=True):
    """One key, its secret and what it may see.

    Two are equal only if all of it is: a connection whose credential is no longer among
    the settings' is revoked.

    Attributes:
        key: The key part, its public name.
        password: The secret.
        scopes: What it may see.
        expires: When it stops to work, seconds since the epoch; None: never.
        path: Its password's place in the config, for messages.
    """

    key: str
    password: str
    scopes: frozenset[Scope]
    expires: float | None
    path: str

    def __repr__(self) -> str:
        """Without the password: it may end up in a log or a traceback."""
        return f"Credential(key={self.key!r}, scopes={sorted(self.scopes)}, expires={self.expires})"

    def has_expired(self, now: float) -> bool:
        """Whether it stopped to work, by the wall clock."""
        return self.expires is not None and now >= self.expires


def make_credentials(password: str, key_part: str, keys: Mapping[str, Key]) -> tuple[Credential, ...]:
    """The published credential, which has every scope, and the further ones.

    Raises:
        SettingsError: A secret cannot be had, or a key part stands twice or is empty.
    """
    path = "live.websocket_password"
    credentials = [Credential(key_part, resolve_secret(password, path), frozenset(ALL_SCOPES), None, path)]
    for name, key in keys.items():
        path = f"plugins.websocket.keys.{name}"
        if not name:
            raise SettingsError("plugins.websocket.keys", "a key part must not be empty")
        if name == key_part:
            raise SettingsError(path, "is live.websocket_public_key_part already; choose another name")
        expires = None if key.expires is None else key.expires.timestamp()
        path = f"{path}.password"
        secret = resolve_secret(key.password, path)
        credentials.append(Credential(name, secret, frozenset(key.scopes), expires, path))
    return tuple(credentials)


def resolve_secret(value: str, path: str) -> str:
    """A secret as it is, or from where ``env:NAME`` or ``file:PATH`` says.

    Raises:
        SettingsError: There is none.
    """
    kind, separator, name = value.partition(":")
    if not separator or kind not in ("env", "file"):
        return value
    is_there = name in os.environ if kind == "env" else os.path.lexists(os.path.expanduser(name))  # noqa: PTH111  it never raises
    if not is_there and set(name) & set(",\"'{}[]"):
        # Not the name: an unquoted one may hold the rest of its line, with another secret in it.
        raise SettingsError(
            path, f"what comes after {kind}: names nothing that is there; put the string in quotes"
        )
    if kind == "env":
        secret = os.environ.get(name, "")
        if not secret:
            raise SettingsError(path, f"the environment variable {name} is not set")
        return secret
    name = expanded(name, path)
    try:
        with open_regular(Path(name)) as file:
            secret = file.read(_SECRET_MAX_BYTES).decode("utf-8").strip()
    except UnusableFileError as exc:
        raise SettingsError(path, f"the file {name} is not a regular file") from exc
    except OSError as exc:
        raise SettingsError(path, unreadable(name, exc)) from exc
    except ValueError as exc:  # not UTF-8, a NUL in the path
        raise SettingsError(path, f"the file {name!r} cannot be read as UTF-8 text") from exc
    if not secret:
        raise SettingsError(path, f"the file {name} is empty")
    return secret


def weaknesses(credentials: Iterable[Credential]) -> list[tuple[str, str]]:
    """The place and the fault of each password that is easy to guess."""
    found: list[tuple[str, str]] = []
    for credential in credentials:
        if credential.password in _EXAMPLE_PASSWORDS:
            found.append((credential.path, "is the documentation's example, which everybody knows"))
        elif credential.password == credential.key:
            found.append((credential.path, "is its own key part, which is no secret"))
        elif len(credential.password) < _PASSWORD_MIN_CHARS:
            found.append((credential.path, f"has fewer than {_PASSWORD_MIN_CHARS} characters"))
    return found

"""The config's mapping to one frozen, validated `Settings`.

Four keys in ``live`` are the published interface; every further option is under
``plugins.websocket``. What is wrong is told with the path of its key.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from passivbot_hooks import did_you_mean, plugin_options
from passivbot_hooks.toggles import type_name

from .errors import NotConfiguredError, SettingsError

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8765

#: Passwords that stand in documentation, and so are everybody's.
_EXAMPLE_PASSWORDS: Final = frozenset({"your_secret_bot_password"})

#: The shortest password that may guard a server which others can reach.
_PASSWORD_MIN_CHARS: Final = 12

_Seconds = Annotated[float, Meta(gt=0, le=3600)]
_Bytes = Annotated[int, Meta(ge=1024, le=67_108_864)]


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client may take; ``plugins.websocket.limits``.

    Attributes:
        handshake_s: For the opening handshake.
        auth_s: From connecting to authenticated, in all.
        message_bytes_unauthenticated: One message from a client before it logged in.
        message_bytes: One message from a client after it logged in.
        bad_messages: Bad messages until the connection is closed.
        buffer_soft_bytes: Unsent bytes of a client above which it gets the latest state only.
        buffer_hard_bytes: Unsent bytes of a client at which it is dropped.
        buffer_soft_s: How long a client may stay above the soft limit.
        ping_interval_s: Between two pings of the server.
        ping_timeout_s: Until a ping that was not answered ends the connection.
        shutdown_s: For stopping, stuck clients or not.
    """

    handshake_s: _Seconds = 5.0
    auth_s: _Seconds = 10.0
    message_bytes_unauthenticated: _Bytes = 8192
    message_bytes: _Bytes = 65_536
    bad_messages: Annotated[int, Meta(ge=1, le=1000)] = 10
    buffer_soft_bytes: _Bytes = 262_144
    buffer_hard_bytes: _Bytes = 1_048_576
    buffer_soft_s: _Seconds = 10.0
    ping_interval_s: _Seconds = 20.0
    ping_timeout_s: _Seconds = 20.0
    shutdown_s: Annotated[float, Meta(gt=0, le=5)] = 3.0


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """``plugins.websocket``, where it is an object.

    Attributes:
        allow_plaintext: Serve beyond loopback without encryption.
        config_secrets: ``include`` or ``mask`` the secrets of a config, or ``auto``: include
            them for clients on this machine.
        limits: What a client may take.
    """

    allow_plaintext: bool = False
    config_secrets: Literal["auto", "include", "mask"] = "auto"
    limits: Limits = field(default_factory=Limits)


class Settings(Struct, frozen=True):
    """All that the server needs to know.

    Attributes:
        host: The address to bind.
        port: The port to bind; 0 is any free one.
        password: The secret that clients prove to know.
        public_key_part: The public name of that secret.
        options: Everything else.
        warning: What the owner should know although the server starts.
    """

    host: str
    port: int
    password: str
    public_key_part: str
    options: Options
    warning: str | None = None

    def __repr__(self) -> str:
        """Without the password: a settings object may end up in a log or a traceback."""
        return f"Settings(host={self.host!r}, port={self.port}, public_key_part={self.public_key_part!r})"


def parse_settings(config: Mapping[str, Any]) -> Settings:
    """Read the settings from a bot's whole config.

    Raises:
        NotConfiguredError: There is no password or no key part.
        SettingsError: A setting is unknown, has a wrong type or value, or is unsafe.
    """
    live = config.get("live")
    if not isinstance(live, Mapping):
        raise SettingsError("live", "must be an object that holds websocket_password, ...")
    options = _options(config)
    settings = Settings(
        host=_host(live.get("websocket_host", DEFAULT_HOST)),
        port=_port(live.get("websocket_port", DEFAULT_PORT)),
        password=_resolve(_required_text(live, "websocket_password"), "live.websocket_password"),
        public_key_part=_required_text(live, "websocket_public_key_part"),
        options=options,
    )
    return msgspec.structs.replace(settings, warning=_check_exposure(settings))


def _options(config: Mapping[str, Any]) -> Options:
    try:
        options = msgspec.convert(plugin_options(config, "websocket"), Options)
    except msgspec.ValidationError as exc:
        raise _settings_error(str(exc)) from None
    if options.limits.buffer_hard_bytes < options.limits.buffer_soft_bytes:
        raise SettingsError(
            "plugins.websocket.limits.buffer_hard_bytes", "must not be less than buffer_soft_bytes"
        )
    return options


def _settings_error(text: str) -> SettingsError:
    """Msgspec's message as ours: ``Expected `int`, got `str` - at `$.limits.auth_s```."""
    reason, _, at = text.partition(" - at `$")
    path = "plugins.websocket" + at.rstrip("`")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", reason, re.DOTALL)
    if unknown is not None:
        name = unknown[1]
        known = (Limits if at.startswith(".limits") else Options).__struct_fields__
        return SettingsError(f"{path}.{name}", f"is not an option{did_you_mean(name, known)}")
    return SettingsError(path, reason.replace("`", "").replace("Expected", "must be", 1))


def _host(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(
            "live.websocket_host", f"must be an address to bind, such as {DEFAULT_HOST}, not {_shown(value)}"
        )
    return value.strip()


def _port(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65_535:
        raise SettingsError(
            "live.websocket_port",
            f"must be a whole number from 0 (any free port) to 65535, not {_shown(value)}",
        )
    return value


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, int | float) else f"{type_name(value)} {value!r:.40}"


def _required_text(live: Mapping[str, Any], key: str) -> str:
    value = live.get(key)
    if value is None:
        raise NotConfiguredError(f"live.{key}", "is missing, so the server stays off; set it to switch it on")
    if not isinstance(value, str):
        raise SettingsError(f"live.{key}", f"must be a string, not {type_name(value)}; put it in quotes")
    if not value:
        raise NotConfiguredError(f"live.{key}", "is empty, so the server stays off; set it to switch it on")
    return value


def _resolve(value: str, path: str) -> str:
    """A secret may be given as ``env:NAME`` or ``file:PATH``."""
    kind, separator, name = value.partition(":")
    if not separator or kind not in ("env", "file"):
        return value
    if kind == "env":
        secret = os.environ.get(name, "")
        if not secret:
            raise SettingsError(path, f"the environment variable {name} is not set")
        return secret
    try:
        secret = Path(name).expanduser().read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise SettingsError(path, f"the file {name} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise SettingsError(path, f"the file {name} is not UTF-8 text") from exc
    if not secret:
        raise SettingsError(path, f"the file {name} is empty")
    return secret


def _check_exposure(settings: Settings) -> str | None:
    """Refuse what would let a stranger in; return what is merely unwise."""
    is_example = settings.password in _EXAMPLE_PASSWORDS
    is_short = len(settings.password) < _PASSWORD_MIN_CHARS
    weakness = (
        "is the documentation's example, which everybody knows"
        if is_example
        else f"has fewer than {_PASSWORD_MIN_CHARS} characters"
    )
    if is_loopback(settings.host):
        return f"live.websocket_password: {weakness}" if is_example or is_short else None
    if not settings.options.allow_plaintext:
        raise SettingsError(
            "live.websocket_host",
            f"{settings.host} can be reached from other machines, and the connection is not encrypted; "
            f"use {DEFAULT_HOST} with a TLS proxy or an SSH tunnel, or set "
            "plugins.websocket.allow_plaintext: true",
        )
    if is_example or is_short:
        raise SettingsError(
            "live.websocket_password",
            f"{weakness}, and {settings.host} can be reached from other machines; choose a better one",
        )
    return "live.websocket_host: served without encryption beyond this machine, as allow_plaintext says"


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback

"""The config's mapping to one frozen, validated `Settings`.

Four keys in ``live`` are the published interface; every further option is under
``plugins.websocket``. What is wrong is told with the path of its key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from passivbot_hooks import did_you_mean, plugin_options, type_name
from passivbot_ws_plugin.addresses import is_address, is_loopback
from passivbot_ws_plugin.errors import NotConfiguredError, SettingsError

from .credentials import Credential, make_credentials, weaknesses
from .options import CONNECTIONS_MIN, Key, Options
from .wording import convert

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8765

#: Each costs some milliseconds when the settings change.
KEYS_MAX: Final = 100


class Settings(Struct, frozen=True):
    """All that the server needs to know.

    Attributes:
        host: The address to bind.
        port: The port to bind; 0 is any free one.
        credentials: Who may log in; the published one first.
        options: Everything else.
        warnings: What the owner should know although the server starts.
    """

    host: str
    port: int
    credentials: tuple[Credential, ...]
    options: Options
    warnings: tuple[str, ...] = ()

    def without_secrets(self) -> Settings:
        """The same, by which nobody sees a secret of a config."""
        options = msgspec.structs.replace(self.options, config_secrets="mask")
        return msgspec.structs.replace(self, options=options, warnings=())


def make_address(host: str, port: int, options: Options) -> str:
    """What a client is given, such as ``ws://127.0.0.1:8765``."""
    scheme = "ws" if options.tls is None else "wss"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def parse_settings(config: Mapping[str, Any]) -> Settings:
    """Read the settings from a bot's whole config.

    Raises:
        NotConfiguredError: There is no password or no key part.
        SettingsError: A setting is unknown, has a wrong type or value, or is unsafe.
    """
    live = config.get("live")
    if not isinstance(live, Mapping):
        raise SettingsError("live", "must be an object that holds websocket_password, ...")
    _refuse_unknown(live)
    options = _options(config)
    password = _required_text(config, live, "websocket_password")
    key_part = _required_text(config, live, "websocket_public_key_part")
    _refuse_misplaced(config, live)
    settings = Settings(
        host=_host(live.get("websocket_host", DEFAULT_HOST)),
        port=_port(live.get("websocket_port", DEFAULT_PORT)),
        credentials=make_credentials(password, key_part, options.keys),
        options=options,
    )
    warnings = (*_check_exposure(settings), *_doubts(settings))
    return msgspec.structs.replace(settings, warnings=warnings)


#: The published keys.
_LIVE_KEYS: Final = (
    "websocket_host",
    "websocket_port",
    "websocket_password",
    "websocket_public_key_part",
)


#: What of a config is the server's: the keys in ``live``, and ``plugins.websocket``.
ServerSection = tuple[Mapping[str, Any], Mapping[str, Any]]


def server_section(config: Mapping[str, Any]) -> ServerSection:
    """What a config says of the server, right or wrong; both are empty where it says nothing."""
    live = config.get("live")
    keys = live if isinstance(live, Mapping) else {}
    return {key: keys[key] for key in _LIVE_KEYS if key in keys}, plugin_options(config, "websocket")


#: What a browser says in `Origin`; a page from a file says null.
_ORIGIN: Final = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/\sA-Z]+")


def _refuse_unknown(live: Mapping[str, Any]) -> None:
    for name in live:
        if str(name).startswith("websocket_") and name not in _LIVE_KEYS:
            option = str(name).removeprefix("websocket_")
            is_option = option in Options.__struct_fields__
            right = f"; set plugins.websocket.{option}" if is_option else did_you_mean(name, _LIVE_KEYS)
            raise SettingsError(f"live.{name}", f"is not a setting{right}")


def _refuse_misplaced(config: Mapping[str, Any], live: Mapping[str, Any]) -> None:
    for name in _LIVE_KEYS:
        if name in config and name not in live:
            raise SettingsError(name, "is not read outside of live; move it there")


def _doubts(settings: Settings) -> Iterator[str]:
    """What is allowed, and hardly what was meant."""
    for number, origin in enumerate(settings.options.origins or ()):
        if not _ORIGIN.fullmatch(origin):
            yield (
                f"plugins.websocket.origins[{number}]: no browser says {origin!r:.80}; an origin is like "
                "https://my.page or http://127.0.0.1:8000, in lower case and without a slash at its end"
            )
    first: dict[str, str] = {}  # where each password stands first
    for credential in settings.credentials:
        path = first.setdefault(credential.password, credential.path)
        if path != credential.path:
            yield (
                f"{credential.path}: is that of {path} too, so who has it may log in with either key, and "
                "this one's scopes and end mean nothing; choose another"
            )
        if credential.has_expired(time.time()):
            yield f"plugins.websocket.keys.{credential.key}.expires: is over; nobody can log in with this key"
        for path, text in ((credential.path, credential.password), (_key_path(credential), credential.key)):
            # HJSON's trap: an unquoted string goes on to the end of its line.
            if re.search(r"\s(//|#|/\*)|[,}]$", text):
                yield f"{path}: seems to end in a comment or a comma; put the string in quotes"


def _key_path(credential: Credential) -> str:
    is_published = credential.path == "live.websocket_password"
    return "live.websocket_public_key_part" if is_published else f"plugins.websocket.keys.{credential.key}"


def _options(config: Mapping[str, Any]) -> Options:
    section = plugin_options(config, "websocket")
    keys = section.pop("keys", {})
    options = convert(section, Options, "plugins.websocket")
    if not isinstance(keys, Mapping):
        raise SettingsError("plugins.websocket.keys", f"must be an object of keys, not {type_name(keys)}")
    if len(keys) > KEYS_MAX:
        raise SettingsError("plugins.websocket.keys", f"must be at most {KEYS_MAX} keys, not {len(keys)}")
    # Each by itself: msgspec's errors do not say which of them is wrong.
    parsed = {name: convert(key, Key, f"plugins.websocket.keys.{name}") for name, key in keys.items()}
    if options.limits.buffer_hard_bytes < options.limits.buffer_soft_bytes:
        raise SettingsError(
            "plugins.websocket.limits.buffer_hard_bytes", "must not be less than buffer_soft_bytes"
        )
    if options.limits.connections < CONNECTIONS_MIN:
        raise SettingsError(
            "plugins.websocket.limits.connections",
            f"must be at least {CONNECTIONS_MIN}: one for who logs in, one for the further keys, one for the "
            "published key",
        )
    return msgspec.structs.replace(options, keys=parsed)


#: An address with more than belongs to it: a scheme, a port, a path.
_URL: Final = re.compile(
    r"(?:[a-z]+://|(?=\[|[^:/]+[:/]))(?:\[(?P<ip>[\w.%]*:[\w:.%]*)\]|(?P<name>[\w.-]+))(?::\d*)?(?:/\S*)?",
    re.ASCII,
)


def _host(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(
            "live.websocket_host", f"must be an address to bind, such as {DEFAULT_HOST}, not {_shown(value)}"
        )
    host = value.strip()
    if bracketed := re.fullmatch(r"\[([\w.%]*:[\w:.%]*)\]", host):  # as a URL has an IPv6 address
        host = bracketed[1]
    elif more := _URL.fullmatch(host):
        raise SettingsError(
            "live.websocket_host",
            f"must be the address alone, {(more['ip'] or more['name'])!r}, without a scheme, a port or a "
            "path; the port is live.websocket_port",
        )
    if re.fullmatch(r"[\w.:%-]+", host) is None:  # not shown: the rest of its line may hold the password
        raise SettingsError(
            "live.websocket_host",
            f"must be one address to bind, such as {DEFAULT_HOST}; put it in quotes: a string without them "
            "goes on to the end of its line",
        )
    if ":" in host and not is_address(host):
        raise SettingsError(
            "live.websocket_host",
            f"must be an address to bind, such as {DEFAULT_HOST} or ::1, not {host!r:.80}",
        )
    return host


def _port(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65_535:
        raise SettingsError(
            "live.websocket_port",
            f"must be a whole number from 0 (any free port) to 65535, not {_shown(value)}",
        )
    return value


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, int | float) else f"{type_name(value)} {value!r:.40}"


def _required_text(config: Mapping[str, Any], live: Mapping[str, Any], key: str) -> str:
    value = live.get(key)
    if value is None:
        right = f"{key} stands outside of live: move it there" if key in config else "set it to switch it on"
        raise NotConfiguredError(f"live.{key}", f"is missing, so the server stays off; {right}")
    if not isinstance(value, str):
        raise SettingsError(f"live.{key}", f"must be a string, not {type_name(value)}; put it in quotes")
    if not value:
        raise NotConfiguredError(f"live.{key}", "is empty, so the server stays off; set it to switch it on")
    return value


def _check_exposure(settings: Settings) -> tuple[str, ...]:
    """Refuse what would let a stranger in; return what is merely unwise."""
    weak = weaknesses(settings.credentials)
    if is_loopback(settings.host):
        return tuple(f"{path}: {fault}" for path, fault in weak)
    is_plain = settings.options.tls is None
    if is_plain and not settings.options.allow_plaintext:
        raise SettingsError(
            "live.websocket_host",
            f"{settings.host} can be reached from other machines, and the connection is not encrypted; "
            "set plugins.websocket.tls: {cert, key}, or "
            f"use {DEFAULT_HOST} with a TLS proxy or an SSH tunnel, or set "
            "plugins.websocket.allow_plaintext: true",
        )
    for path, fault in weak:
        raise SettingsError(
            path, f"{fault}, and {settings.host} can be reached from other machines; choose a better one"
        )
    if not is_plain:
        return ()
    return ("live.websocket_host: served without encryption beyond this machine, as allow_plaintext says",)

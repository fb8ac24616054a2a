"""``plugins.websocket``: every option beside the published keys, its type, bounds and default."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

#: Whether the published token is accepted, accepted with a warning in the log, or refused.
TokenPolicy = Literal["allow", "warn", "deny"]

#: What a key may be allowed to see.
Scope = Literal["statistics", "config", "events"]

ALL_SCOPES: Final[tuple[Scope, ...]] = ("statistics", "config", "events")

_Seconds = Annotated[float, Meta(gt=0, le=3600)]
_Bytes = Annotated[int, Meta(ge=1024, le=67_108_864)]
_Count = Annotated[int, Meta(ge=1, le=100_000)]

#: Of fewer connections, strangers and the further keys could leave none for the owner.
CONNECTIONS_MIN: Final = 3


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What clients may take; ``plugins.websocket.limits``.

    Attributes:
        handshake_s: For the opening handshake.
        auth_s: From connecting to authenticated, in all.
        message_bytes_unauthenticated: One message from a client before it logged in.
        message_bytes: One message from a client after it logged in.
        unauthenticated: Connections that have not logged in.
        unauthenticated_per_address: Those of one address.
        connections: All connections; `CONNECTIONS_MIN` at least.
        connections_per_address: Those of one address.
        connections_per_key: Those of one of ``plugins.websocket.keys``, and its logins at once; the published
            key is not bounded.
        messages_per_s: Messages from a client, in the long run; pings too.
        messages_burst: Messages from a client at once.
        bad_messages: Bad messages until the connection is closed.
        auth_failures: Failed logins of one address within ``auth_window_s`` until it is locked.
        auth_window_s: How long a failed login counts.
        auth_lock_max_s: The longest lock; the first is 2 s, each is twice the one before.
        buffer_soft_bytes: Unsent bytes of a client above which it gets the latest state only.
        buffer_hard_bytes: Unsent bytes of a client above which it is dropped.
        buffer_soft_s: How long a client may stay above the soft limit.
        ping_interval_s: Between two pings of the server.
        ping_timeout_s: Until a ping that was not answered ends the connection.
        shutdown_s: For stopping, stuck clients or not; a plugin has 4 s for all of its shutdown.
    """

    handshake_s: _Seconds = 5.0
    auth_s: _Seconds = 10.0
    message_bytes_unauthenticated: _Bytes = 8192
    message_bytes: _Bytes = 65_536
    unauthenticated: _Count = 64
    unauthenticated_per_address: _Count = 8
    connections: _Count = 256
    connections_per_address: _Count = 32
    connections_per_key: _Count = 16
    messages_per_s: Annotated[float, Meta(gt=0, le=10_000)] = 5.0
    messages_burst: _Count = 20
    bad_messages: Annotated[int, Meta(ge=1, le=1000)] = 10
    auth_failures: _Count = 5
    auth_window_s: _Seconds = 60.0
    auth_lock_max_s: Annotated[float, Meta(ge=2, le=86_400)] = 900.0
    buffer_soft_bytes: _Bytes = 262_144
    buffer_hard_bytes: _Bytes = 1_048_576
    buffer_soft_s: _Seconds = 10.0
    ping_interval_s: _Seconds = 20.0
    ping_timeout_s: _Seconds = 20.0
    shutdown_s: Annotated[float, Meta(gt=0, le=3)] = 3.0


class Tls(Struct, frozen=True, forbid_unknown_fields=True):
    """``plugins.websocket.tls``: serve ``wss://``.

    Attributes:
        cert: The certificate and its chain, PEM; a path.
        key: Its private key, PEM, without a passphrase; a path.
    """

    cert: Annotated[str, Meta(min_length=1)]
    key: Annotated[str, Meta(min_length=1)]


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """One of ``plugins.websocket.keys``, by its key part.

    Attributes:
        password: The secret, or ``env:NAME``, or ``file:PATH``.
        scopes: What it may see.
        expires: When it stops to work, with a time zone.
    """

    password: Annotated[str, Meta(min_length=1)]
    scopes: Annotated[list[Scope], Meta(min_length=1)] = field(default_factory=lambda: list(ALL_SCOPES))
    expires: Annotated[dt.datetime, Meta(tz=True)] | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"Key(scopes={self.scopes!r}, expires={self.expires!r})"


class AuthOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """``plugins.websocket.auth``.

    Attributes:
        token: Whether the published token is accepted, accepted with a warning in the log, or
            refused, so that only SCRAM-SHA-256 gets in.
    """

    token: TokenPolicy = "allow"


class AuditOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """``plugins.websocket.audit``.

    Attributes:
        path: The file of the record.
        required: Refuse logins while they cannot be recorded.
        max_bytes: The size at which the file is rotated.
        keep: How many rotated files are kept.
    """

    path: Annotated[str, Meta(min_length=1)] = "logs/websocket_audit.jsonl"
    required: bool = True
    max_bytes: Annotated[int, Meta(ge=65_536, le=1_073_741_824)] = 10_485_760
    keep: Annotated[int, Meta(ge=1, le=1000)] = 10


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """``plugins.websocket``, where it is an object.

    Attributes:
        allow_plaintext: Serve beyond loopback without encryption.
        tls: Serve encrypted.
        origins: The browser origins that may connect; None: any, since the credential is in a
            message and not in a cookie. Clients that send no origin are not browsers.
        config_secrets: ``include`` or ``mask`` the secrets of a config for the published key, or
            ``auto``: include them if encrypted or on this machine. Further keys never get them.
        keys: Further credentials, by key part.
        auth: How clients may log in.
        audit: The record of who did.
        limits: What clients may take.
    """

    allow_plaintext: bool = False
    tls: Tls | None = None
    origins: list[str] | None = None
    config_secrets: Literal["auto", "include", "mask"] = "auto"
    keys: dict[str, Key] = field(default_factory=dict)
    auth: AuthOptions = field(default_factory=AuthOptions)
    audit: AuditOptions = field(default_factory=AuditOptions)
    limits: Limits = field(default_factory=Limits)

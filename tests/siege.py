"""A server under attack, with a well-behaved client beside it, and what must be true afterwards.

::

    async with besieged(("auth.failure", "wrong token")) as siege:
        client = await siege.attacker()
        await client.send(...)
        assert ...  # the exact answer

At its end, whatever the case did: a change published then still reaches the good client; the
server by itself ended every connection of an attacker, unless the case says that it stays; the
audit records are exactly those that were named; no task, descriptor, connection or timer is left
behind; nothing was logged that is an error, a traceback, a complaint of asyncio or a secret.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import logging
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from certificates import Authority
from raw import RawClient, open_raw
from records import AuditLog, recording
from servers import KEY, PASSWORD, auth_message, closed, logged_in, make_settings, receive
from websockets.asyncio.client import ClientConnection

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.access.auth import make_token
from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.audit.flood import MANY
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.server import arrival as arrival_module
from passivbot_ws_plugin.server import connection as connection_module
from passivbot_ws_plugin.server import server as server_module
from passivbot_ws_plugin.server.arrival import Arrival
from passivbot_ws_plugin.server.server import Server

#: An event and its reason, as they are to be on record.
Record = tuple[str, str]

#: Where attackers connect from: what is held against them must not be held against the owner.
ATTACKER: Final = "127.0.0.66"

#: Short, so that deadlines can be waited for.
LIMITS: Final[Mapping[str, Any]] = {"handshake_s": 0.4, "auth_s": 0.4, "auth_failures": 1000}

_LINGER_S: Final = 0.1
_SECRETS: Final = (PASSWORD, make_token(PASSWORD, KEY))


@dataclass
class Siege:
    """What a case works with.

    Attributes:
        expected: The audit records that the attack leaves; a case may add those that it caused.
        trust: What a client needs for the server's TLS; None: it is plain.
    """

    server: Server
    address: str
    cache: Cache
    good: ClientConnection
    audit: Audit
    audit_log: AuditLog
    expected: list[Record]
    trust: ssl.SSLContext | None
    _exits: AsyncExitStack
    _attackers: list[RawClient] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def attacker(self, source: str = ATTACKER, *, receive_buffer: int | None = None) -> RawClient:
        """A new connection, over TLS if the server is."""
        return self.take(
            await open_raw(self.address, tls=self.trust, source=source, receive_buffer=receive_buffer)
        )

    async def knock(self, source: str = ATTACKER) -> RawClient:
        """A new TCP connection, whatever the server speaks."""
        return self.take(await open_raw(self.address, source=source))

    def take(self, client: RawClient) -> RawClient:
        """Look after an attacker's connection."""
        self._exits.callback(client.abort)
        self._attackers.append(client)
        return client

    async def stranger(self, source: str = ATTACKER) -> RawClient:
        """An attacker past the handshake."""
        client = await self.attacker(source)
        assert await client.upgrade() == 101
        return client

    async def client(self, source: str = ATTACKER, *, receive_buffer: int | None = None) -> RawClient:
        """An attacker that logged in and got its snapshot."""
        client = await self.attacker(source, receive_buffer=receive_buffer)
        assert (await client.log_in(auth_message()))["success"]
        assert (await client.message())["type"] == "statistics"
        return client

    async def dismiss(self, client: RawClient) -> None:
        """End an attacker's connection: its case is over."""
        self._attackers.remove(client)
        await client.close()

    def publish(self, **changes: Any) -> bytes:
        """Publish a change."""
        changes.setdefault("balance", float(next(self._numbers)))
        assert self.cache.put_statistics("main", statistics_data(make_statistics(**changes)))
        self.server.publish("statistics", "main")
        return self.cache.bots["main"].statistics.snapshot.payload

    async def show(self, **changes: Any) -> None:
        """Publish a change; the good client gets it, and nothing before it."""
        payload = self.publish(**changes)
        assert await receive(self.good) == json.loads(payload)

    @property
    def hostile(self) -> list[Arrival]:
        """The server's side of the connections that are not the good client's."""
        port = self.good.local_address[1]
        return [connection for connection in self.server._door.connections if connection.port != port]

    async def gone(self) -> None:
        """Wait until the server ended every connection of an attacker, though none of them closes."""
        for client in self._attackers:
            await client.ended()
        await self.ended()

    async def ended(self) -> None:
        """Wait until the server has no connection but the good client's, and nothing to do for another."""
        listener = self.server._listener
        assert listener is not None
        async with asyncio.timeout(10):
            for connection in self.hostile:
                await connection.wait_closed()
            while len(listener.handler_tasks) > 1:
                await asyncio.wait(listener.handler_tasks, return_when=asyncio.FIRST_COMPLETED)
        assert not self.hostile


@asynccontextmanager
async def besieged(
    *records: Record,
    stays: bool = False,
    audit: Audit | None = None,
    audit_options: Mapping[str, Any] | None = None,
    is_tls: bool = False,
    complaint: str = "",
    **options: Any,
) -> AsyncIterator[Siege]:
    """A server with a well-behaved client.

    Args:
        records: The audit records that the attack leaves, each as often as it is to be found
            (beside the success of the good client).
        stays: Attackers may be connected still at the end.
        audit: The server's.
        audit_options: `plugins.websocket.audit`.
        is_tls: Whether the server speaks ``wss://``.
        complaint: What may be logged as an error, a regular expression.
        options: `plugins.websocket`; `limits` are added to those of this module.
    """
    limits = {**LIMITS, **options.pop("limits", {})}
    authority = Authority(Path()) if is_tls else None
    trust = None
    if authority is not None:
        trust, options["tls"] = authority.trust, authority.files
    await _open_spares()
    before = _Left.now()
    with _only_new_garbage(), _watched_logs() as log, recording() as audit_log, _short_closing():
        cache, audit = Cache(), audit or Audit()
        cache.put_config("main", {"live": {"user": "main"}})
        cache.put_statistics("main", statistics_data(make_statistics()))
        settings = make_settings(limits=limits, audit=dict(audit_options or {}), **options)
        server = Server(settings, cache, audit)
        address = await server.start()
        try:
            async with AsyncExitStack() as exits:
                good = await exits.enter_async_context(logged_in(address, ssl=trust))
                assert (await receive(good))["type"] == "statistics"
                expected = [("auth.success", "accepted"), *records]
                siege = Siege(server, address, cache, good, audit, audit_log, expected, trust, exits)
                yield siege
                await siege.show()
                if not stays:
                    await siege.gone()
                for attacker in siege._attackers:
                    await attacker.close()
                await siege.ended()
                await siege.show()
                assert len(server._door.connections) == len(server._hub) == len(server._admitted) == 1
                assert server._door.gate._all == Counter({"127.0.0.1": 1})
                assert not server._door.gate._strangers
        finally:
            await server.stop(5.0)
            audit.close()
        await closed(good)
        assert not server._door.connections
        assert server._door.gate.addresses == len(server._hub) == len(server._admitted) == 0
        found = _counted(audit_log)
        assert found == Counter(expected), f"found {found}, expected {Counter(expected)}"
        log.check(complaint)
        del server, siege, good, exits
        gc.collect()
        after = _Left.now()
        # Not equal: what tests before this one left to the collector may have been counted before.
        is_clean = after.tasks <= before.tasks and after.descriptors <= before.descriptors
        assert is_clean, f"before {before}, after {after}"
        assert not after.connections


def _counted(audit_log: AuditLog) -> Counter[Record]:
    """How often each event and reason is on record; each line is one that nobody could forge."""
    found: Counter[Record] = Counter()
    for line in audit_log.lines:
        assert line.isascii(), line
        assert line.isprintable(), line
        assert not any(secret in line for secret in _SECRETS), line
        record = json.loads(line)
        assert record["peer"].startswith("127.") or record["peer"] == MANY, line
        found[record["event"], record["reason"]] += record.get("count", 1)
    return found


@dataclass(frozen=True)
class _Left:
    """What a server could leave behind."""

    tasks: int
    descriptors: int
    connections: int

    @classmethod
    def now(cls) -> _Left:
        return cls(
            tasks=len(asyncio.all_tasks()),
            descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            # By its type: an `isinstance` asks weak proxies, which may have died.
            connections=sum(issubclass(type(thing), Arrival) for thing in gc.get_objects()),
        )


async def _open_spares() -> None:
    """Have the loop open what it keeps open: with its first socket, uvloop's takes a spare descriptor."""
    listener = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    listener.close()
    await listener.wait_closed()


class _Log(logging.Handler):
    """Everything that was logged, to be looked through."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        is_loud = record.levelno >= (logging.WARNING if record.name == "asyncio" else logging.ERROR)
        has_leaked = any(secret in text for secret in _SECRETS)
        if is_loud or has_leaked or "Traceback" in text:
            self.bad.append(text)

    def check(self, complaint: str) -> None:
        bad = [text for text in self.bad if not complaint or not re.search(complaint, text)]
        assert not bad, "\n".join(bad)


@contextmanager
def _only_new_garbage() -> Iterator[None]:
    """What was there before is neither collected nor looked through: that takes most of a case's time."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _watched_logs() -> Iterator[_Log]:
    root, log = logging.getLogger(), _Log()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)  # a secret is not to be in what an owner asks for when searching, either
    try:
        yield log
    finally:
        root.setLevel(level)
        root.removeHandler(log)


@contextmanager
def _short_closing() -> Iterator[None]:
    """Attackers never close: what they are given for it is spent in every case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrival_module, "CLOSE_TIMEOUT_S", _LINGER_S)
        patch.setattr(connection_module, "CLOSE_TIMEOUT_S", _LINGER_S)
        patch.setattr(server_module, "CLOSE_TIMEOUT_S", _LINGER_S)
        yield

"""The clients of a siege: good ones, which must miss nothing, and bad ones of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import schemas
from raw import PING, TEXT, RawClient, frame, raw, text
from servers import auth_message, connect
from websockets.exceptions import WebSocketException

#: All of loopback is ours: each kind of client comes from addresses of its own.
_ADDRESSES = {"good": 1, "bad login": 2, "deaf": 3, "rude": 4, "dying": 5, "slow": 6}


def addresses(kind: str) -> Iterator[str]:
    """The addresses that clients of a kind come from, round and round."""
    return itertools.cycle(f"127.{_ADDRESSES[kind]}.0.{number}" for number in range(1, 251))


def recorded(directory: Path) -> dict[str, Counter[str]]:
    """What is on record of each kind of client, in the audit files of a folder."""
    kinds = {f"127.{number}": kind for kind, number in _ADDRESSES.items()} | {"many": "many addresses"}
    found: dict[str, Counter[str]] = {}
    for path in (directory / "audit.jsonl", *directory.glob("audit.jsonl.[0-9]*")):
        with path.open("rb") as lines:
            for record in map(json.loads, lines):
                kind = kinds.get(".".join(record["peer"].split(".")[:2]), "watcher")
                what = f"{record['event']}: {record['reason']}"
                found.setdefault(kind, Counter())[what] += record.get("count", 1)
    return found


@dataclass
class Figures:
    """What was counted."""

    latencies_ms: list[float] = field(default_factory=list)
    updates: int = 0
    gaps: int = 0
    reconnects: int = 0
    refused: int = 0
    attempts: int = 0
    errors: list[str] = field(default_factory=list)


async def good(address: str, password: str, figures: Figures, *, source: str, measure: bool = False) -> None:
    """Watch for ever; come back as the protocol says; note each change that was missed."""
    while True:
        try:
            async with connect(address, local_addr=(source, 0), open_timeout=20) as connection:
                await connection.send(auth_message(password))
                result = json.loads(await connection.recv())
                if not result["success"]:
                    figures.errors.append(f"a good client was refused: {result['message']}")
                    return
                last: tuple[str, int] | None = None
                taken_ms = 0
                async for message in connection:
                    arrived_ms = time.time() * 1000
                    update = json.loads(message)
                    if wrong := schemas.fault(update):
                        figures.errors.append(wrong)
                    if update["type"] != "statistics":
                        continue
                    epoch, seq = update["epoch"], update["seq"]
                    if last is not None and (epoch, seq) != (last[0], last[1] + 1):
                        figures.gaps += 1
                        figures.errors.append(f"a good client saw {seq} after {last}")
                    # A change of status alone comes with the old snapshot's time.
                    is_new = update["data"]["timestamp"] > taken_ms
                    taken_ms = update["data"]["timestamp"]
                    if last is not None and measure and is_new:
                        figures.latencies_ms.append(arrived_ms - taken_ms)
                    last = epoch, seq
                    figures.updates += 1
        except (OSError, WebSocketException):
            figures.reconnects += 1
            await asyncio.sleep(random.uniform(0.1, 0.5))


async def bad_login(address: str, source: str, figures: Figures) -> None:
    """One wrong password."""
    figures.attempts += 1
    try:
        async with connect(address, local_addr=(source, 0), open_timeout=20) as connection:
            await connection.send(auth_message("wrong"))
            result = json.loads(await connection.recv())
            if wrong := schemas.fault(result):
                figures.errors.append(wrong)
            if result["success"]:
                figures.errors.append("a wrong password was let in")
    except (OSError, WebSocketException):
        figures.refused += 1


@asynccontextmanager
async def raw_from(address: str, kind: str, *, receive_buffer: int | None = None) -> AsyncIterator[RawClient]:
    """A raw client from the next address of its kind."""
    async with raw(address, source=next(_sources[kind]), receive_buffer=receive_buffer) as client:
        yield client


_sources = {kind: addresses(kind) for kind in _ADDRESSES}


async def deaf(address: str, password: str, stop: asyncio.Event) -> None:
    """Log in, and never read again."""
    while not stop.is_set():
        with contextlib.suppress(OSError, EOFError, TimeoutError, AssertionError):
            async with raw_from(address, "deaf") as client:
                await client.log_in(auth_message(password))
                client.pause_reading()
                await client.wait_lost(stop)


async def slow(address: str, password: str, stop: asyncio.Event) -> None:
    """Log in, and read less than comes, until the server has enough of it."""
    while not stop.is_set():
        with contextlib.suppress(OSError, EOFError, TimeoutError, AssertionError):
            async with raw_from(address, "slow", receive_buffer=4_096) as client:
                await client.log_in(auth_message(password))
                while not stop.is_set() and await client.reader.read(100):
                    await asyncio.sleep(0.1)


RUDE = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\0" * 4096,
]
RUDE_FRAMES = [
    frame(TEXT, b"\xff\xfe"),
    frame(0x3),
    frame(PING, b"x" * 126),
    frame(TEXT, b"x", masked=False),
    frame(TEXT, b"", length=2**63 - 1),
    frame(TEXT, fin=False) + frame(0, fin=False) * 200,
    frame(PING) * 500,
    text("[" * 8_000),
    text({"type": "get_config"}) * 30,
]


async def rude(address: str, password: str, stop: asyncio.Event) -> None:
    """Every way of not speaking the protocol, before the login and after it."""
    for number in itertools.count():
        if stop.is_set():
            return
        with contextlib.suppress(OSError, EOFError, TimeoutError, AssertionError):
            async with raw_from(address, "rude") as client:
                if number % 3 == 0:
                    await client.send(random.choice(RUDE))
                elif number % 3 == 1 and await client.upgrade() == 101:
                    await client.send(random.choice(RUDE_FRAMES))
                else:
                    await client.log_in(auth_message(password))
                    await client.send(random.choice(RUDE_FRAMES))
                await client.ended()
        await asyncio.sleep(0.1)


async def dying(address: str, password: str, stop: asyncio.Event) -> None:
    """Log in and be gone with a reset, at any moment."""
    while not stop.is_set():
        with contextlib.suppress(OSError, EOFError, TimeoutError, AssertionError):
            async with raw_from(address, "dying") as client:
                if await client.upgrade() == 101:
                    await client.send(text(auth_message(password)))
                    for _ in range(random.randrange(4)):
                        await client.frame()
                client.reset()
        await asyncio.sleep(0.2)

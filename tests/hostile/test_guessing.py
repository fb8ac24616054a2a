"""Passwords guessed by the thousand, while the owner logs in.

Locks one by one are in ``tests/ws/server/test_defences.py``.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from raw import text
from servers import auth_message
from siege import ATTACKER, Siege, besieged

from passivbot_ws_plugin.audit import Audit, AuditFile, flood
from passivbot_ws_plugin.audit.tail import Table
from passivbot_ws_plugin.audit.verify import verify


async def attempt(siege: Siege, source: str) -> int:
    """A login with a wrong token; the HTTP status or the close code."""
    client = await siege.attacker(source)
    status = await client.upgrade()
    if status == 101:
        await client.send(text(auth_message("wrong")))
        [answer], status_ = await client.closing()
        assert answer.json()["success"] is False
        assert status_ is not None
        status = status_
    await siege.dismiss(client)
    return status


async def storm(siege: Siege, sources: list[str], at_once: int) -> Counter[int]:
    """As many attempts as there are sources, while the owner logs in again and again."""
    turns = asyncio.Semaphore(at_once)

    async def one(source: str) -> int:
        async with turns:
            return await attempt(siege, source)

    attempts = asyncio.gather(*(one(source) for source in sources))
    while not attempts.done():
        owner = await siege.client("127.0.0.1")
        siege.expected.append(("auth.success", "accepted"))
        await siege.dismiss(owner)
        await siege.show()
    return Counter(await attempts)


async def test_a_thousand_failures_from_one_address_while_the_owner_logs_in() -> None:
    limits = {"auth_failures": 5, "unauthenticated": 200, "unauthenticated_per_address": 100, "auth_s": 10.0}
    async with besieged(limits={**limits, "connections_per_address": 200}) as siege:
        outcomes = await storm(siege, [ATTACKER] * 1_000, at_once=50)
        assert outcomes.keys() <= {429, 4401, 4429}
        assert 5 <= outcomes[4401] <= 55
        failed, throttled = outcomes[4401], outcomes[429] + outcomes[4429]
        siege.expected += [("auth.failure", "wrong token")] * failed
        siege.expected += [("auth.throttled", "address is locked")] * throttled
        assert len(siege.audit_log.lines) < 200
        assert len(siege.server._admission.throttle) == 1


async def test_a_thousand_failures_from_as_many_addresses_while_the_owner_logs_in() -> None:
    sources = [f"127.0.{high}.{low}" for high in range(1, 5) for low in range(1, 251)]
    async with besieged(limits={"auth_failures": 5, "auth_s": 10.0}) as siege:
        assert await storm(siege, sources, at_once=50) == Counter({4401: 1_000})
        siege.expected += [("auth.failure", "wrong token")] * 1_000
        assert len(siege.server._admission.throttle) == 1_000


async def test_of_more_addresses_than_there_are_lines_every_attempt_is_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(flood, "LINES_BURST", 5)
    monkeypatch.setattr(flood, "LINES_PER_S", 1e-9)
    path = tmp_path / "audit.jsonl"
    audit = Audit(AuditFile(path, max_bytes=1_000_000, keep=1))
    async with besieged(*[("auth.failure", "wrong token")] * 40, audit=audit, stays=True) as siege:
        for number in range(40):
            assert await attempt(siege, f"127.0.7.{number % 20 + 1}") == 4401
        await siege.client("127.0.0.1")
        siege.expected.append(("auth.success", "accepted"))
    lines = path.read_bytes().splitlines(keepends=True)
    counts: Counter[tuple[str, bool]] = Counter()
    for line in map(json.loads, lines):
        counts[line["event"], line["peer"] == "many"] += line.get("count", 1)
    assert counts["auth.success", False] == 2
    assert counts["auth.failure", False] + counts["auth.failure", True] == 40
    assert counts["auth.failure", True] >= 30
    assert len(lines) <= 2 + 5 + 5 + 2
    assert verify(path).fault is None
    many = [row.split() for row in Table().rows(lines) if " many " in row]
    assert sum(int(row[-2]) for row in many) == counts["auth.failure", True]

"""A whole sidecar as a process: bots' files on one side, a well-behaved client on the other.

::

    with running(tmp_path, "main", "other") as sidecar:
        async with beside(sidecar) as good:
            ...  # what is wrong with the files, or with the disk
            await good.show("other")

At the end of `beside`, whatever the case did: each bot's next state still reaches the client; no task,
thread or descriptor is left behind, and memory is what it was; nothing was logged that is a traceback
or a secret. At that of `running`: it ends as asked, and its audit records hold.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clients import address_of
from monitor_files import state, write_state
from processes import ROOT, Process
from servers import KEY, PASSWORD, logged_in, receive, write_config
from websockets.asyncio.client import ClientConnection

from passivbot_ws_plugin.access.auth import make_token
from passivbot_ws_plugin.audit.verify import verify

#: ``passivbot-hooks run``, which says upon SIGUSR1 how much of it is alive.
COUNTED: Final = ROOT / "tests" / "soak" / "server.py"

#: What a sidecar may keep of what it read, KiB: the allocator's, not ours.
_MEMORY_KIB: Final = 32 * 1024

#: Two good states never look the same.
_balances: Final = itertools.count(1)

_SECRETS: Final = (PASSWORD, make_token(PASSWORD, KEY))


@dataclass(frozen=True)
class Census:
    """How much of a sidecar is alive."""

    tasks: int
    threads: int
    descriptors: int
    resident_kib: int

    @property
    def alive(self) -> tuple[int, int, int]:
        """What must be the same afterwards."""
        return self.tasks, self.threads, self.descriptors


def take_census(process: Process) -> Census:
    """Have it say how much of it is alive."""
    process.send(signal.SIGUSR1)
    [found] = process.wait_for("^census (.*)")
    return Census(**json.loads(found[1]))


@dataclass(frozen=True)
class RunningSidecar:
    """What a case works with.

    Attributes:
        process: The sidecar.
        address: Of its server.
        root: Where the bots write: ``root/fake/<user>``.
        users: The bots that wrote their states before it started.
        audit: The path of the audit file.
        idle: How much of it is alive without a client.
    """

    process: Process
    address: str
    root: Path
    users: tuple[str, ...]
    audit: Path
    idle: Census

    def folder(self, user: str) -> Path:
        """Where a bot writes."""
        return self.root / "fake" / user

    async def says(self, *patterns: str) -> list[str]:
        """Wait until each was said, from where the last wait stopped; the lines."""
        found = await asyncio.to_thread(self.process.wait_for, *patterns)
        return [match.string for match in found]

    async def census(self) -> Census:
        """How much of it is alive."""
        return await asyncio.to_thread(take_census, self.process)

    def records(self) -> list[tuple[str, str]]:
        """The audit file's events and reasons."""
        lines = map(json.loads, self.audit.read_bytes().splitlines())
        return [(line["event"], line["reason"]) for line in lines]


@dataclass
class GoodClient:
    """A client that logged in and reads all that it is sent."""

    connection: ClientConnection
    sidecar: RunningSidecar
    latest: dict[str, dict[str, Any]]

    async def next(self, user: str) -> dict[str, Any]:
        """The next message's data, which is of this bot and its next."""
        message = await receive(self.connection)
        assert (message["type"], message["bot"]) == ("statistics", user), message
        before = self.latest.get(user)
        assert before is None or message["seq"] == before["seq"] + 1
        self.latest[user] = message
        data: dict[str, Any] = message["data"]
        return data

    async def show(self, user: str, **sections: Any) -> dict[str, Any]:
        """Have a bot write a good state; the client gets it, and nothing before it."""
        document = good_state(**sections)
        write_state(self.sidecar.folder(user), document)
        data = await self.next(user)
        assert (data["balance"], data["status"]) == (document["account"]["balance_raw"], "running")
        return data


def good_state(**sections: Any) -> dict[str, Any]:
    """A state of now with a balance that no other has."""
    document = state(**sections)
    document["account"]["balance_raw"] = float(next(_balances))
    document["meta"]["pid"] = os.getpid()
    return document


@contextmanager
def running(
    folder: Path,
    *users: str,
    absent: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    before: Sequence[str] = (),
    program: Sequence[str | Path] = (COUNTED,),
) -> Iterator[RunningSidecar]:
    """A sidecar with a config for each bot, that looks at the files fifty times a second.

    Args:
        folder: Where all of it lies.
        users: The bots that run already.
        absent: Those that do not.
        options: `plugins.websocket`.
        before: What its command begins with; see `modes_count`.
        program: What the interpreter is to run.
    """
    root, audit = folder / "monitor", folder / "audit" / "audit.jsonl"
    given = dict(options or {})
    given["audit"] = {"path": str(audit), **given.get("audit", {})}
    configs = [write_config(folder / f"{user}.hjson", {"websocket": given}, user=user) for user in users]
    configs += [write_config(folder / f"{user}.hjson", {"websocket": given}, user=user) for user in absent]
    for user in users:
        write_state(root / "fake" / user, good_state())
    command = (*before, sys.executable, *program, *configs, "--monitor-root", root, "--poll", "0.02")
    with Process(*command, cwd=folder) as process:
        address = address_of(process)
        yield RunningSidecar(process, address, root, users, audit, take_census(process))
        assert process.end() == 0
    assert not any(secret in process.output for secret in _SECRETS)
    assert verify(audit).fault is None


@asynccontextmanager
async def beside(sidecar: RunningSidecar, *, tracebacks: int = 0) -> AsyncIterator[GoodClient]:
    """A client, and what must be true at the end.

    Args:
        sidecar: It.
        tracebacks: How many errors of our own the case makes it log.
    """
    before = await settled(sidecar)
    said = len(sidecar.process.output)
    async with logged_in(sidecar.address, max_size=None) as connection:
        good = GoodClient(connection, sidecar, await snapshots(connection, sidecar.users))
        yield good
        for user in sidecar.users:
            await good.show(user)
    after = await settled(sidecar)
    assert after.resident_kib - before.resident_kib < _MEMORY_KIB
    assert sidecar.process.output[said:].count("Traceback") == tracebacks


async def snapshots(connection: ClientConnection, users: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What a client is sent first: the latest state of each bot, of these in any case."""
    found: dict[str, dict[str, Any]] = {}
    await connection.send('{"type":"ping"}')
    is_answered = False
    while not is_answered or not found.keys() >= set(users):
        message = await receive(connection)
        is_answered = is_answered or message["type"] == "pong"
        if message["type"] == "statistics":  # the login may overtake the first of them
            found[message["bot"]] = message
    return found


async def settled(sidecar: RunningSidecar) -> Census:
    """Wait until no more of it is alive than there was before the first client came."""
    census = await sidecar.census()
    try:
        async with asyncio.timeout(10):
            while census.alive != sidecar.idle.alive:
                census = await sidecar.census()
    except TimeoutError:
        raise AssertionError(f"{census} is left; idle it was {sidecar.idle}") from None
    return census


def modes_count() -> tuple[str, ...] | None:
    """What a command begins with so that file modes hold for it; None: root here, without `setpriv`.

    The same user, whose files these are, without the right to pass over their modes.
    """
    if os.geteuid() != 0:
        return ()
    rights = "-dac_override,-dac_read_search"
    found = shutil.which("setpriv")
    return None if found is None else (found, "--bounding-set", rights, "--inh-caps", rights)

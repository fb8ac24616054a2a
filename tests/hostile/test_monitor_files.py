"""Damaged and hostile files in a bot's place, read by a whole sidecar.

Each case leaves the sidecar that all of them share as it was. Beside it, another bot's states reach the
client, and so does this bot's next good one. What a single file may hold, in all ways, is in
``tests/hooks``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from monitor_files import append_event, append_events, now_ms, replace, side, write_state
from servers import logged_in
from sidecars import COUNTED, RunningSidecar, beside, good_state, modes_count, running, snapshots

from passivbot_hooks.sources.monitor.liveness import STALE_AFTER_S

MEBIBYTE: Final = 2**20

#: What is on record of the clients that look on.
ACCEPTED: Final = ("auth.success", "accepted")

NO_MODES: Final = "root without setpriv may read every file"

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """Of two bots that run, and one that never did."""
    folder = tmp_path_factory.mktemp("sidecar")
    with running(folder, "main", "other", absent=["late"], before=modes_count() or ()) as sidecar:
        yield sidecar
        assert set(sidecar.records()) == {ACCEPTED}


def put(document: dict[str, Any]) -> Damage:
    return lambda path: replace(path, json.dumps(document).encode())


def raw(content: bytes) -> Damage:
    return lambda path: replace(path, content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def make_directory(path: Path) -> None:
    path.unlink()  # in the moment between the two it is missing
    path.mkdir()


def link_to(target: str) -> Damage:
    def link(path: Path) -> None:
        path.with_name("away").symlink_to(target)
        path.with_name("away").replace(path)

    return link


def make_fifo(path: Path) -> None:
    os.mkfifo(path.with_name("away"))
    path.with_name("away").replace(path)


def make_unreadable(path: Path) -> object:
    """A new file that only another user may read; a loop of links where modes mean nothing."""
    if modes_count() is None:
        return link_to(path.name)(path)
    away = path.with_name("away")
    replace(away, json.dumps(good_state()).encode())
    away.chmod(0)  # before it is there: a change of its mode alone is none of what is in it
    return away.replace(path)


def make_huge(path: Path) -> None:
    """50 MB that are JSON, every byte of them written."""
    document = good_state(orders=["x" * 1_000] * 50_000)
    replace(path, json.dumps(document).encode())
    assert path.stat().st_size > 50_000_000


UNREADABLE: Final = "Too many levels of symbolic links" if modes_count() is None else "Permission denied"

#: What is done to a good file, and what the log says of it after the file's path.
DAMAGED: dict[str, tuple[Damage, str]] = {
    "missing": (Path.unlink, "is gone"),
    "empty": (raw(b""), "not valid JSON"),
    "truncated": (cut, "not valid JSON: .* line 1 column"),
    "a directory": (make_directory, "(is gone|not a regular file)"),
    "unreadable": (make_unreadable, f"cannot be read: {UNREADABLE}"),
    "a link to nothing": (link_to("nowhere"), "is gone"),
    "a loop of links": (link_to("state.latest.json"), "cannot be read: Too many levels"),
    "a device": (link_to("/dev/zero"), "not a regular file"),
    "a FIFO": (make_fifo, "not a regular file"),
    "not UTF-8": (raw(b'{"schema_version":"\xff"}'), "not valid JSON: .* byte 0xff in position 19"),
    "UTF-16": (raw('{"schema_version":1}'.encode("utf-16")), "meta: missing"),
    "a list": (raw(b"[]"), "not a JSON object"),
    "nested deeply": (raw(b"[" * MEBIBYTE), "nested too deeply"),
    "a wrong schema_version": (
        put(good_state(schema_version=2)),
        "schema_version is 2; this reads version 1",
    ),
    "schema_version a string": (put(good_state(schema_version="1")), "schema_version is '1'; this reads"),
    "50 MB": (make_huge, r"5\d{7} bytes; more than 33554432 are not read"),
    "too many symbols": (
        put(good_state(positions={str(number): {} for number in range(10_001)})),
        "positions: more than 10000 symbols",
    ),
    "numbers as strings": (
        put(good_state(positions={"A": {"long": {"size": "1", "price": "2"}}})),
        r"positions\['A'\]\.long\.size: must be a number, not '1'",
    ),
    "the balance a string": (
        put({**good_state(), "account": {"balance_raw": "10000"}}),
        r"account\.balance_raw: must be a number, not '10000'",
    ),
    "sides that are null": (put(good_state(positions={"A": {"long": None}})), r"\['A'\]\['long'\]: missing"),
    "no positions": (put(good_state(positions=None)), "positions: missing"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGED.values(), ids=DAMAGED)
async def test_a_damaged_file_leaves_the_last_good_state_in_force(
    damage: Damage, words: str, sidecar: RunningSidecar
) -> None:
    path = sidecar.folder("main") / "state.latest.json"
    async with beside(sidecar) as good:
        held = await good.show("main")
        said = len(sidecar.process.output)
        await asyncio.to_thread(damage, path)
        await sidecar.says(rf"ERROR .*: bot 'main': {re.escape(str(path))}:? .*{words}.*stays in force")
        for _ in range(3):
            await good.show("other")
        async with logged_in(sidecar.address) as newcomer:
            assert (await snapshots(newcomer, sidecar.users))["main"]["data"] == held
        repair(path)
        await good.show("main")
        await sidecar.says(f"bot 'main': {re.escape(str(path))} is good again")
        assert sidecar.process.output[said:].count("ERROR") == 1


def repair(path: Path) -> None:
    """Make room for a file where something else is."""
    if path.is_dir():
        path.rmdir()


@pytest.mark.skipif(modes_count() is None, reason=NO_MODES)
async def test_what_is_readable_again_needs_no_other_change_to_be_read(sidecar: RunningSidecar) -> None:
    path = sidecar.folder("main") / "state.latest.json"
    async with beside(sidecar) as good:
        make_unreadable(path)
        await sidecar.says("cannot be read: Permission denied")
        await good.show("other")
        path.chmod(0o600)
        assert (await good.next("main"))["balance"] == json.loads(path.read_bytes())["account"]["balance_raw"]


async def test_a_file_that_is_written_in_two_halves(sidecar: RunningSidecar) -> None:
    path = sidecar.folder("main") / "state.latest.json"
    document = good_state()
    content = json.dumps(document).encode()
    async with beside(sidecar) as good:
        with path.open("wb", buffering=0) as file:
            file.write(content[:1000])
            await sidecar.says(f"{re.escape(str(path))}: not valid JSON")
            await good.show("other")
            file.write(content[1000:])
        assert (await good.next("main"))["balance"] == document["account"]["balance_raw"]


@pytest.mark.skipif(modes_count() is None, reason=NO_MODES)
async def test_a_folder_that_nobody_may_look_into(sidecar: RunningSidecar) -> None:
    folder = sidecar.folder("main")
    async with beside(sidecar) as good:
        folder.chmod(0)
        try:
            await sidecar.says(
                f"{re.escape(str(folder))}/state.latest.json: cannot be read: Permission denied"
            )
            await good.show("other")
        finally:
            folder.chmod(0o700)
        await good.show("main")


# --- odd, and right ---------------------------------------------------------------------


async def test_symbols_by_the_thousand(sidecar: RunningSidecar) -> None:
    symbols = [f"COIN{number}/USDT:USDT" for number in range(5_000)]
    async with beside(sidecar) as good:
        positions = {
            symbol: {"long": side(1.0, 2.0, upnl=0.5), "short": side(-1.0, 2.0)} for symbol in symbols
        }
        data = await good.show("main", positions=positions)
        assert len(data["positions"]) == 10_000
        await good.show("other")


async def test_sides_missing_and_sizes_negative(sidecar: RunningSidecar) -> None:
    positions = {"A": {}, "B": {"short": side(-0.8, 4_010.0)}, "C": {"long": side(-2.0, 5.0)}, "D": {"x": 1}}
    async with beside(sidecar) as good:
        data = await good.show("main", positions=positions)
        held = [(position["symbol"], position["side"], position["size"]) for position in data["positions"]]
        assert held == [("B", "short", 0.8), ("C", "long", 2.0)]


async def test_a_nan_in_the_file_is_null_on_the_wire(sidecar: RunningSidecar) -> None:
    async with beside(sidecar) as good:
        data = await good.show("main", positions={"A": {"long": side(float("nan"), float("inf"))}})
        assert data["positions"][0]["size"] is None
        assert data["upnl"] is None


# --- events -----------------------------------------------------------------------------


def add(line: bytes) -> Damage:
    return lambda path: append_events(path.parents[1], line + b"\n")


#: A bot's name, what is done to its events, and what the log says of them after the file's path.
DAMAGED_EVENTS: dict[str, tuple[Damage, str]] = {
    "directory": (lambda path: path.mkdir(parents=True), "not a regular file; no events until it is"),
    "half": (add(b'{"kind":"bot.ready",'), "a line was skipped: not valid JSON"),
    "latin": (add(b'{"kind":"bot.ready","ts":1,"payload":"\xe9"}'), "a line was skipped: not valid JSON"),
    "list": (add(b'["kind":"bot.ready"]'), "a line was skipped: not valid JSON"),
    "text": (
        add(b'{"kind":"bot.ready","ts":"1","payload":{}}'),
        "a line was skipped: bot.ready: without a time",
    ),
    "long": (
        add(b'{"kind":"bot.ready","x":"' + b"x" * MEBIBYTE + b'"}'),
        "a line was skipped: longer than 262144 bytes",
    ),
}


async def test_damaged_events_hold_up_nothing(tmp_path: Path) -> None:
    with running(tmp_path, *DAMAGED_EVENTS) as sidecar:
        async with beside(sidecar) as good:
            for name, (damage, words) in DAMAGED_EVENTS.items():
                path = sidecar.folder(name) / "events" / "current.ndjson"
                damage(path)
                await sidecar.says(f"bot '{name}': {re.escape(str(path))}: {words}")
                for user in DAMAGED_EVENTS:
                    await good.show(user)
            for name in DAMAGED_EVENTS:
                shutil.rmtree(sidecar.folder(name) / "events")
        assert set(sidecar.records()) == {ACCEPTED}


# --- a bot's life -----------------------------------------------------------------------


async def test_a_bot_that_appears_stops_restarts_and_is_deleted(sidecar: RunningSidecar) -> None:
    folder = sidecar.folder("late")
    async with beside(sidecar) as good:

        async def told(status: str) -> None:
            """This bot's next state says so, and the others' states come as before."""
            assert (await good.next("late"))["status"] == status
            await good.show("main")
            await good.show("other")

        for _ in range(2):
            append_event(folder, "bot.start", now_ms())
            write_state(folder, good_state())
            await told("running")
            append_event(folder, "bot.stop", now_ms())
            await told("stopped")
            append_event(folder, "bot.start", now_ms())
            write_state(folder, good_state())
            await told("running")
            shutil.rmtree(folder)
            await told("stopped")
            await sidecar.says(f"bot 'late': {re.escape(str(folder))} is gone; waiting for it")


async def test_a_source_that_stalls_is_told_to_be_stale(sidecar: RunningSidecar) -> None:
    stalled = good_state(timestamp=now_ms() - int(STALE_AFTER_S * 1000) + 1_000)
    async with beside(sidecar) as good:
        write_state(sidecar.folder("main"), stalled)
        assert (await good.next("main"))["status"] == "running"
        await good.show("other")
        assert (await good.next("main"))["status"] == "stale"
        await good.show("other")


#: A sidecar that cannot look at a bot's files, for a reason that nobody thought of.
RAISES: Final = """
import runpy, sys
from passivbot_hooks.sources.monitor import MonitorFollower

poll = MonitorFollower.poll

def raising(follower):
    if follower.bot == "main" and (follower.directory.root / "raise").exists():
        raise ZeroDivisionError
    return poll(follower)

MonitorFollower.poll = raising
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


async def test_a_source_that_raises_is_told_of_once_and_stops_no_other(tmp_path: Path) -> None:
    with running(tmp_path, "main", "other", program=("-c", RAISES, COUNTED)) as sidecar:
        async with beside(sidecar, tracebacks=1) as good:
            (sidecar.root / "raise").touch()
            await sidecar.says("bot 'main': looking at its files failed; said once")
            for _ in range(3):
                await good.show("other")
            (sidecar.root / "raise").unlink()
        assert set(sidecar.records()) == {ACCEPTED}

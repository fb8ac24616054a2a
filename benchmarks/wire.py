"""The wire: bytes for a change, as they come out of a real connection."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from passivbot_hooks import Statistics
from passivbot_hooks.paper import PaperBot
from passivbot_hooks.sources.monitor import parse_state
from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.server.server import Server

from . import readers
from .processes import Child, apart
from .readers import Crowd
from .report import Check, Question, Report, Table, figure, progress
from .samples import BOT, all_prices, make_settings, make_statistics, one_figure, one_position


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure: changes of each kind, and steps of the paper bot."""

    changes: int
    steps: int


_CROWDS: Final = {
    "full": Crowd(),
    "full, compression offered": Crowd(deflate=True),
    "delta": Crowd(mode="delta"),
    "delta, compression offered": Crowd(mode="delta", deflate=True),
}

#: What a crowd counted: messages, bytes, and how many were compressed.
Counted = dict[str, Any]

Step = Callable[[Statistics, int], Statistics]


def _changes(step: Step, count: int) -> Iterator[Statistics]:
    state = make_statistics()
    for number in range(1, count + 1):
        state = step(state, number)
        yield state


def _paper_run(folder: Path, steps: int) -> Iterator[Statistics]:
    """What a sidecar reads of a paper bot of 20 symbols."""
    bot = PaperBot(folder, symbols=20, seed=1)
    for _ in range(steps):
        bot.step()
        raw = (bot.publisher.path / "state.latest.json").read_bytes()
        yield replace(parse_state(raw).statistics, status="running")


def _kinds(folder: Path, size: Size) -> dict[str, Iterator[Statistics]]:
    return {
        "one figure": _changes(one_figure, size.changes),
        "one position": _changes(one_position, size.changes),
        "all prices": _changes(all_prices, size.changes),
        "a paper bot's run": _paper_run(folder, size.steps),
    }


async def _measure(size: Size) -> dict[str, dict[str, Counted]]:
    counted = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        cache = Cache()
        server = Server(make_settings(Path(folder)), cache, Audit())
        cache.put_statistics(BOT, statistics_data(make_statistics()))
        host, _, port = (await server.start()).removeprefix("ws://").rpartition(":")
        with Child(readers.main) as crowd:
            for name, each in _CROWDS.items():
                await crowd.ask_async("open", name, (host, int(port)), 1, each)

            def publish(state: Statistics) -> bool:
                is_change = cache.put_statistics(BOT, statistics_data(state))
                if is_change:
                    server.publish("statistics", BOT)
                return is_change

            for kind, states in _kinds(Path(folder), size).items():
                # From where the kind before ended to here is no change of this kind: not counted.
                await _follow(crowd, publish, [next(states)])
                counted[kind] = await _follow(crowd, publish, states)
                progress(f"wire: {kind}")
        await server.stop(3.0)
    return counted


async def _follow(
    crowd: Child, publish: Callable[[Statistics], bool], states: Iterable[Statistics]
) -> dict[str, Counted]:
    """Publish states one by one, each when all have the one before; what each crowd got."""
    for name in _CROWDS:
        await crowd.ask_async("take", name)
    seen = 0
    for state in states:
        if not publish(state):
            continue
        seen += 1
        for name in _CROWDS:
            crowd.post("expect", name, seen)
        for _ in _CROWDS:
            await crowd.answer()
    return {name: await crowd.ask_async("take", name) for name in _CROWDS}


def _run(size: Size) -> dict[str, dict[str, Counted]]:
    return asyncio.run(_measure(size))


def measure(size: Size) -> Report:
    """The figures, and what is wanted of them."""
    counted: dict[str, dict[str, Counted]] = apart(_run, size)
    rows = []
    each: dict[str, dict[str, float]] = {}
    for kind, crowds in counted.items():
        each[kind] = {name: taken["bytes"] / taken["messages"] for name, taken in crowds.items()}
        # A star where some of them came compressed.
        cells = [
            f"{mean:,.0f} B{'*' * bool(crowds[name]['compressed'])}" for name, mean in each[kind].items()
        ]
        rows.append((kind, *cells, figure(each[kind]["delta"] / each[kind]["full"])))
    columns = ("what changes", *_CROWDS, "delta over full")
    checks = [
        Check(f"wire: {kind} in delta mode over full", each[kind]["delta"] / each[kind]["full"], 0.1)
        for kind in ("one figure", "one position")
    ]
    notes = ["*: compressed, as was negotiated."] if any("*" in cell for row in rows for cell in row) else []
    return Report(
        [Table("Bytes of a change, frames and all, 20 positions", columns, rows)], checks, notes=notes
    )


QUESTION: Final = Question(
    "The wire",
    {"full": Size(50, 300), "quick": Size(10, 40), "tiny": Size(3, 3)},
    measure,
)

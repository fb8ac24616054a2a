"""The source: what a poll of a bot's files costs, beside `json.loads` of the same bytes.

The bot is the paper bot, which writes what a Passivbot writes. Pieces are measured by the functions that
the sidecar itself calls.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from passivbot_hooks import PluginHost, Statistics, hookimpl, load_config
from passivbot_hooks.paper import PaperBot
from passivbot_hooks.sidecar import Sidecar, watched_bots
from passivbot_hooks.sources.monitor import parse_state
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data

from .processes import apart
from .report import Check, Question, Report, Table, figure, progress, ratio
from .samples import BOT, make_config


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure: symbols of the bot, its states, polls in vain, and kilobytes of events."""

    symbols: int
    states: int
    idle_polls: int
    events_kb: int


#: Candles of a symbol in the state, so that it is as large as a Passivbot's: some 7 kB a symbol.
_CANDLES: Final = 42

#: What is counted in a poll, by the profiler's names. That each is seen at all, a changed state shows.
_COUNTED: Final[Mapping[str, tuple[str, ...]]] = {
    "stat": ("<built-in method posix.stat>", "<built-in method posix.fstat>"),
    "open": ("<built-in method posix.open>", "<built-in method _io.open>"),
    "read": (
        "<built-in method posix.pread>",
        "<method 'read' of '_io.BufferedReader' objects>",
        "<method 'read' of '_io.FileIO' objects>",
    ),
    "parse": ("loads", "<method 'decode' of 'msgspec.json.Decoder' objects>"),
    "compare": ("__eq__",),
}

#: Two of the pieces of a changed state.
UNIT: Final = "parse: `json.loads`, the unit"
WHOLE: Final = "all of it: a poll, the events of that state too"

#: What a bot may write between two polls, bytes: over a megabyte in half a minute is some 7 kB.
_CHUNK: Final = 8_192


class _Sink:
    """A plugin that takes everything and does nothing."""

    @hookimpl
    def on_stats_updated(self, bot: str, stats: Statistics) -> None:
        """Take it."""


class _Watch:
    """A sidecar over one bot's files, polled by hand."""

    def __init__(self, folder: Path, host: PluginHost, symbols: int) -> None:
        self.bot = PaperBot(folder / "monitor", user=BOT, symbols=symbols, seed=1)
        self.bot.start()
        path = folder / "live.json"
        path.write_text(json.dumps(make_config(folder)), encoding="utf-8")
        config = load_config(path)
        self.sidecar = Sidecar(host, watched_bots([config], root=folder / "monitor"))
        self.sidecar.poll()

    def step(self) -> None:
        """Have the bot write its next state, as large as a real one."""
        self.bot.step()
        snapshot = self.bot.snapshot()
        self.bot.publisher.write_snapshot({**snapshot, "recent": {"candles": self._candles()}})

    def _candles(self) -> dict[str, list[dict[str, float | None]]]:
        names = ("open", "high", "low", "close")
        return {
            symbol.name: [
                {"ts": float(number), "volume": None, **dict.fromkeys(names, symbol.last_price)}
                for number in range(_CANDLES)
            ]
            for symbol in self.bot.market.symbols.values()
        }

    @property
    def state(self) -> Path:
        """The bot's state file."""
        return self.bot.publisher.path / "state.latest.json"

    @property
    def events(self) -> Path:
        """The bot's events."""
        return self.bot.publisher.path / "events" / "current.ndjson"


def _cpu_us(function: Callable[..., object], *arguments: object, times: int = 1) -> float:
    begin = time.thread_time()
    for _ in range(times):
        function(*arguments)
    return (time.thread_time() - begin) * 1e6 / times


def _run(size: Size) -> Report:
    with tempfile.TemporaryDirectory(prefix="bench-") as name, PluginHost() as host:
        host.register(_Sink(), "sink")
        watch = _Watch(Path(name), host, size.symbols)
        watch.step()
        watch.sidecar.poll()
        state = watch.state.read_bytes()
        loads_us = _cpu_us(json.loads, state, times=5)
        idle_us = _cpu_us(watch.sidecar.poll, times=size.idle_polls)
        calls = _counted(watch.sidecar.poll)
        watch.step()
        changed_calls = _counted(watch.sidecar.poll)
        assert all(changed_calls.values()), f"the counts are blind: {changed_calls}"
        progress("source: polls in vain")
        pieces, state_bytes = _changed(watch, host, size.states)
        progress("source: changed states")
        events_us, events_loads_us, events_bytes = _events(watch, size.events_kb)
        progress("source: events")
    unit = pieces[UNIT]
    changed = [
        (piece, figure(median(spent) / 1000, "ms"), figure(ratio(spent, unit)))
        for piece, spent in pieces.items()
    ]
    mb = 1e6 / events_bytes
    tables = [
        Table(
            "A poll when nothing changed, and what one of a changed state calls",
            ("what", "CPU", "times json.loads of the state", *calls),
            [
                (
                    "a poll in vain",
                    figure(idle_us, "µs"),
                    figure(idle_us / loads_us),
                    *map(str, calls.values()),
                ),
                ("a poll of a changed state", "", "", *map(str, changed_calls.values())),
            ],
        ),
        Table(
            f"A changed state, {size.symbols} symbols, {state_bytes / 1e6:.2f} MB",
            ("piece", "CPU", "times json.loads"),
            changed,
        ),
        Table(
            "Events",
            ("what", "CPU a MB", "times json.loads of each line"),
            [
                (
                    f"polls, {_CHUNK // 1024} kB each",
                    figure(events_us * mb / 1000, "ms"),
                    figure(events_us / events_loads_us),
                )
            ],
        ),
    ]
    checks = [
        Check("source: a poll in vain over `json.loads` of the state", idle_us / loads_us, 0.02),
        Check(
            "source: reads, parses and comparisons of a poll in vain",
            calls["open"] + calls["read"] + calls["parse"] + calls["compare"],
            0,
            unit="",
        ),
        Check("source: a changed state over `json.loads` of it", ratio(pieces[WHOLE], unit), 1.6),
    ]
    return Report(tables, checks)


def _counted(poll: Callable[[], None]) -> dict[str, int]:
    """How often a poll asks the system, parses and compares."""
    profile = cProfile.Profile()
    profile.runcall(poll)
    stats: Mapping[tuple[str, int, str], tuple[Any, ...]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    counted = dict.fromkeys(_COUNTED, 0)
    for (_, _, function), (_, count, *_) in stats.items():
        for name, functions in _COUNTED.items():
            counted[name] += count if function in functions else 0
    return counted


def _changed(watch: _Watch, host: PluginHost, states: int) -> tuple[dict[str, list[float]], int]:
    """CPU microseconds of each piece, for the same states."""
    pieces: dict[str, list[float]] = {}
    cache, size = Cache(), 0

    def tell(statistics: Statistics) -> None:
        host.on_stats_updated(bot=BOT, stats=statistics)

    for _ in range(states):
        watch.step()
        raw, size = watch.state.read_bytes(), watch.state.stat().st_size
        statistics = parse_state(raw).statistics
        spent = {
            "read: `read_bytes`": _cpu_us(watch.state.read_bytes),
            UNIT: _cpu_us(json.loads, raw),
            "parse and convert: `parse_state`": _cpu_us(parse_state, raw),
            WHOLE: _cpu_us(watch.sidecar.poll),
            "deliver: `PluginHost.on_stats_updated`": _cpu_us(tell, statistics),
            "then, on the plugin's thread: `statistics_data`": _cpu_us(statistics_data, statistics),
            "then, on the worker's loop: `Cache.put_statistics`": _cpu_us(
                cache.put_statistics, BOT, statistics_data(statistics)
            ),
        }
        for piece, spent_us in spent.items():
            pieces.setdefault(piece, []).append(spent_us)
    return pieces, size


def _events(watch: _Watch, kilobytes: int) -> tuple[float, float, int]:
    """CPU microseconds of the polls, and of `json.loads` of each line; how many bytes of events."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        other = PaperBot(Path(folder), user=BOT, symbols=40, seed=2)
        written = other.publisher.path / "events" / "current.ndjson"
        other.start()
        while written.stat().st_size < kilobytes * 1000:
            other.step()
        lines = written.read_bytes()
        shutil.rmtree(other.publisher.path)
    chunks = [lines[at : at + _CHUNK] for at in range(0, len(lines), _CHUNK)]
    polls_us = 0.0
    for chunk in chunks:
        with watch.events.open("ab") as file:
            file.write(chunk)
        polls_us += _cpu_us(watch.sidecar.poll)
    loads_us = _cpu_us(lambda: [json.loads(line) for line in lines.splitlines()])
    return polls_us, loads_us, len(lines)


def measure(size: Size) -> Report:
    """The figures, and what is wanted of them."""
    report: Report = apart(_run, size)
    return report


QUESTION: Final = Question(
    "The source",
    {"full": Size(200, 40, 5_000, 2_000), "quick": Size(200, 6, 1_000, 300), "tiny": Size(5, 2, 5, 20)},
    measure,
)

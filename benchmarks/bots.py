"""A bot that hosts the plugin, in a process of its own: its hook is called as a source would call it."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Literal

from passivbot_hooks import PluginHost, Statistics
from passivbot_hooks.discovery import discover
from passivbot_ws_plugin.plugin import WebSocketPlugin, plugin

from .machine import raise_descriptor_limit
from .processes import serve
from .samples import BOT, make_config, make_statistics, states

#: What the server may take until it listens, seconds.
_LISTENING_S = 10.0

#: Positions of a state that fills a stuck client's buffers soon.
_MANY = 400

Through = Literal["host", "plugin"]


@dataclass(frozen=True, slots=True)
class Paced:
    """What calls at a steady pace took.

    Attributes:
        calls_ns: Each call of the hook, in the thread that called it.
        waits: Calls in which that thread gave up its processor by itself, as who waits for anything does.
        cpu_s: The whole process's CPU from the first call to a period after the last.
    """

    calls_ns: list[int]
    waits: int
    cpu_s: float


class Bot:
    """The host, the plugin, and states without end."""

    def __init__(self, host: PluginHost, plugin: WebSocketPlugin) -> None:
        self._host = host
        self._plugin = plugin
        self._states: Iterator[Statistics] = states(make_statistics())

    def pace(self, calls: int, period_s: float, start_at_s: float, through: Through) -> Paced:
        """Call the hook at a steady pace; each state is stamped with the time of its call.

        Args:
            calls: How often.
            period_s: Between two calls.
            start_at_s: When to begin, by CLOCK_MONOTONIC.
            through: Whom to call: the host, as a source does, or the plugin, as the host does.
        """
        taken_ns = []
        cpu_s = None
        waits = 0
        for number in range(calls):
            _sleep_until(start_at_s + number * period_s)
            cpu_s = time.process_time() if cpu_s is None else cpu_s
            state = next(self._states)
            waited_before = _waits()
            begin = time.monotonic_ns()
            self._call(through, replace(state, timestamp=begin))
            taken_ns.append(time.monotonic_ns() - begin)
            waits += _waits() > waited_before
        _sleep_until(start_at_s + calls * period_s)
        return Paced(taken_ns, waits, time.process_time() - (cpu_s or 0.0))

    def _call(self, through: Through, state: Statistics) -> None:
        if through == "host":
            self._host.on_stats_updated(bot=BOT, stats=state)
        else:
            self._plugin.on_stats_updated(BOT, state)

    def fill(self, changes: int) -> None:
        """Send large states, until who does not read has all buffers full."""
        for state, _ in zip(states(make_statistics(_MANY)), range(changes), strict=False):
            self._host.on_stats_updated(bot=BOT, stats=state)
            time.sleep(0.005)  # so that each is delivered: of those that wait, the latest alone would be


def _waits() -> int:
    """How often this thread waited so far; not how often the machine took its processor away."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def _sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.monotonic()))  # the pace of a bot: a clock, no event


def main(pipe: Pipe) -> None:
    """The process; its first answer is the address of the server."""
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, PluginHost() as host:
        config = make_config(Path(folder))
        # As it is installed, and nothing else that may be.
        host.load({BOT: config}, candidates=[found for found in discover() if found.name == "websocket"])
        host.on_config_loaded(bot=BOT, config=config)
        host.on_stats_updated(bot=BOT, stats=make_statistics())
        address = plugin.wait_listening(_LISTENING_S)
        assert address is not None, "the server does not listen"
        name, _, port = address.removeprefix("ws://").rpartition(":")
        pipe.send(("done", (name, int(port))))
        bot = Bot(host, plugin)
        commands: dict[str, Callable[..., object]] = {"pace": bot.pace, "fill": bot.fill}
        serve(pipe, commands)

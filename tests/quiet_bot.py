"""A bot as a process: it writes monitor files, changes little at a time, and never says null.

So whatever a client missed of it, a delta is shorter than the state and can say it: a state that is
sent whole a second time is one that need not have been. Until a signal ends it::

    python quiet_bot.py ROOT USER SEED
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import threading
from pathlib import Path
from typing import Any, Final

from monitor_files import side, state

from passivbot_hooks.command_line import stop_on_signals
from passivbot_hooks.paper import MonitorPublisher
from passivbot_hooks.paper.publisher import now_ms

#: Positions that it holds, and how many of them ever change.
HELD: Final = 24
LIVELY: Final = 3

#: Seconds between two steps, from and to.
PAUSE_S: Final = (0.01, 0.06)


class QuietBot:
    """Its files under a monitor root."""

    def __init__(self, root: Path, user: str, source: random.Random) -> None:
        self._source = source
        self._started_ms = now_ms()
        self._publisher = MonitorPublisher(root, "fake", user, {})
        self._document = state()
        self._document["meta"] |= {"user": user, "pid": os.getpid(), "bot_start_ts_ms": self._started_ms}
        self._document["health"] |= {"errors_last_hour": 0, "ws_reconnects": 0, "rate_limits": 0}
        held = {"upnl": 0.5, "last_price": 100.5, "wallet_exposure": 0.1}
        self._document["positions"] = {
            f"COIN{number}/USDT:USDT": {"long": side(1.0, 100.0, **held), "short": side()}
            for number in range(HELD)
        }
        self._orders = 0
        self._ingested: dict[str, Any] | None = None  # to be written of the last fill

    def run(self, stop: threading.Event) -> None:
        """Live until ``stop`` is set."""
        started = {"start_time_ms": self._started_ms, "quote": "USDT"}
        for kind in ("bot.start", "bot.started"):
            self._say(kind, started)
        self._write()
        self._say("bot.ready", {})
        while not stop.wait(self._source.uniform(*PAUSE_S)):
            self._step()
            self._write()
        for kind in ("bot.stop", "bot.stopping"):
            self._say(kind, {"reason": "asked"})
        self._step()
        self._write()
        self._say("bot.stopped", {"reason": "asked"})

    def _step(self) -> None:
        if self._ingested is not None:
            self._say("fill.ingested", self._ingested)
            self._ingested = None
        change = self._source.choice((self._move, self._move, self._place, self._fill))
        change()

    def _move(self) -> None:
        """Of one position what moves with the price."""
        held = self._document["positions"][f"COIN{self._source.randrange(LIVELY)}/USDT:USDT"]["long"]
        held["last_price"] = round(self._source.uniform(50, 150), 3)
        held["upnl"] = held["last_price"] - 100.0

    def _place(self) -> None:
        self._say("order.opened", {"id": self._next_id(), "side": "buy", "qty": 1.0, "price": 99.0})
        self._document["health"]["orders_placed"] += 1

    def _fill(self) -> None:
        """Of the same fill the second event comes with the next step only."""
        fill_id = self._next_id()
        fill = {"timestamp": now_ms(), "side": "buy", "qty": 1.0, "price": 99.0}
        self._say("order.filled", {**fill, "id": fill_id})
        self._ingested = {**fill, "fill_id_hash": hashlib.sha256(fill_id.encode()).hexdigest()}
        self._document["health"]["fills"] += 1
        self._document["account"]["balance_raw"] += self._source.uniform(-1, 1)

    def _next_id(self) -> str:
        self._orders += 1
        return f"{self._started_ms}-{self._orders}"

    def _say(self, kind: str, payload: dict[str, Any]) -> None:
        self._publisher.record_event(kind, payload, tags=(), symbol="COIN0/USDT:USDT", pside="long")

    def _write(self) -> None:
        self._document["meta"]["snapshot_ts_ms"] = now_ms()
        self._publisher.write_snapshot(self._document)


if __name__ == "__main__":
    with stop_on_signals() as stopped:
        print("runs", flush=True)  # noqa: T201  to whoever started it, and may end it now
        QuietBot(Path(sys.argv[1]), sys.argv[2], random.Random(sys.argv[3])).run(stopped)

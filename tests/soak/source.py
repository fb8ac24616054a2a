"""The bot of a siege: writes a new state again and again, and is restarted now and then."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

from monitor_files import append_event, now_ms, side, state, write_state

#: From one state to the next, seconds. Each differs from the one before. Were the pace as steady as the
#: sidecar's looks, all states of a while would wait equally long for the next look: chance would decide
#: whether a part of the siege seemed slow.
PAUSE_S = (0.1, 0.3)


class Source:
    """Writes the monitor files of one bot."""

    def __init__(self, root: Path, symbols: int = 20) -> None:
        self._directory = root / "fake" / "main"
        self._symbols = [f"COIN{number}/USDT:USDT" for number in range(symbols)]
        self.written = 0
        self.restarts = 0

    def write(self) -> None:
        """Write one state; its timestamp is now, which is what latencies are counted from."""
        self.written += 1
        price = 100 + self.written % 50
        positions = {
            symbol: {"long": side(1.0, 100.0, upnl=float(price - 100), last_price=price), "short": side()}
            for symbol in self._symbols
        }
        document = state(timestamp=now_ms(), positions=positions)
        document["account"]["balance_raw"] = 10_000.0 + self.written
        write_state(self._directory, document)

    async def run(self, stop: asyncio.Event, restart_every_s: float) -> None:
        """Write; stop and start again now and then."""
        append_event(self._directory, "bot.start", now_ms())
        loop = asyncio.get_running_loop()
        restart_at = loop.time() + restart_every_s
        while not stop.is_set():
            self.write()
            if loop.time() > restart_at:
                self.restarts += 1
                restart_at = loop.time() + restart_every_s
                append_event(self._directory, "bot.stop", now_ms())
                await _pause(stop, 1.0)
                append_event(self._directory, "bot.start", now_ms())
            await _pause(stop, random.uniform(*PAUSE_S))


async def edit_config(path: Path, stop: asyncio.Event, every_s: float) -> int:
    """Edit what changes nothing for who is in, then to nonsense and back; how often."""
    edits = 0
    original = path.read_text(encoding="utf-8")
    while not stop.is_set():
        await _pause(stop, every_s)
        edits += 1
        if edits % 2:
            path.write_text("{ this is no config", encoding="utf-8")
        else:
            document = json.loads(original)
            document["bot"]["edit"] = edits
            path.write_text(json.dumps(document), encoding="utf-8")
    return edits


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return

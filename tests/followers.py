"""What a client of the protocol keeps, without a socket; and a state that deltas are worth it for."""

from __future__ import annotations

import json
from typing import Any

from passivbot_hooks import Position
from passivbot_ws_plugin.merge_patch import apply

#: So many that one change is a small part of the whole; nothing in it is null.
HELD = tuple(
    Position(f"COIN{number}/USDT:USDT", "long", 1.0, 100.0, upnl=0.5, last_price=100.5, wallet_exposure=0.1)
    for number in range(10)
)


class Follower:
    """A client that keeps what it is told, and refuses what does not fit what it has.

    Attributes:
        states: The keyed state of each bot.
        seqs: Its number.
        received: How many messages there were.
        told: The numbers of the events of each bot that were told, or told to be lost.
    """

    def __init__(self, *bots: str) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self.seqs: dict[str, int] = {}
        self.received = 0
        self.told: dict[str, list[int]] = {bot: [] for bot in bots}

    def receive(self, message: bytes) -> None:
        document = json.loads(message)
        self.received += 1
        bot = document["bot"]
        match document["type"]:
            case "statistics":
                positions = {f"{p['symbol']}|{p['side']}": p for p in document["data"]["positions"]}
                self.states[bot] = {**document["data"], "positions": positions}
                assert document["seq"] > self.seqs.get(bot, 0)
                self.seqs[bot] = document["seq"]
            case "statistics_delta":
                assert document["base"] == self.seqs[bot]
                self.states[bot] = apply(document["patch"], self.states[bot])
                self.seqs[bot] = document["seq"]
            case "event":
                self.told[bot].append(document["seq"])
            case "gap":
                self.told[bot].extend(range(document["first"], document["last"] + 1))

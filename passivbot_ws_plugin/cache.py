"""What is known of each bot: its config and its latest statistics, encoded once.

Lives on the worker's loop; not thread-safe.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from .messages import StatisticsData, StatisticsMessage, encode, encode_config
from .redaction import mask_secrets


@dataclass(slots=True)
class _Bot:
    config: Mapping[str, Any] | None = None
    encoded: dict[bool, Raw] = field(default_factory=dict)
    data: StatisticsData | None = None
    seq: int = 0
    payload: bytes = b""


class Cache:
    """The latest of each bot.

    Attributes:
        epoch: Random; tells this run of the server from every other.
    """

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(8)
        self._bots: dict[str, _Bot] = {}

    def put_config(self, bot: str, config: Mapping[str, Any]) -> None:
        """Keep a bot's config, made of values that JSON can say."""
        entry = self._bots.setdefault(bot, _Bot())
        entry.config, entry.encoded = config, {}

    def put_statistics(self, bot: str, data: StatisticsData) -> bytes | None:
        """Keep a bot's statistics; the message to broadcast if they changed, else None."""
        entry = self._bots.setdefault(bot, _Bot())
        if not data.differs_from(entry.data):
            return None
        entry.data = data
        entry.seq += 1
        entry.payload = encode(StatisticsMessage(data, bot, self.epoch, entry.seq))
        return entry.payload

    def snapshot(self, bot: str) -> bytes | None:
        """A bot's latest message, as it was broadcast; None if there was none."""
        entry = self._bots.get(bot)
        return entry.payload if entry is not None and entry.payload else None

    def snapshots(self) -> Iterator[bytes]:
        """The latest message of each bot whose statistics are known."""
        return (entry.payload for entry in self._bots.values() if entry.payload)

    @property
    def is_empty(self) -> bool:
        """Whether no bot's statistics are known."""
        return not any(entry.payload for entry in self._bots.values())

    @property
    def bots(self) -> tuple[str, ...]:
        """The known bots, the first one first."""
        return tuple(self._bots)

    def first_bot(self) -> str | None:
        """The bot that was known first."""
        return next(iter(self._bots), None)

    def config(self, bot: str, *, include_secrets: bool) -> Raw | None:
        """A bot's config as JSON, encoded once for each policy; None if there is none."""
        entry = self._bots.get(bot)
        if entry is None or entry.config is None:
            return None
        if include_secrets not in entry.encoded:
            config = entry.config if include_secrets else mask_secrets(entry.config)
            entry.encoded[include_secrets] = encode_config(config)
        return entry.encoded[include_secrets]

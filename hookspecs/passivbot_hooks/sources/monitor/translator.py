"""Which of a bot's events are news, and what they are called: pure, no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from passivbot_hooks.errors import UnusableFileError
from passivbot_hooks.models import Event, EventKind, Side

from .kinds import TRANSLATIONS
from .values import moment, number, whole, words

#: How many fills are remembered, so that none is told twice.
FILLS_REMEMBERED: Final = 4_096

#: The order of a run's events; each is told once a run.
_STAGES: Final[Mapping[EventKind, int]] = {
    "bot.started": 1,
    "bot.ready": 2,
    "bot.stopping": 3,
    "bot.stopped": 4,
}
_SIDES: Final[Mapping[object, Side]] = {"long": "long", "short": "short"}


class Translator:
    """Turns one bot's events, in their order, into ours; remembers what was told.

    - One fill is one event, though Passivbot v8 writes two.
    - What Passivbot reads anew at its start is no news: a fill of before the start, or a
      position that it finds there.
    - Start, readiness and end of a run are told once each, though most are written twice.
    """

    def __init__(self) -> None:
        self._fills: dict[str, None] = {}  # as an ordered set
        self._stage = 0  # of the run; 0: unknown, we came later
        self._started_at: int | None = None
        self._news_from: int | None = None  # what happened before is none

    def translate(self, raw: Mapping[str, Any], *, started_at: int | None = None) -> Event | None:
        """One of Passivbot's events as ours, or None if it is no news.

        Args:
            raw: The parsed line.
            started_at: When the bot started, milliseconds, as its state file says. It counts until a start
                is read: where the bot restarted, that file may be of a later run than the line.

        Raises:
            UnusableFileError: The line has not the shape of an event.
        """
        if self._news_from is None:
            self._news_from = started_at
        kind = raw.get("kind")
        translation = TRANSLATIONS.get(kind) if isinstance(kind, str) else None
        if translation is None:
            return None
        timestamp, payload = moment(raw.get("ts")), raw.get("payload")
        if timestamp is None or not isinstance(payload, dict):
            raise UnusableFileError(f"{kind}: without a time or a payload")
        if translation.kind == "fill":
            timestamp = moment(payload.get("timestamp")) or timestamp
        if translation.kind in _STAGES:
            if not self._is_next_stage(translation.kind, payload, timestamp):
                return None
        elif timestamp < (self._news_from or 0):
            return None
        event = Event(
            timestamp=timestamp,
            kind=translation.kind,
            symbol=words(raw.get("symbol")),
            side=_SIDES.get(words(raw.get("pside"))),
            details=translation.details(payload),
        )
        if event.kind == "fill":
            return event if self._is_new_fill(payload) else None
        return self._moved(event) if event.kind == "position.changed" else event

    def _is_next_stage(self, kind: EventKind, payload: Mapping[str, Any], timestamp: int) -> bool:
        if kind == "bot.started":
            started_at = whole(payload.get("start_time_ms"))
            if self._stage == 1 if started_at is None else started_at == self._started_at:
                return False
            self._stage, self._started_at = 1, timestamp if started_at is None else started_at
            self._news_from = self._started_at
            return True
        if _STAGES[kind] <= self._stage:
            return False
        self._stage = _STAGES[kind]
        return True

    def _is_new_fill(self, payload: Mapping[str, Any]) -> bool:
        """Whether a fill was not told; `fill.ingested` has the hash of the id that `order.filled` has."""
        fill_id, digest = payload.get("id"), payload.get("fill_id_hash")
        if isinstance(fill_id, str) and fill_id:
            digest = hashlib.sha256(fill_id.encode("utf-8", "replace")).hexdigest()
        if not isinstance(digest, str):
            return True
        if digest in self._fills:
            return False
        self._fills[digest] = None
        if len(self._fills) > FILLS_REMEMBERED:
            del self._fills[next(iter(self._fills))]
        return True

    def _moved(self, event: Event) -> Event | None:
        """Opened, changed or closed, by its sizes; None if its size is the same or unknown."""
        size, previous = number(event.details.get("size")), number(event.details.get("previous_size"))
        if size is None or previous is None or size == previous:
            return None
        if previous == 0:
            return replace(event, kind="position.opened") if self._stage != 1 else None
        return replace(event, kind="position.closed") if size == 0 else event

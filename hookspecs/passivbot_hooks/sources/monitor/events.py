"""Follows one bot's ``events/current.ndjson``."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from passivbot_hooks.errors import UnusableFileError
from passivbot_hooks.models import Event
from passivbot_hooks.sources.tailed_file import LINE_MAX_BYTES, TailedFile

from .kinds import TRANSLATIONS
from .translator import Translator

#: Most lines are of other kinds: they are passed over as bytes, for a small part of what parsing costs.
_INTERESTING: Final = re.compile(
    rb'"kind": ?"(?:%s)"' % b"|".join(re.escape(kind.encode()) for kind in TRANSLATIONS)
)


class EventFollower:
    """Turns a growing file of Passivbot's events into ours, for as long as it is asked.

    Lines that cannot be used are complained of and skipped. Close it when done.

    Args:
        path: The file; it may come, be rotated and go.
        from_end: Whether what is in it at the first call is history.
        complain: What is told of unusable lines; it decides how often that is logged.
    """

    def __init__(self, path: Path, *, from_end: bool, complain: Callable[[str], None]) -> None:
        self._file = TailedFile(path, from_end=from_end)
        self._translator = Translator()
        self._complain = complain
        self._overlong = 0

    def poll(self, *, started_at: int | None) -> list[Event]:
        """The events since the last call, in order.

        Args:
            started_at: When the bot started, milliseconds, as its state file says.
        """
        path = self._file.path
        try:
            lines = self._file.poll()
        except UnusableFileError as exc:
            self._complain(f"{path}: {exc.reason}; no events until it is")
            return []
        except OSError as exc:
            self._complain(f"{path}: cannot be read: {exc.strerror}")
            return []
        self._recall(started_at)
        events: list[Event] = []
        for line in interesting_lines(lines):
            try:
                event = self._translator.translate(_parse(line), started_at=started_at)
            except UnusableFileError as exc:
                self._complain(f"{path}: a line was skipped: {exc.reason}")
                continue
            if event is not None:
                events.append(event)
        if self._file.overlong != self._overlong:
            self._overlong = self._file.overlong
            self._complain(f"{path}: a line was skipped: longer than {LINE_MAX_BYTES} bytes")
        return events

    def _recall(self, started_at: int | None) -> None:
        """Take note of what was there before: Passivbot writes some things twice, and the rest may come."""
        lines, self._file.passed_over = self._file.passed_over, b""
        for line in interesting_lines(lines):
            with contextlib.suppress(UnusableFileError):  # the first of them may be half a line
                self._translator.translate(_parse(line), started_at=started_at)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def interesting_lines(lines: bytes) -> Iterator[bytes]:
    """Of whole lines those that may hold an event of a kind that we tell."""
    end = 0
    while match := _INTERESTING.search(lines, end):
        start = lines.rfind(b"\n", end, match.start()) + 1 or end
        end = lines.index(b"\n", match.end()) + 1
        yield lines[start : end - 1]


def _parse(line: bytes) -> dict[str, object]:
    if len(line) > LINE_MAX_BYTES:
        raise UnusableFileError(f"longer than {LINE_MAX_BYTES} bytes")
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as exc:  # half a line, not UTF-8, numbers of thousands of digits
        raise UnusableFileError("not valid JSON") from exc
    if not isinstance(event, dict):
        raise UnusableFileError("not a JSON object")
    return event

"""The host: loads the plugins that the configs switch on, and calls their hooks.

A typed facade: one annotated method for each hook, and nobody else calls a plugin.
pluggy's own call would stop at the first exception and run on the caller's thread; here
each plugin is called on its own, on a thread of its own (see `dispatch`).
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Literal, Self

from .discovery import Candidate, describe, discover, hook_implementations, load
from .dispatch import PluginThread
from .errors import PluginError
from .models import Statistics
from .toggles import Toggles, parse_toggles

#: What all plugins together may take to shut down.
SHUTDOWN_S: Final = 4.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What became of one discovered plugin.

    Attributes:
        name: Its entry-point name.
        distribution: Where it comes from; ``""`` for one registered by hand.
        version: That distribution's version.
        state: ``on``, ``off`` (by a toggle) or ``failed``.
        reason: Why.
    """

    name: str
    distribution: str
    version: str
    state: Literal["on", "off", "failed"]
    reason: str


class PluginHost:
    """Loads plugins and hands them what a source reports.

    The three hook methods may be called from any thread, a trading loop's too: they store
    a reference, wake the plugins' threads and return. They never raise what a plugin raises.

    Use it as a context manager, or call `on_shutdown` in a ``finally``.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[str, PluginRecord] = {}
        self._threads: dict[str, PluginThread] = {}
        self._off_for: dict[str, frozenset[str]] = {}
        self._shut_down = False

    @property
    def records(self) -> Sequence[PluginRecord]:
        """What became of each plugin, by name."""
        return sorted(self._records.values(), key=lambda record: record.name)

    def load(
        self,
        configs: Mapping[str, Mapping[str, Any]],
        *,
        candidates: Sequence[Candidate] | None = None,
    ) -> None:
        """Load every discovered plugin that a config switches on.

        With several bots, a plugin is loaded if any bot's config has it on, and hears only
        of the bots whose config does. A broken plugin or toggle is logged; nothing is raised.

        Args:
            configs: Each bot's config, by the bot's name.
            candidates: What is installed, if not to be discovered here.
        """
        found = discover() if candidates is None else candidates
        toggles = {bot: parse_toggles(config) for bot, config in configs.items()}
        names = {candidate.name for candidate in found}
        for bot, parsed in toggles.items():
            for error in parsed.errors:
                _log.error("bot %r: %s", bot, error)
            for sentence in parsed.unknown(names):
                _log.warning("bot %r: %s", bot, sentence)
        for candidate in found:
            self._load_one(candidate, toggles)

    def _load_one(self, candidate: Candidate, toggles: Mapping[str, Toggles]) -> None:
        chosen = {bot: parsed.get(candidate.name) for bot, parsed in toggles.items()}
        reasons = "; ".join(dict.fromkeys(toggle.reason for toggle in chosen.values()))
        # A later rival of a name gets a record of its own and never hides the first.
        key = candidate.name if candidate.rival is None else f"{candidate.name} ({candidate.distribution})"
        record = PluginRecord(
            candidate.name, candidate.distribution, candidate.version, "on", reasons or "on by default"
        )
        self._records[key] = record
        if chosen and not any(toggle.enabled for toggle in chosen.values()):
            self._records[key] = replace(record, state="off")
            return
        try:
            self._start(candidate.name, load(candidate))
        except PluginError as exc:
            _log.error("%s", exc, exc_info=exc.__cause__ if _log.isEnabledFor(logging.DEBUG) else None)
            self._records[key] = replace(record, state="failed", reason=exc.reason)
            return
        self._off_for[candidate.name] = frozenset(bot for bot, toggle in chosen.items() if not toggle.enabled)

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin by hand, without entry points or toggles.

        Raises:
            PluginError: The name is taken, or the object cannot work as a plugin.
        """
        if name in self._threads:
            raise PluginError(name, "a plugin of that name is already registered")
        self._start(name, plugin)
        self._records[name] = PluginRecord(name, "", "", "on", "registered by hand")

    def _start(self, name: str, plugin: object) -> None:
        implementations = hook_implementations(name, plugin)

        def on_failed(reason: str) -> None:
            self._records[name] = replace(self._records[name], state="failed", reason=reason)

        self._threads[name] = PluginThread(name, implementations, on_failed=on_failed, clock=self._clock)

    def on_config_loaded(self, *, bot: str, config: Mapping[str, Any]) -> None:
        """Tell the plugins a bot's config; they get copies, so the caller may go on to change it."""
        try:
            copied = copy.deepcopy(dict(config))
        except Exception as exc:  # noqa: BLE001  the caller may be a trading loop: nothing is raised into it
            _log.error("bot %r: its config cannot be copied: %s", bot, describe(exc))
            return
        for thread in self._threads_for(bot):
            thread.post_config(bot, copied)

    def on_stats_updated(self, *, bot: str, stats: Statistics) -> None:
        """Tell the plugins a bot's new snapshot."""
        for thread in self._threads_for(bot):
            thread.post_stats(bot, stats)

    def _threads_for(self, bot: str) -> list[PluginThread]:
        return [
            thread
            for name, thread in self._threads.items()
            if bot not in self._off_for.get(name, frozenset())
        ]

    def on_shutdown(self, *, timeout_s: float = SHUTDOWN_S) -> None:
        """Tell the plugins to stop, all at once, and wait for them, at most ``timeout_s`` in all.

        Only the first call does anything.
        """
        if self._shut_down:
            return
        self._shut_down = True
        deadline = self._clock() + timeout_s
        for thread in self._threads.values():
            thread.close()
        for thread in self._threads.values():
            if not thread.join(max(0.0, deadline - self._clock())):
                _log.error("plugin %r: did not shut down in %.0f s; left behind", thread.name, timeout_s)

    def wait_idle(self, timeout_s: float = 5.0) -> bool:
        """Wait until every plugin has been given all that was told; False if one takes too long."""
        deadline = self._clock() + timeout_s
        return all(thread.wait_idle(max(0.0, deadline - self._clock())) for thread in self._threads.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.on_shutdown()

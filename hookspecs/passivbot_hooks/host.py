"""The host: loads the plugins that the configs switch on, and calls their hooks.

A typed facade: one annotated method for each hook, and nobody else calls a plugin.
pluggy's own call would stop at the first exception and run on the caller's thread; here
each plugin is called on its own, on a thread of its own (see `dispatch`).
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Literal, Self

from .discovery import Candidate, describe, discover, hook_implementations, load
from .dispatch import PluginThread
from .errors import PluginError
from .models import Event, Statistics
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


@dataclass(slots=True)
class _Plugin:
    """A loaded plugin: its thread, and the bots that it hears of."""

    thread: PluginThread
    is_toggled: bool
    bots: set[str] = field(default_factory=set)


class PluginHost:
    """Loads plugins and hands them what a source reports.

    None of the hook methods raises what a plugin raises. `on_stats_updated` and `on_event` store a
    reference, wake the plugins' threads and return. `on_config_loaded` copies the config, and imports
    a plugin that it switches on; `on_shutdown` waits, within its bound. Call them from one thread.

    Use it as a context manager, or call `on_shutdown` in a ``finally``.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._candidates: list[Candidate] = []
        self._records: dict[str, PluginRecord] = {}
        self._plugins: dict[str, _Plugin] = {}
        # The latest of each bot: a plugin that is switched on later is told them.
        self._toggles: dict[str, Toggles] = {}
        self._configs: dict[str, Mapping[str, Any]] = {}
        self._stats: dict[str, Statistics] = {}
        self._seq: dict[str, int] = {}
        self._is_shut_down = False

    @property
    def records(self) -> Sequence[PluginRecord]:
        """What became of each plugin, by name."""
        # Asked of the threads, not told by them: this side alone writes the records.
        current = [self._with_failure(key, record) for key, record in self._records.items()]
        return sorted(current, key=lambda record: record.name)

    def _with_failure(self, key: str, record: PluginRecord) -> PluginRecord:
        plugin = self._plugins.get(key)
        failures = {} if plugin is None else dict(plugin.thread.switched_off)
        if not failures or record.state != "on":
            return record
        reason = "; ".join(f"{hook} failed too often: {why}" for hook, why in failures.items())
        return replace(record, state="failed", reason=reason)

    def load(
        self,
        configs: Mapping[str, Mapping[str, Any]],
        *,
        candidates: Sequence[Candidate] | None = None,
    ) -> None:
        """Load every discovered plugin that a config switches on.

        With several bots, a plugin is loaded if any bot's config has it on, and hears only
        of the bots whose config does. A broken plugin or toggle is logged; nothing is raised.
        No hook is called yet.

        Args:
            configs: Each bot's config, by the name that the hooks will call the bot.
            candidates: What is installed, if not to be discovered here.
        """
        self._candidates = list(discover() if candidates is None else candidates)
        for bot, config in configs.items():
            self._read_toggles(bot, config)
        self._load_wanted()

    def _read_toggles(self, bot: str, config: Mapping[str, Any]) -> None:
        toggles = parse_toggles(config)
        if toggles == self._toggles.get(bot):
            return
        self._toggles[bot] = toggles
        for error in toggles.errors:
            _log.error("bot %r: %s", bot, error)
        for sentence in toggles.unknown({candidate.name for candidate in self._candidates}):
            _log.warning("bot %r: %s", bot, sentence)

    def _load_wanted(self) -> None:
        """Load the plugins that the toggles want and that were not loaded, or tried, before."""
        for candidate in self._candidates:
            # A later rival of a name gets a record of its own and never hides the first.
            rival = f" ({candidate.distribution})" if candidate.rival is not None else ""
            key = candidate.name + rival
            chosen = [toggles.get(candidate.name) for toggles in self._toggles.values()]
            is_wanted = any(toggle.enabled for toggle in chosen) or not chosen
            reason = "; ".join(dict.fromkeys(toggle.reason for toggle in chosen)) or "on by default"
            known = self._records.get(key)
            if known is not None and known.state == "failed":
                continue
            record = PluginRecord(
                candidate.name,
                candidate.distribution,
                candidate.version,
                "on" if is_wanted else "off",
                reason,
            )
            self._records[key] = record
            if is_wanted and (rival or candidate.name not in self._plugins):
                try:
                    self._start(candidate.name, load(candidate), is_toggled=True)
                except PluginError as exc:
                    _log.error("%s", exc)
                    _log.debug("plugin %r: how it failed", exc.name, exc_info=exc.__cause__)
                    self._records[key] = replace(record, state="failed", reason=exc.reason)

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin by hand, without entry points or toggles.

        Raises:
            PluginError: The name is taken, or the object cannot work as a plugin.
        """
        if name in self._plugins:
            raise PluginError(name, "a plugin of that name is already registered")
        self._start(name, plugin, is_toggled=False)
        self._records[name] = PluginRecord(name, "", "", "on", "registered by hand")

    def _start(self, name: str, plugin: object, *, is_toggled: bool) -> None:
        implementations = hook_implementations(name, plugin)
        try:
            thread = PluginThread(name, implementations, clock=self._clock)
        except RuntimeError as exc:  # the system has no thread left to give
            raise PluginError(name, f"its thread cannot be started: {describe(exc)}") from exc
        self._plugins[name] = _Plugin(thread, is_toggled)

    def on_config_loaded(self, *, bot: str, config: Mapping[str, Any]) -> None:
        """Tell the plugins a bot's config; they get copies, so the caller may go on to change it.

        If its toggles changed, plugins are switched: one that is on now is loaded and told
        what is known; one that is off for this bot is shut down, and starts anew for the
        bots that it still has.
        """
        if self._is_shut_down:
            return
        try:
            copied = copy.deepcopy(dict(config))
        except Exception as exc:  # noqa: BLE001  the caller may be a trading loop: nothing is raised into it
            _log.error("bot %r: its config cannot be copied: %s", bot, describe(exc))
            return
        is_known = bot in self._configs
        self._configs[bot] = copied
        was_on = {name for name, plugin in self._plugins.items() if self._is_on(name, plugin)}
        self._read_toggles(bot, copied)
        self._load_wanted()
        for name, plugin in self._plugins.items():
            if not plugin.is_toggled or self._toggles[bot].get(name).enabled:
                plugin.thread.post_config(bot, copied)
                if bot not in plugin.bots:
                    if is_known:
                        _log.info("plugin %r: switched on for bot %r", name, bot)
                    self._post_latest(plugin, {bot} if name in was_on else {bot, *self._strays()})
                plugin.bots.add(bot)
            elif bot in plugin.bots:
                plugin.bots.discard(bot)
                _log.info("plugin %r: switched off for bot %r", name, bot)
                plugin.thread.restart()
                for other, other_config in self._configs.items():  # the first one first, as at a start
                    if other in plugin.bots:
                        plugin.thread.post_config(other, other_config)
                strays = self._strays() if self._is_on(name, plugin) else ()
                self._post_latest(plugin, {*plugin.bots, *strays})

    def _post_latest(self, plugin: _Plugin, bots: Iterable[str]) -> None:
        for bot in bots:
            if bot in self._stats:
                plugin.thread.post_stats(bot, self._stats[bot])

    def _strays(self) -> list[str]:
        """The bots without a config."""
        return [bot for bot in self._stats if bot not in self._configs]

    def _is_on(self, name: str, plugin: _Plugin) -> bool:
        """Whether a plugin hears of bots without a config: if any config has it on, or there is none."""
        toggles = self._toggles.values()
        return not plugin.is_toggled or not toggles or any(toggle.get(name).enabled for toggle in toggles)

    def on_stats_updated(self, *, bot: str, stats: Statistics) -> None:
        """Tell the plugins a bot's new snapshot."""
        self._stats[bot] = stats
        for plugin in self._hearing_of(bot):
            plugin.thread.post_stats(bot, stats)

    def on_event(self, *, bot: str, event: Event) -> None:
        """Tell the plugins what happened at a bot; ``event.seq`` is set here, whatever it was."""
        seq = self._seq[bot] = self._seq.get(bot, 0) + 1
        numbered = replace(event, seq=seq)
        for plugin in self._hearing_of(bot):
            plugin.thread.post_event(bot, numbered)

    def _hearing_of(self, bot: str) -> Iterator[_Plugin]:
        """The plugins that are on for a bot."""
        for name, plugin in self._plugins.items():
            if bot in plugin.bots or (bot not in self._configs and self._is_on(name, plugin)):
                yield plugin

    def on_shutdown(self, *, timeout_s: float = SHUTDOWN_S) -> None:
        """Tell the plugins to stop, all at once, and wait for them, at most ``timeout_s`` in all.

        Only the first call does anything.
        """
        if self._is_shut_down:
            return
        self._is_shut_down = True
        deadline = self._clock() + timeout_s
        threads = [plugin.thread for plugin in self._plugins.values()]
        for thread in threads:
            thread.close()
        for thread in threads:
            if not thread.join(max(0.0, deadline - self._clock())):
                _log.error("plugin %r: did not shut down in %.0f s; left behind", thread.name, timeout_s)

    def wait_idle(self, timeout_s: float = 5.0) -> bool:
        """Wait until every plugin has been given all that was told; False if one takes too long."""
        deadline = self._clock() + timeout_s
        return all(
            plugin.thread.wait_idle(max(0.0, deadline - self._clock())) for plugin in self._plugins.values()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.on_shutdown()

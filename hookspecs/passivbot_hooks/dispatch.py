"""One plugin, its thread, and the mailbox between the host and it.

The caller's side is a store under a lock: it does not wait for a plugin,
cannot raise, and holds at most one config and one snapshot for each bot and a bounded
queue of events, so a plugin that is slow, stuck or broken costs its own updates and
nobody else's.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pluggy import HookImpl

from .discovery import describe
from .models import Event, Statistics

#: Failures in a row after which an implementation is switched off.
FAILURES_MAX: Final = 5

#: What a hook may take before it is called slow.
BUDGET_S: Final = 0.1

#: What a hook may take before it is called stuck.
STUCK_AFTER_S: Final = 5.0

#: Events that may wait for one plugin; of more, the oldest are dropped.
EVENTS_MAX: Final = 1_024

_log = logging.getLogger(__name__)


class PluginThread:
    """Calls the hooks of one plugin, one at a time, on a thread of its own.

    Attributes:
        name: The plugin's name.
        switched_off: The hooks that failed too often, by name, with the last failure.
    """

    def __init__(
        self,
        name: str,
        implementations: Mapping[str, HookImpl],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.switched_off: dict[str, str] = {}
        self._implementations = implementations
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._slow_logged: set[str] = set()
        self._is_up = True
        # Guards all below. Held for operations on these containers only, never during a hook.
        self._changed = threading.Condition()
        self._configs: dict[str, Mapping[str, Any]] = {}
        self._events: deque[tuple[int, str, Event]] = deque(maxlen=EVENTS_MAX)
        self._posted = 0  # the number of the last event
        self._is_overflow_told = False
        self._stats: dict[str, Statistics] = {}
        self._closing = False
        self._is_restarting = False
        self._busy = False
        self._call_started: float | None = None
        self._stuck_reported = False
        # A daemon: a hook that never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=f"plugin-{name}", daemon=True)
        self._thread.start()

    def post_config(self, bot: str, config: Mapping[str, Any]) -> None:
        """Have `on_config_loaded` called soon; a config that still waits is replaced."""
        self._post("on_config_loaded", lambda: self._configs.__setitem__(bot, config))

    def post_event(self, bot: str, event: Event) -> None:
        """Have `on_event` called soon, after the events that wait; if too many do, the oldest goes."""

        def put() -> None:
            self._posted += 1
            self._events.append((self._posted, bot, event))

        self._post("on_event", put)

    def post_stats(self, bot: str, stats: Statistics) -> None:
        """Have `on_stats_updated` called soon; a snapshot that still waits is replaced."""
        self._post("on_stats_updated", lambda: self._stats.__setitem__(bot, stats))

    def _post(self, hook: str, put: Callable[[], None]) -> None:
        if hook not in self._implementations:
            return
        with self._changed:
            if self._closing:
                return
            is_full = hook == "on_event" and len(self._events) == EVENTS_MAX
            put()  # under the lock: the thread puts empty mailboxes in place of those that it takes
            self._changed.notify_all()
            stuck = self._is_stuck_unreported()
        if stuck:
            _log.error(
                "plugin %r: a hook has not returned for %.0f s; its updates wait, the others go on",
                self.name,
                STUCK_AFTER_S,
            )
        if is_full and not self._is_overflow_told:
            self._is_overflow_told = True
            _log.warning(
                "plugin %r: takes events more slowly than they come; %d wait, and each new one drops the "
                "oldest; said once",
                self.name,
                EVENTS_MAX,
            )

    def _is_stuck_unreported(self) -> bool:
        started = self._call_started
        if started is None or self._stuck_reported or self._clock() - started < STUCK_AFTER_S:
            return False
        self._stuck_reported = True
        return True

    def restart(self) -> None:
        """Have `on_shutdown` called soon, instead of what waits; what is posted later comes after it."""
        with self._changed:
            self._configs, self._stats = {}, {}
            self._events.clear()
            self._is_restarting = True
            self._changed.notify_all()

    def close(self) -> None:
        """Have what waits delivered, then `on_shutdown` called, then the thread end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; False if it did not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until all that was posted was delivered; False if that took too long."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout_s)

    def _is_idle(self) -> bool:
        return not (self._busy or self._has_work())

    def _has_work(self) -> bool:
        return bool(self._configs or self._events or self._stats or self._is_restarting or self._closing)

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(self._has_work)
                self._busy = True
                configs, self._configs = self._configs, {}
                events, last = bool(self._events), self._posted
                stats, self._stats = self._stats, {}
                is_restarting, self._is_restarting = self._is_restarting, False
                closing = self._closing
            if is_restarting:
                self._shut_down()
                self._forget()
            self._is_up = self._is_up or bool(configs or events or stats)
            # Configs first: a bot's config comes before all else of it.
            for bot, config in configs.items():
                self._call("on_config_loaded", {"bot": bot, "config": config})
            # The events that waited with these snapshots; those that come meanwhile are next.
            for bot, event in self._taken_events(last):
                self._call("on_event", {"bot": bot, "event": event})
            for bot, snapshot in stats.items():
                self._call("on_stats_updated", {"bot": bot, "stats": snapshot})
        self._shut_down()

    def _taken_events(self, last: int) -> Iterator[tuple[str, Event]]:
        """The events up to a number, one by one: those that still wait stay within the bound.

        Up to a number, and not so many: of those that are dropped meanwhile, others would take the
        places, and come before their own bot's config.
        """
        while True:
            with self._changed:
                if self._is_restarting or not self._events or self._events[0][0] > last:
                    return
                _, bot, event = self._events.popleft()
            yield bot, event

    def _shut_down(self) -> None:
        """Once for each life: a plugin that was switched off is not shut down again at the end."""
        if self._is_up:
            self._is_up = False
            self._call("on_shutdown", {})

    def _forget(self) -> None:
        """The next life begins with no failures, and all that is said once may be said again."""
        self.switched_off = {}  # a new one: the host may be reading the old
        self._failures, self._slow_logged = {}, set()
        self._is_overflow_told = False

    def _call(self, hook: str, arguments: dict[str, Any]) -> None:
        implementation = self._implementations.get(hook)
        if implementation is None or hook in self.switched_off:
            return
        started = self._clock()
        with self._changed:
            self._call_started, self._stuck_reported = started, False
        try:
            if "config" in arguments:  # on this thread: a large config costs nobody else
                arguments["config"] = copy.deepcopy(arguments["config"])
            implementation.function(*(arguments[name] for name in implementation.argnames))
        # The last frame of a thread that is this plugin's alone: nothing above could deal with it,
        # and a thread that ended here would take `on_shutdown` with it.
        except BaseException as exc:  # noqa: BLE001
            self._failed(hook, exc)
        else:
            self._failures[hook] = 0
        finally:
            with self._changed:
                self._call_started = None
        self._warn_if_slow(hook, self._clock() - started)

    def _failed(self, hook: str, exc: BaseException) -> None:
        count = self._failures[hook] = self._failures.get(hook, 0) + 1
        if count < FAILURES_MAX:
            _log.warning(
                "plugin %r: %s failed (%d of %d in a row): %s",
                self.name, hook, count, FAILURES_MAX, describe(exc),
                exc_info=exc if count == 1 else None,
            )  # fmt: skip
            return
        self.switched_off[hook] = describe(exc)
        _log.error(
            "plugin %r: %s is switched off until the next start: it failed %d times in a row, the last "
            "time with %s",
            self.name, hook, count, describe(exc),
        )  # fmt: skip

    def _warn_if_slow(self, hook: str, duration_s: float) -> None:
        # A shutdown has a bound of its own, and nothing waits for it.
        if duration_s <= BUDGET_S or hook in self._slow_logged or hook == "on_shutdown":
            return
        self._slow_logged.add(hook)  # once: a plugin that is always slow must not fill the log
        _log.warning(
            "plugin %r: %s took %.0f ms, more than its budget of %.0f ms; what comes meanwhile "
            "waits, of snapshots the latest alone; said once",
            self.name, hook, duration_s * 1000, BUDGET_S * 1000,
        )  # fmt: skip

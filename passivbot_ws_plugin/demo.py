"""The demo: paper bot, sidecar and plugin in one process, from real files to a real socket."""

from __future__ import annotations

import errno
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from passivbot_hooks import PluginHost, load_config
from passivbot_hooks.discovery import discover
from passivbot_hooks.paper import PaperBot
from passivbot_hooks.sidecar import Sidecar, watched_bots

from .log import get_logger
from .plugin import WebSocketPlugin
from .settings.parsing import DEFAULT_PORT

_log = get_logger(__name__)

_KEY_PART: Final = "demo"

#: What the server may take to listen, seconds.
_LISTEN_S: Final = 10.0

#: How soon it ends if it is told to meanwhile, seconds.
_LOOK_EVERY_S: Final = 0.1


class Demo:
    """A paper bot that is watched and served.

    Args:
        directory: Where its config and its monitor files go.
        port: The port to serve on; None: 8765, or any free one if that is taken.
        plugin: The installed plugin, which the sidecar finds by its entry point.

    Attributes:
        is_elsewhere: Whether it was to be served on 8765, and that is taken.
    """

    def __init__(self, directory: Path, port: int | None, plugin: WebSocketPlugin) -> None:
        self.password = secrets.token_hex(8)
        self.key_part = _KEY_PART
        self.config_path = directory / "live.hjson"
        self._plugin = plugin
        self._root = directory / "monitor"
        self.is_elsewhere = port is None and why_not(DEFAULT_PORT) is not None
        self._port = 0 if self.is_elsewhere else DEFAULT_PORT if port is None else port
        self.config_path.write_text(self._config(), encoding="utf-8")

    def _config(self) -> str:
        # Only this plugin: what else is installed is not part of the demo.
        toggles: dict[str, bool] = {candidate.name: False for candidate in discover()}
        document = {
            "live": {
                "user": "demo",
                "websocket_host": "127.0.0.1",
                "websocket_port": self._port,
                "websocket_password": self.password,
                "websocket_public_key_part": self.key_part,
            },
            "bot": {"long": {"n_positions": 20}, "short": {"n_positions": 20}},
            "monitor": {"root_dir": str(self._root)},
            "plugins": {**toggles, "websocket": {"audit": {"path": str(self._root.parent / "audit.jsonl")}}},
        }
        return json.dumps(document, indent=2) + "\n"

    def run(self, stop: threading.Event, ready: Callable[[str], None], *, interval_s: float = 1.0) -> str:
        """Serve until ``stop`` is set, or a part of it fails; returns what failed, in words, or nothing.

        Args:
            stop: Ends it; set at its end in any case.
            ready: Told the server's address, once.
            interval_s: Seconds between two snapshots of the bot.
        """
        paper = PaperBot(self._root, user="demo")
        sidecar = Sidecar(PluginHost(), watched_bots([load_config(self.config_path)], root=self._root))
        bot_stop = threading.Event()
        failed: list[str] = []

        def run_part(name: str, part: Callable[[], None]) -> None:
            try:
                part()
            except Exception:  # noqa: BLE001  whatever it is, it ends the demo and is told
                _log.exception("demo.failed", part=name)
                failed.append(f"the {name} failed; the log above says why")
                stop.set()

        parts: dict[str, Callable[[], None]] = {
            "paper bot": lambda: paper.run(bot_stop, interval_s=interval_s),
            "sidecar": lambda: sidecar.run(stop),
        }
        threads = [threading.Thread(target=run_part, args=part) for part in parts.items()]
        for thread in threads:
            thread.start()
        try:
            address = self._wait_listening(stop)
            if address is not None:
                ready(address)
                stop.wait()
            elif not stop.is_set():
                failed.append("the server did not start; the log above says why")
        finally:
            bot_stop.set()
            stop.set()
            for thread in threads:
                thread.join()
        return failed[0] if failed else ""

    def _wait_listening(self, stop: threading.Event) -> str | None:
        deadline = time.monotonic() + _LISTEN_S
        address = None
        while address is None and not stop.is_set() and time.monotonic() < deadline:
            address = self._plugin.wait_listening(_LOOK_EVERY_S)
        return address


def why_not(port: int) -> str | None:
    """Why a port of this machine cannot be served on, in words; None: it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            return "is taken" if exc.errno == errno.EADDRINUSE else f"cannot be had: {exc.strerror}"
        return None

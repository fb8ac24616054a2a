"""``passivbot-hooks run`` as its owner runs it: files on one side, a socket on the other."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from clients import address_of, close_code, connect, log_in, receive, receive_statistics
from monitor_files import append_event, now_ms, replace, state, write_state
from processes import Process
from servers import PASSWORD, auth_message, free_port, write_config
from websockets.sync.client import ClientConnection


def run(*arguments: str | Path) -> Process:
    return Process.python("passivbot_hooks", "run", *arguments)


def test_from_the_bots_file_to_a_clients_screen(tmp_path: Path) -> None:
    config, bot = write_config(tmp_path / "live.hjson"), tmp_path / "monitor" / "fake" / "main"
    with run(config, "--monitor-root", tmp_path / "monitor", "--poll", "0.02") as sidecar:
        address = address_of(sidecar)
        with log_in(address) as client:
            assert receive(client)["code"] == "unavailable"  # the server is up before the bot is
            started = now_ms()
            append_event(bot, "bot.start", started)
            write_state(bot, state(timestamp=started))
            first = receive(client)
            assert (first["bot"], first["seq"]) == ("main", 1)
            assert first["data"]["timestamp"] == started
            assert (first["data"]["balance"], first["data"]["upnl"]) == (10_000.0, 24.25)
            assert (first["data"]["open_orders_count"], first["data"]["active_symbols_count"]) == (3, 2)
            assert first["data"]["positions"][1]["side"] == "short"
            assert first["data"]["positions"][1]["size"] == 0.8
            assert first["data"]["status"] == "running"
            write_state(bot, state(timestamp=started + 1))  # a new timestamp alone is no change
            write_state(bot, {"half": "a state"})  # a bad file is none either
            append_event(bot, "bot.stop", started + 2)
            second = receive(client)
            assert (second["seq"], second["data"]["status"]) == (2, "stopped")
            client.send('{"type":"get_config"}')
            assert receive(client)["data"] == json.loads(config.read_text())
        assert sidecar.end(signal.SIGTERM) == 0
    assert PASSWORD not in sidecar.output
    assert "Traceback" not in sidecar.output


def test_nothing_of_a_bot_is_changed(tmp_path: Path) -> None:
    root, config = tmp_path / "bot", write_config(tmp_path / "bot" / "live.hjson")
    write_state(root / "monitor" / "fake" / "main", state())
    append_event(root / "monitor" / "fake" / "main", "bot.start", now_ms())

    def files() -> dict[Path, tuple[int, int, int, bytes]]:
        found = {path: path.stat() for path in root.rglob("*")}
        return {
            path: (at.st_ino, at.st_mode, at.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path, at in found.items()
        }

    before = files()
    with run(config, "--monitor-root", root / "monitor", "--poll", "0.02") as sidecar:
        with log_in(address_of(sidecar)) as client:
            assert receive_statistics(client)["seq"] == 1
        assert sidecar.end() == 0
    assert files() == before


def test_a_config_edited_while_it_runs(tmp_path: Path) -> None:
    config = write_config(tmp_path / "live.hjson")
    write_state(tmp_path / "fake" / "main", state())
    with run(config, "--monitor-root", tmp_path, "--poll", "0.02") as sidecar:
        address = address_of(sidecar)
        with log_in(address) as client:
            receive(client)
            replace(config, b"{ this is no config")
            sidecar.wait_for_line("the last good config stays in force")
            client.send('{"type":"get_config"}')
            assert receive(client)["data"]["bot"] == {"long": {"n_positions": 3}}
            write_config(config, websocket_password="another password, also long")
            assert close_code(client) == 4403
        with log_in(address, "another password, also long"):
            pass
        assert sidecar.end() == 0


def test_keys_edited_while_it_runs(tmp_path: Path) -> None:
    """At the default pace: who is revoked is gone within two seconds, who is added may come at once."""

    def key(password: str) -> dict[str, object]:
        return {"password": f"a password of the {password}", "scopes": ["statistics"]}

    keys = {"kept": key("kept"), "changed": key("changed"), "removed": key("removed")}
    config = write_config(tmp_path / "live.hjson", {"websocket": {"keys": keys}})
    write_state(tmp_path / "fake" / "main", state())
    with run(config, "--monitor-root", tmp_path) as sidecar:
        address = address_of(sidecar)
        with ExitStack() as clients:
            kept, changed, removed = (clients.enter_context(log_in_with(address, name)) for name in keys)
            keys = {"kept": key("kept"), "changed": key("changed since"), "added": key("added")}
            write_config(config, {"websocket": {"keys": keys}})
            edited_at = time.monotonic()
            assert [close_code(changed), close_code(removed)] == [4403, 4403]
            assert time.monotonic() - edited_at < 2
            for name, password in (("added", "added"), ("changed", "changed since")):
                with log_in_with(address, name, password):
                    pass
            for name in ("changed", "removed"):
                with connect(address) as client:
                    client.send(auth_message(f"a password of the {name}", name))
                    assert not receive(client)["success"]
            kept.send('{"type":"ping"}')
            assert receive(kept) == {"type": "pong"}
        assert sidecar.end() == 0


@contextmanager
def log_in_with(address: str, name: str, password: str | None = None) -> Iterator[ClientConnection]:
    """A client that logged in with one of the further keys and got its snapshot."""
    with connect(address) as client:
        client.send(auth_message(f"a password of the {password or name}", name))
        assert receive(client)["success"]
        assert receive_statistics(client)["seq"] == 1
        yield client


def test_switched_off_and_on_again_while_it_runs(tmp_path: Path) -> None:
    port, config = free_port(), tmp_path / "live.hjson"
    write_config(config, {"websocket": True}, websocket_port=port)
    write_state(tmp_path / "fake" / "main", state())
    with run(config, "--monitor-root", tmp_path, "--poll", "0.02") as sidecar:
        address = address_of(sidecar)
        with log_in(address) as client:
            figures = receive_statistics(client)["data"]
            write_config(config, {"websocket": False}, websocket_port=port)
            sidecar.wait_for_line("plugin 'websocket': switched off for bot 'main'")
            assert close_code(client) == 1012
        sidecar.wait_for_line("event=server.stopped")
        with pytest.raises(ConnectionRefusedError), connect(address):
            pass
        write_config(config, {"websocket": True}, websocket_port=port)
        assert address_of(sidecar) == address
        with log_in(address) as client:
            again = receive_statistics(client)
            assert (again["seq"], again["data"]) == (1, figures)  # told anew, though nothing changed
        assert sidecar.end() == 0
    assert "Traceback" not in sidecar.output


def test_two_bots_with_a_config_each(tmp_path: Path) -> None:
    configs = [write_config(tmp_path / f"{user}.hjson", user=user) for user in ("one", "two")]
    for user in ("one", "two"):
        write_state(tmp_path / "fake" / user, state())
    with run(*configs, "--monitor-root", tmp_path) as sidecar, log_in(address_of(sidecar)) as client:
        seen: set[str] = set()
        while seen != {"one", "two"}:
            seen.add(receive_statistics(client)["bot"])
        client.send('{"type":"get_config","bot":"two"}')
        assert receive(client)["data"]["live"]["user"] == "two"
        assert sidecar.end() == 0


def test_an_ambiguous_user_asks_for_the_bot(tmp_path: Path) -> None:
    config = write_config(tmp_path / "live.hjson")
    for exchange in ("bybit", "okx"):
        write_state(tmp_path / exchange / "main", state())
    with run(config, "--monitor-root", tmp_path) as sidecar:
        sidecar.wait_for_line("say which: --bot bybit/main or --bot okx/main")
        assert sidecar.wait() == 2
    with run(config, "--monitor-root", tmp_path, "--bot", "okx/main") as sidecar:
        with log_in(address_of(sidecar)) as client:
            assert receive_statistics(client)["bot"] == "okx/main"
        assert sidecar.end() == 0

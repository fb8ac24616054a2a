"""Settings that are wrong, changed or taken away while the plugin serves."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from clients import close_code, connect, log_in, receive
from servers import PASSWORD, auth_message, loaded_config
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin import WebSocketPlugin


@pytest.mark.parametrize("password", [None, ""])
def test_without_a_password_the_server_stays_off_with_one_line(
    password: str | None, plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    plugin.on_config_loaded("main", loaded_config(password=password))
    plugin.on_stats_updated("main", make_statistics())
    assert plugin.wait_listening(0.2) is None
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "live.websocket_password" in line


def follow_config(client: ClientConnection) -> None:
    client.send('{"type":"subscribe","channel":"config"}')
    assert receive(client)["type"] == "subscribed"
    assert receive(client)["type"] == "config_changed"


def test_a_wrong_setting_is_one_error_and_the_last_good_ones_stay(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    plugin.on_config_loaded("main", loaded_config())
    address = plugin.wait_listening(10)
    with log_in(address) as client:
        receive(client)
        follow_config(client)
        plugin.on_config_loaded("main", loaded_config(port=99_999, password="a new password, unused"))
        assert "settings.refused" in caplog.text
        assert "live.websocket_port" in caplog.text
        assert receive(client)["type"] == "config_changed"
        client.send('{"type":"ping"}')
        assert receive(client)["type"] == "pong"
        client.send('{"type":"get_config"}')
        assert receive(client)["data"]["live"]["websocket_password"] == "********"
        plugin.on_config_loaded("main", loaded_config())
        assert receive(client)["type"] == "config_changed"
        client.send('{"type":"get_config"}')
        assert receive(client)["data"]["live"]["websocket_password"] == PASSWORD


def test_settings_that_are_mended_are_said_to_be_in_force(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    for port in (99_999, 0, 0):
        plugin.on_config_loaded("main", loaded_config(port=port))
    lines = [record.getMessage() for record in caplog.records if "event=settings." in record.getMessage()]
    assert [line.split()[0] for line in lines] == ["event=settings.refused", "event=settings.in_force"]


def test_a_changed_password_takes_effect_without_a_restart(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", loaded_config())
    address = plugin.wait_listening(10)
    with log_in(address) as client:
        receive(client)
        plugin.on_config_loaded("main", loaded_config(password="another password, also long"))
        assert close_code(client) == 4403
    with log_in(address, "another password, also long"):
        pass


PHONE = {"phone": {"password": "a password of the phone", "scopes": ["statistics", "config"]}}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"], ids=["stays", "moves"])
def test_who_is_revoked_is_not_told_the_config_that_revokes_it(plugin: WebSocketPlugin, host: str) -> None:
    plugin.on_config_loaded("main", loaded_config(keys=PHONE))
    with connect(str(plugin.wait_listening(10))) as client:
        client.send(auth_message(PHONE["phone"]["password"], "phone"))  # type: ignore[arg-type]
        assert receive(client)["success"]
        assert receive(client)["code"] == "unavailable"
        follow_config(client)
        changed = loaded_config()
        changed["live"]["websocket_host"] = host
        plugin.on_config_loaded("main", changed)
        assert close_code(client) == 4403


NEW_SECRET = "a secret that is not for those before it"


#: What a config becomes, with a new secret in it, when nobody who is in may see that.
SECRETIVE = {
    "another password": {"password": NEW_SECRET},
    "another password and place": {"password": NEW_SECRET, "host": "127.0.0.2"},
    "another policy": {"config_secrets": "mask"},
    "a setting that is refused": {"password": NEW_SECRET, "port": 99_999},
    "no password": {"password": None},
}


@pytest.mark.parametrize("change", SECRETIVE.values(), ids=SECRETIVE.keys())
def test_a_new_secret_is_judged_by_the_settings_that_come_with_it(
    plugin: WebSocketPlugin, change: dict[str, Any]
) -> None:
    plugin.on_config_loaded("main", loaded_config())
    with log_in(plugin.wait_listening(10)) as client:
        assert receive(client)["code"] == "unavailable"
        follow_config(client)
        host = change.get("host", "127.0.0.1")
        changed = loaded_config(**{name: value for name, value in change.items() if name != "host"})
        changed["live"] |= {"api_key": NEW_SECRET, "websocket_host": host}
        plugin.on_config_loaded("main", changed)
        told: list[dict[str, Any]] = []
        with contextlib.suppress(ConnectionClosed):
            client.send('{"type":"get_config","id":1}')
            while not told or told[-1].get("id") != 1:
                told.append(receive(client))
        assert NEW_SECRET not in json.dumps(told)


def test_a_password_taken_away_closes_the_door(plugin: WebSocketPlugin) -> None:
    plugin.on_config_loaded("main", loaded_config())
    address = plugin.wait_listening(10)
    with log_in(address) as client:
        receive(client)
        plugin.on_config_loaded("main", loaded_config(password=None))
        assert close_code(client) == 1012
    assert plugin.wait_listening(0) is None


@pytest.mark.parametrize(
    ("live", "options"),
    [
        ({"websocket_host": "my..host"}, {"allow_plaintext": True}),
        ({"websocket_host": "a\0b"}, {"allow_plaintext": True}),
        ({}, {"audit": {"path": "~nosuchuser/x"}}),
        ({}, {"tls": {"cert": "a\0b", "key": "c"}}),
        ({}, {"tls": {"cert": "nowhere", "key": "nowhere"}}),
    ],
)
def test_a_setting_that_cannot_work_is_one_error_and_a_mended_one_is_served(
    live: dict[str, Any],
    options: dict[str, Any],
    plugin: WebSocketPlugin,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = loaded_config(**options)
    broken["live"].update(live)
    plugin.on_config_loaded("main", broken)
    assert plugin.wait_listening(0.3) is None
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "Traceback" not in caplog.text
    plugin.on_config_loaded("main", loaded_config())
    with log_in(plugin.wait_listening(10)):
        pass


def test_a_certificate_that_cannot_be_read_moves_no_server(
    plugin: WebSocketPlugin, caplog: pytest.LogCaptureFixture
) -> None:
    plugin.on_config_loaded("main", loaded_config())
    with log_in(plugin.wait_listening(10)) as client:
        assert receive(client)["code"] == "unavailable"
        follow_config(client)
        for number in range(2):
            plugin.on_config_loaded(
                "main", loaded_config(tls={"cert": "nowhere", "key": f"nowhere {number}"})
            )
            assert receive(client)["type"] == "config_changed"
            client.send('{"type":"get_config"}')
            assert receive(client)["data"]["live"]["websocket_password"] == "********"
        plugin.on_config_loaded("main", loaded_config())
        assert receive(client)["type"] == "config_changed"
        client.send('{"type":"get_config"}')
        assert receive(client)["data"]["live"]["websocket_password"] == PASSWORD
    assert caplog.text.count("settings.refused") == 2
    assert caplog.text.count("settings.in_force") == 1
    assert "server.stopped" not in caplog.text


def test_another_path_moves_the_record(plugin: WebSocketPlugin, tmp_path: Path) -> None:
    for name in ("one.jsonl", "two.jsonl"):
        plugin.on_config_loaded("main", loaded_config(audit={"path": str(tmp_path / name)}))
        deadline = time.monotonic() + 10
        while not (tmp_path / name).exists():  # made when the server with this path listens
            assert time.monotonic() < deadline
            plugin.wait_listening(0.05)
        with log_in(plugin.wait_listening(10)):
            pass
        assert '"auth.success"' in (tmp_path / name).read_text()

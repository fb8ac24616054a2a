"""The bot of one's own, run as its reader would run it; and the example config that it is run with."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import hjson
import msgspec
import pytest
from clients import address_of, log_in, receive_statistics
from processes import EXAMPLES, Process
from servers import write_config

from passivbot_hooks import load_config, plugin_options
from passivbot_ws_plugin.settings.options import AuditOptions, AuthOptions, Limits, Options
from passivbot_ws_plugin.settings.parsing import DEFAULT_HOST, DEFAULT_PORT, parse_settings

LIVE = EXAMPLES / "live.hjson"
MINIMAL_HOST = (sys.executable, "-W", "error", EXAMPLES / "minimal_host.py")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_client_sees_the_bot_live_until_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    config = write_config(tmp_path / "live.hjson", user="mine")
    with Process(*MINIMAL_HOST, config, cwd=tmp_path) as bot:
        with log_in(address_of(bot)) as client:
            first, second = receive_statistics(client), receive_statistics(client)
        assert bot.end(number) == 0

    assert "event=server.stopped" in bot.output  # on_shutdown was fired
    assert "Traceback" not in bot.output
    assert first["bot"] == "mine"
    assert first["data"]["upnl"] != second["data"]["upnl"]
    assert first["data"]["exchange"] == "random-walk"
    assert first["data"]["positions"][0]["symbol"] == "BTC/USDT:USDT"


def test_a_config_that_is_not_there_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    with Process(*MINIMAL_HOST, tmp_path / "none.hjson") as bot:
        assert bot.wait() == 1

    assert bot.output == f"{tmp_path / 'none.hjson'}: no such file"


def test_the_example_config_means_what_it_says() -> None:
    config = load_config(LIVE)

    assert config.data["live"] == {
        "user": "main",
        "websocket_host": DEFAULT_HOST,
        "websocket_port": DEFAULT_PORT,
        "websocket_password": "your_secret_bot_password",
        "websocket_public_key_part": "main-viewer",
    }
    assert config.data["bot"]["long"] == {"n_positions": 3, "total_wallet_exposure_limit": 1.0}
    assert config.data["monitor"] == {"enabled": True, "root_dir": "monitor"}
    assert config.data["plugins"] == {"websocket": {"enabled": True}, "file_logger": False}


def test_the_example_password_is_told_to_be_changed() -> None:
    settings = parse_settings(load_config(LIVE).data)

    [warning] = settings.warnings
    assert "everybody knows" in warning
    assert re.search(
        r"// CHANGE THIS.*\n(\s*//.*\n)+\s*websocket_password:", LIVE.read_text(encoding="utf-8")
    )


def test_the_example_config_shows_every_option_with_its_default() -> None:
    # A setting that is switched off has its slashes right before it, a remark has a space between.
    switched_on = re.sub(r"(?m)^(\s*)//(?=\S)", r"\1", LIVE.read_text(encoding="utf-8"))
    config = hjson.loads(switched_on, object_pairs_hook=dict)
    shown = plugin_options(config, "websocket")

    assert set(shown) == set(Options.__struct_fields__)
    for name, struct in (("limits", Limits), ("auth", AuthOptions), ("audit", AuditOptions)):
        assert set(shown[name]) == set(struct.__struct_fields__)
    assert msgspec.convert(shown, Options) == Options()
    assert parse_settings(config).options == Options()

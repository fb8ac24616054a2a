"""The bot of one's own, run as its reader would run it; and the example config that it is run with."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import hjson
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from passivbot_hooks import load_config
from passivbot_ws_plugin.settings import DEFAULT_HOST, DEFAULT_PORT, Limits, Options, parse_settings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LIVE = EXAMPLES / "live.hjson"

PASSWORD = "a-long-enough-password"
KEY_PART = "tests"

#: For the bot to start, to say something, and to end.
WAIT_S = 20.0


async def _read_address(log: asyncio.StreamReader) -> str:
    seen = b""
    async for line in log:
        seen += line
        found = re.search(rb"event=server\.listening address=(\S+)", line)
        if found is not None:
            return found[1].decode()
    pytest.fail(f"it ended without a server:\n{seen.decode()}")


async def _receive_statistics(client: ClientConnection) -> dict[str, Any]:
    while True:
        message = json.loads(await client.recv())
        if message["type"] == "statistics":  # or an error: there are none yet
            data: dict[str, Any] = message["data"]
            return data


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_a_client_sees_the_bot_live_until_a_signal_ends_it(tmp_path: Path, end: signal.Signals) -> None:
    config = tmp_path / "live.hjson"
    live = {
        "user": "mine",
        "websocket_port": 0,
        "websocket_password": PASSWORD,
        "websocket_public_key_part": KEY_PART,
    }
    config.write_text(json.dumps({"live": live}), encoding="utf-8")
    token = hashlib.sha256((PASSWORD + KEY_PART).encode()).hexdigest()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", EXAMPLES / "minimal_host.py", config,
        cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        async with asyncio.timeout(WAIT_S):
            address = await _read_address(process.stderr)
            async with connect(address, proxy=None) as client:
                await client.send(json.dumps({"type": "auth", "token": token, "public_key_part": KEY_PART}))
                assert json.loads(await client.recv())["success"] is True
                first, second = await _receive_statistics(client), await _receive_statistics(client)
        process.send_signal(end)
        async with asyncio.timeout(WAIT_S):
            _, rest = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert process.returncode == 0, rest.decode()
    assert b"event=server.stopped" in rest  # on_shutdown was fired
    assert b"Traceback" not in rest
    assert first["upnl"] != second["upnl"]
    assert first["exchange"] == "random-walk"
    assert first["positions"][0]["symbol"] == "BTC/USDT:USDT"


async def test_a_config_that_is_not_there_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLES / "minimal_host.py", tmp_path / "none.hjson", stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(WAIT_S):
        _, log = await process.communicate()

    assert process.returncode == 1
    assert log.decode() == f"{tmp_path / 'none.hjson'}: no such file\n"


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

    assert settings.warning is not None
    assert "everybody knows" in settings.warning
    assert re.search(
        r"// CHANGE THIS.*\n(\s*//.*\n)+\s*websocket_password:", LIVE.read_text(encoding="utf-8")
    )


def test_the_example_config_shows_every_option_with_its_default() -> None:
    # A setting that is switched off has its slashes right before it, a remark has a space between.
    switched_on = re.sub(r"(?m)^(\s*)//(?=\S)", r"\1", LIVE.read_text(encoding="utf-8"))
    config = hjson.loads(switched_on, object_pairs_hook=dict)
    shown = config["plugins"]["websocket"]

    assert set(shown) == set(Options.__struct_fields__)
    assert set(shown["limits"]) == set(Limits.__struct_fields__)
    assert msgspec.convert(shown, Options) == Options()
    assert parse_settings(config).options == Options()

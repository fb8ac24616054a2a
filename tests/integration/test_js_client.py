"""The JavaScript clients under a real Node, against a real server that serves a paper bot."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from demo_server import JS_CLIENT, Credentials, demo_server, published_client
from processes import WAIT_S, Process

NODE = shutil.which("node") or "node"
WS_PACKAGE = JS_CLIENT / "node_modules" / "ws"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="needs node"),
    pytest.mark.skipif(not WS_PACKAGE.is_dir(), reason="needs npm install in examples/js-client"),
]

#: The published client expects a browser's globals; Node has the first since 22 only, the second since 20.
BROWSER_LIKE = f"""
import {{ webcrypto }} from "node:crypto";
import WebSocket from "{(WS_PACKAGE / "wrapper.mjs").as_uri()}";
globalThis.WebSocket = WebSocket;
globalThis.crypto ??= webcrypto;
"""

CLI = JS_CLIENT / "cli.mjs"
LINE = r"^demo running: balance \d+\.\d\d USDT, upnl -?\d+\.\d\d, \d+ positions, \d+ open orders$"


@pytest.fixture(scope="module")
def server() -> Iterator[Credentials]:
    with demo_server() as credentials:
        yield credentials


def run_cli(
    *arguments: str, cli: Path = CLI, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE, *options, cli, *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False
    )


def test_published_client_runs_unmodified(server: Credentials, tmp_path: Path) -> None:
    client = tmp_path / "published.mjs"
    client.write_text(published_client(server), encoding="utf-8")
    preload = tmp_path / "preload.mjs"
    preload.write_text(BROWSER_LIKE, encoding="utf-8")
    with Process(NODE, "--import", preload.as_uri(), client) as node:
        node.wait_for(
            r"^WebSocket connection opened\.$",
            r"^Generated token: [0-9a-f]{64}$",
            r"^Authentication successful!$",
            r"^Statistics Update: \{$",
            r"^Configuration Received: \{$",
            r"^    websocket_public_key_part: 'demo'$",
        )


def test_cli_prints_statistics_and_config_once(server: Credentials) -> None:
    done = run_cli(*server, "--once", "--config")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    statistics = [line for line in lines if line.startswith("demo ")]
    assert len(statistics) == 1
    config = json.loads("\n".join(line for line in lines if line not in statistics))
    assert config["live"]["user"] == "demo"


def test_cli_prints_each_change_until_interrupted(server: Credentials) -> None:
    with Process(NODE, CLI, *server) as cli:
        cli.wait_for(LINE)
        cli.wait_for(LINE)
        assert cli.end(signal.SIGINT) == 0


def test_cli_tells_a_wrong_password(server: Credentials) -> None:
    done = run_cli(server.address, "not the password", server.key_part)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Authentication failed: wrong token or public_key_part; trying again will not help\n"
    )


def test_cli_tells_an_unreachable_server() -> None:
    with socket.socket() as taken:  # bound but not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        address = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        done = run_cli(address, "password", "key")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"cannot connect to {address}")
    assert done.stderr.endswith("; try again later\n")


def test_cli_tells_that_the_server_went_away() -> None:
    with ExitStack() as server:
        credentials = server.enter_context(demo_server())
        with Process(NODE, CLI, *credentials) as cli:
            cli.wait_for(LINE)
            server.close()
            cli.wait_for(r"^the server is going away; try again later$")
            assert cli.wait() == 1


def test_cli_tells_its_usage() -> None:
    done = run_cli("ws://127.0.0.1:8765", "password", "key", "--unknown")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: node cli.mjs ADDRESS PASSWORD KEY_PART")


def test_cli_tells_what_to_install(tmp_path: Path) -> None:
    for name in ("cli.mjs", "passivbot-client.mjs"):
        shutil.copy(JS_CLIENT / name, tmp_path)
    old_node = ("--import", "data:text/javascript,delete globalThis.WebSocket")
    done = run_cli("ws://127.0.0.1:8765", "password", "key", cli=tmp_path / "cli.mjs", options=old_node)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'run "npm install" in' in done.stderr


def run_module(credentials: Credentials, callbacks: str) -> list[list[object]]:
    """What a connection of the module tells those callbacks, until it is closed."""
    url, password, key_part = map(json.dumps, credentials)
    script = f"""
    {BROWSER_LIKE}
    import {{ connect }} from "{(JS_CLIENT / "passivbot-client.mjs").as_uri()}";
    const tell = (...parts) => console.log(JSON.stringify(parts));
    const connection = connect({{
      url: {url}, password: {password}, publicKeyPart: {key_part}, WebSocket,
      {callbacks},
      onClose: ({{ code, mayRetry }}) => tell("close", code, mayRetry),
    }});
    """
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", script],
        capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_module_asks_and_closes(server: Credentials) -> None:
    told = run_module(
        server,
        """
        onLogin: () => { tell("login"); connection.ping(); },
        onStatistics: (data, { bot, seq }) => tell("statistics", bot, typeof seq),
        onPong: () => { tell("pong"); connection.getConfig(); },
        onConfig: (config) => { tell("config", config.live.user); connection.close(); }
        """,
    )
    assert told[0] == ["login"]
    assert told[1] == ["statistics", "demo", "number"]
    assert [line for line in told[2:] if line[0] != "statistics"] == [
        ["pong"],
        ["config", "demo"],
        ["close", 1000, False],
    ]


def test_module_tells_what_not_to_retry(server: Credentials) -> None:
    assert run_module(server._replace(key_part="another"), "onLogin: () => tell('login')") == [
        ["close", 4401, False]
    ]
    bad_messages = "onLogin: () => { for (let i = 0; i < 10; i++) connection.getConfig({}); }"
    told = run_module(server, f"{bad_messages}, onError: ({{ code }}) => tell('error', code)")
    assert told == [["error", "invalid_message"]] * 10 + [["close", 4400, False]]


def test_module_gives_up_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, nobody speaks
        address = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        told = run_module(Credentials(address, "password", "key"), "loginTimeoutMs: 100")
    assert told == [["close", 1006, True]]

"""The JavaScript clients under a real Node, against a real server that serves a paper bot."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from certificates import Authority
from clients import address_of
from demo_server import JS_CLIENT, Credentials, demo_server, published_client
from impostor import impostor
from js_watcher import NODE, WS_PACKAGE, needs_node
from processes import EXAMPLES, WAIT_S, Process
from publishing import put_event, put_statistics
from servers import KEY, PASSWORD, free_port, serving, write_config

from passivbot_ws_plugin.history.cache import Cache

pytestmark = needs_node

#: The published client expects a browser's globals; Node has the first since 22 only, the second since 20.
BROWSER_LIKE = f"""
import {{ webcrypto }} from "node:crypto";
import WebSocket from "{(WS_PACKAGE / "wrapper.mjs").as_uri()}";
globalThis.WebSocket = WebSocket;
globalThis.crypto ??= webcrypto;
"""

CLI = JS_CLIENT / "cli.mjs"
LINE = r"^demo running: balance \d+\.\d\d USDT, upnl -?\d+\.\d\d, positions \d+, open orders \d+$"


@pytest.fixture(scope="module")
def server() -> Iterator[Credentials]:
    with demo_server() as credentials:
        yield credentials


def run_cli(
    *arguments: str,
    cli: Path = CLI,
    options: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
    said: str = "",
) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [NODE, *options, cli, *arguments]
    return subprocess.run(
        command, input=said, capture_output=True, text=True, timeout=WAIT_S, check=False, env=env
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
        done = run_cli(address, "password", "key", "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"cannot connect to {address}")
    assert done.stderr.endswith("; try again later\n")


def test_cli_comes_back_when_the_server_does(tmp_path: Path) -> None:
    config = write_config(tmp_path / "live.hjson", websocket_port=free_port())
    host = (sys.executable, EXAMPLES / "minimal_host.py", config)
    with ExitStack() as first, Process(*host, cwd=tmp_path) as bot:
        address = address_of(bot)
        cli = first.enter_context(Process(NODE, CLI, address, PASSWORD, KEY))
        cli.wait_for(r"^main running: balance")
        bot.end()
        cli.wait_for(r"^the server is going away; trying again in \d\.\d s$")
        with Process(*host, cwd=tmp_path):
            cli.wait_for(r"^main running: balance")
        assert cli.end(signal.SIGINT) == 0


def test_cli_lists_the_bots_and_ends_when_the_password_is_changed(tmp_path: Path) -> None:
    config = write_config(tmp_path / "live.hjson")
    with Process.python("passivbot_hooks", "run", config, cwd=tmp_path) as sidecar:
        login = (address_of(sidecar), PASSWORD, KEY)
        listed = run_cli(*login, "--list")
        assert (listed.returncode, listed.stderr) == (0, "")
        assert listed.stdout == "main: no snapshot yet\n"
        with Process(NODE, CLI, *login, "--config") as cli:
            cli.wait_for(r'^    "user": "main",$')  # it is logged in
            write_config(config, websocket_password="another password of some length")
            cli.wait_for(
                r"^the credentials were changed or are no longer allowed; trying again will not help$"
            )
            assert cli.wait() == 1


def test_cli_tells_that_a_bot_is_not_known(server: Credentials) -> None:
    with Process(NODE, CLI, *server, "--bot", "another") as cli:
        cli.wait_for(r"^connected; nothing is known of another yet; there is demo$")
        assert cli.end(signal.SIGINT) == 0


def test_cli_that_tries_once_does_not_wait_for_a_bot_that_is_not_there(server: Credentials) -> None:
    done = run_cli(*server, "--once", "--bot", "another")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "connected; nothing is known of another yet; there is demo\n"


async def test_cli_asks_for_no_events_that_it_does_not_print() -> None:
    """Else a key that may not have them would be told so."""
    cache, password = Cache(), "another password of some length"
    key = {"password": password, "scopes": ["statistics"]}
    async with serving(cache, keys={"guest": key}) as (server, address):
        put_statistics(server, cache)
        # What is said of the subscriptions comes before the list.
        for flags, said in ((), ""), (("--events",), "server: this key may not see the events\n"):
            done = await asyncio.to_thread(run_cli, address, password, "guest", "--list", *flags)
            assert (done.returncode, done.stderr) == (0, said)


def test_cli_takes_the_password_from_elsewhere_than_its_arguments(server: Credentials) -> None:
    arguments = (server.address, "-", server.key_part, "--once")
    done = run_cli(*arguments, env={**os.environ, "PASSIVBOT_WS_PASSWORD": server.password})
    assert (done.returncode, done.stderr) == (0, "")
    asked = run_cli(*arguments, said=f"{server.password}\n")
    assert (asked.returncode, asked.stderr) == (0, "Password: \n")


def test_cli_without_a_websocket_says_so_before_it_asks_for_a_password(tmp_path: Path) -> None:
    for module in JS_CLIENT.glob("*.mjs"):
        shutil.copy(module, tmp_path)
    without = ("--import", "data:text/javascript,delete globalThis.WebSocket")
    env = {name: value for name, value in os.environ.items() if name != "PASSIVBOT_WS_PASSWORD"}
    refused = run_cli("ws://127.0.0.1:1", "-", KEY, cli=tmp_path / "cli.mjs", options=without, env=env)
    assert refused.returncode == 1
    assert refused.stderr.startswith("this Node has no WebSocket of its own; run ")


async def test_cli_says_how_long_a_locked_address_has_to_wait() -> None:
    async with impostor(status=429, headers={"Retry-After": "187"}) as (address, _):
        done = await asyncio.to_thread(run_cli, address, PASSWORD, KEY, "--once")
    assert (done.returncode, done.stdout) == (1, "")
    why = "the server answered HTTP 429: too many failed logins or connections from this address"
    assert re.fullmatch(rf"{why}; try again in 18[78] s\n", done.stderr)


async def test_cli_does_not_say_twice_when_to_try_again() -> None:
    message = "Authentication failed: the server cannot record logins now"
    answer = {"type": "auth_result", "success": False, "message": f"{message}; try again later"}
    async with impostor(answer, closes=1013) as (address, _):
        done = await asyncio.to_thread(run_cli, address, PASSWORD, KEY, "--once")
    assert re.fullmatch(rf"{message}; try again in [56] s\n", done.stderr)


async def test_cli_proposes_the_other_scheme() -> None:
    async with serving() as (_, address):
        done = await asyncio.to_thread(run_cli, address.replace("ws:", "wss:"), PASSWORD, KEY, "--once")
    assert done.stderr.endswith("the server may not speak TLS: try ws://; try again later\n")


async def test_cli_prints_events() -> None:
    cache = Cache()
    async with serving(cache) as (server, address):
        put_statistics(server, cache)
        with Process(NODE, CLI, address, PASSWORD, KEY, "--events") as cli:
            # The subscriptions begin together: whoever has the statistics hears of the events.
            await asyncio.to_thread(cli.wait_for, r"^main running: balance")
            put_event(server, cache, 1, fee=-0.019979999999999998)
            await asyncio.to_thread(cli.wait_for, r"^main 2023-\S+Z fill \S+ long number=1 fee=-0\.01998$")
            put_event(server, cache, 2, order_type="\x1b[2J\nforged")
            await asyncio.to_thread(cli.wait_for, r"^main \S+ fill .* order_type=\ufffd\[2J\ufffdforged$")
            assert await asyncio.to_thread(cli.end, signal.SIGINT) == 0


@pytest.mark.parametrize("options", [(), ("--once",)])
async def test_cli_does_not_wait_for_statistics_that_its_key_may_not_see(options: tuple[str, ...]) -> None:
    password = "another password of some length"
    key = {"password": password, "scopes": ["config"]}
    async with serving(keys={"guest": key}) as (_, address):
        done = await asyncio.to_thread(run_cli, address, password, "guest", *options)
    assert (done.returncode, done.stdout) == (1, "")
    hint = "--events shows what happens, where it may see that"
    assert done.stderr == f"server: this key may not see the statistics; {hint}\n"


async def test_cli_tells_what_to_do_about_a_certificate_of_ones_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cache = Cache()
    async with serving(cache, tls=authority.files) as (server, address):
        put_statistics(server, cache)
        refused = await asyncio.to_thread(run_cli, address, PASSWORD, KEY)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "certificate" in refused.stderr.splitlines()[0]
        assert "NODE_EXTRA_CA_CERTS=cert.pem" in refused.stderr.splitlines()[1]
        trusting = {**os.environ, "NODE_EXTRA_CA_CERTS": authority.file}
        accepted = await asyncio.to_thread(run_cli, address, PASSWORD, KEY, "--once", env=trusting)
        assert (accepted.returncode, accepted.stderr) == (0, "")


def test_cli_tells_what_an_address_looks_like() -> None:
    done = run_cli("127.0.0.1:8765", "password", "key")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "127.0.0.1:8765: an address begins with ws:// or wss://, such as ws://127.0.0.1:8765\n"
        "node cli.mjs --help says how it is used\n"
    )


def test_cli_runs_on_nodes_own_websocket(server: Credentials) -> None:
    own = ("--experimental-websocket", "--no-warnings")  # Node 22 has it without being asked
    done = run_cli(*server, "--once", "--config", options=own)
    assert (done.returncode, done.stderr) == (0, "")
    wrong = run_cli(server.address, "not the password", server.key_part, options=own)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Authentication failed: ")


def test_cli_logs_in_with_the_published_token(server: Credentials) -> None:
    done = run_cli(*server, "--once", "--token")
    assert (done.returncode, done.stderr) == (0, "")


def test_cli_tells_its_usage() -> None:
    asked, silent = run_cli("--help"), run_cli()
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith("Usage: node cli.mjs ADDRESS PASSWORD KEY_PART")
    assert (silent.returncode, silent.stdout, silent.stderr) == (2, "", asked.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--foo",), "Unknown option '--foo'"),
        (("--list", "--foo=1"), "Unknown option '--foo'"),
        (("--list=1",), "Option '--list' does not take an argument"),
        (("one too many",), "ADDRESS, PASSWORD and KEY_PART are needed, and 4 words were given"),
    ],
)
def test_cli_names_the_argument_that_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    done = run_cli("ws://127.0.0.1:8765", "password", "key", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{said}\nnode cli.mjs --help says how it is used\n"


def test_cli_wants_a_password_that_is_not_empty() -> None:
    done = run_cli("ws://127.0.0.1:8765", "", "key")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "PASSWORD and KEY_PART must not be empty")


def test_cli_tells_what_to_install(tmp_path: Path) -> None:
    for module in JS_CLIENT.glob("*.mjs"):
        shutil.copy(module, tmp_path)
    old_node = ("--import", "data:text/javascript,delete globalThis.WebSocket")
    done = run_cli("ws://127.0.0.1:8765", "password", "key", cli=tmp_path / "cli.mjs", options=old_node)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'run "npm install --omit=dev" in' in done.stderr

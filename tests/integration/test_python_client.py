"""The Python example client as a process, against a real server that serves a paper bot."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from certificates import Authority
from demo_server import Credentials, demo_server
from impostor import impostor
from processes import EXAMPLES, WAIT_S, Process
from publishing import put_event, put_statistics
from servers import KEY, PASSWORD, serving

from passivbot_ws_plugin.history.cache import Cache

CLIENT = (sys.executable, str(EXAMPLES / "python_client.py"))
LINE = r"^demo running: balance \d+\.\d\d USDT, upnl -?\d+\.\d\d, positions \d+, open orders \d+$"


@pytest.fixture(scope="module")
def server() -> Iterator[Credentials]:
    with demo_server() as credentials:
        yield credentials


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*CLIENT, *arguments]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env=env,
    )


def test_it_prints_round_figures_and_no_events_unasked(server: Credentials) -> None:
    with Process(*CLIENT, *server) as client:
        for _ in range(3):
            client.wait_for(LINE)
        assert client.end(signal.SIGINT) == 0
    told = client.output.splitlines()
    assert told[0] == "connected"
    assert [line for line in told[1:] if not re.search(LINE, line)] == []


async def test_it_prints_events_if_asked_to() -> None:
    cache = Cache()
    async with serving(cache) as (server, address):
        put_statistics(server, cache)
        with Process(*CLIENT, address, PASSWORD, KEY, "--events") as client:
            await asyncio.to_thread(client.wait_for, r"^main running: balance")
            put_event(server, cache, 1, fee=-0.019979999999999998, price=25000.0)
            await asyncio.to_thread(
                client.wait_for,
                r"^main 2023-03-15T\S+ fill BTC/USDT:USDT long number=1 fee=-0\.01998 price=25000$",
            )
            put_event(server, cache, 2, order_type="\x1b[2J\nforged")
            await asyncio.to_thread(client.wait_for, r"^main \S+ fill .* order_type=\ufffd\[2J\ufffdforged$")


async def test_a_key_for_events_alone_shows_them_and_nothing_else() -> None:
    cache, password = Cache(), "another password of some length"
    async with serving(cache, keys={"guest": {"password": password, "scopes": ["events"]}}) as (
        server,
        address,
    ):
        put_statistics(server, cache)
        done = await asyncio.to_thread(run, address, password, "guest")
        hint = "--events shows what happens, where it may see that"
        assert (done.returncode, done.stderr) == (1, f"this key may not see the statistics; {hint}\n")
        with Process(*CLIENT, address, password, "guest", "--events") as client:
            await asyncio.to_thread(client.wait_for_line, "this key may not see the statistics")
            await asyncio.to_thread(client.wait_for, "^connected$")
            put_event(server, cache, 1)
            await asyncio.to_thread(client.wait_for, r"^main \S+ fill ")
            assert "balance" not in client.output


async def test_events_that_a_key_may_not_see_do_not_keep_the_statistics_back() -> None:
    cache, password = Cache(), "another password of some length"
    async with serving(cache, keys={"guest": {"password": password, "scopes": ["statistics"]}}) as (
        server,
        address,
    ):
        put_statistics(server, cache)
        with Process(*CLIENT, address, password, "guest", "--events") as client:
            await asyncio.to_thread(client.wait_for_line, "this key may not see the events")
            await asyncio.to_thread(client.wait_for, r"^main running: balance")


def test_it_says_why_it_was_not_let_in_and_nothing_else(server: Credentials) -> None:
    done = run(server.address, "wrong", server.key_part)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Authentication failed: wrong token or public_key_part")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: ADDRESS, PASSWORD, KEY_PART"),
        (("127.0.0.1:8765", "password", "key"), "an address begins with ws:// or wss://"),
        (("ws://127.0.0.1:99999", "password", "key"), "the port of the address must be a number"),
        (("ws://127.0.0.1:8765", "password", "key", "--foo"), "unrecognized arguments: --foo"),
    ],
)
def test_it_tells_its_usage_where_that_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")
    assert said in done.stderr


def test_it_takes_the_password_from_the_environment(server: Credentials) -> None:
    env = {**os.environ, "PASSIVBOT_WS_PASSWORD": server.password}
    with Process(*CLIENT, server.address, "-", server.key_part, env=env) as client:
        client.wait_for(LINE)


def test_without_a_terminal_nor_a_password_it_says_what_is_missing() -> None:
    env = {name: value for name, value in os.environ.items() if name != "PASSIVBOT_WS_PASSWORD"}
    command = [*CLIENT, "ws://127.0.0.1:8765", "-", "key"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env, timeout=20
    )
    assert done.returncode == 2
    assert "there is no password" in done.stderr


def test_nothing_is_called_old_before_there_is_something() -> None:
    with socket.socket() as taken:  # bound but not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        address = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        with Process(*CLIENT, address, "password", "key") as client:
            [match] = client.wait_for(r"^not connected to (\S+): .*; trying again in \d\.\d s$")
    assert match[1] == address
    assert "old" not in match[0]


async def test_it_says_that_the_address_has_to_wait() -> None:
    async with impostor(status=429, headers={"Retry-After": "187"}) as (address, _):
        with Process(*CLIENT, address, PASSWORD, KEY) as client:
            why = "the server answered HTTP 429: too many failed logins or connections from this address"
            await asyncio.to_thread(client.wait_for, rf"{why}; trying again in 18[78]\.\d s$")


async def test_it_proposes_the_other_scheme_and_names_what_to_set_for_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cache = Cache()
    async with serving(cache, tls=authority.files) as (server, address):
        put_statistics(server, cache)
        with Process(*CLIENT, address.replace("wss:", "ws:"), PASSWORD, KEY) as client:
            await asyncio.to_thread(client.wait_for, r"the server may speak TLS: try wss://; trying again")
        refused = await asyncio.to_thread(run, address, PASSWORD, KEY)
        assert refused.returncode == 1
        assert "SSL_CERT_FILE=cert.pem" in refused.stderr
        env = {**os.environ, "SSL_CERT_FILE": authority.file}
        with Process(*CLIENT, address, PASSWORD, KEY, env=env) as client:
            await asyncio.to_thread(client.wait_for, r"^main running: balance")
    async with serving() as (_, address):
        with Process(*CLIENT, address.replace("ws:", "wss:"), PASSWORD, KEY) as client:
            await asyncio.to_thread(client.wait_for, r"the server may not speak TLS: try ws://; trying again")


def test_it_ends_quietly_when_its_reader_does(server: Credentials) -> None:
    command = [*CLIENT, *server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        try:
            assert client.stdout.readline() == "connected\n"
            client.stdout.close()
            assert (client.wait(WAIT_S), client.stderr.read()) == (0, "")
        finally:
            client.kill()

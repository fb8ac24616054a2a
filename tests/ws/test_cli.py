from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from processes import EXAMPLES, ROOT, Process, interrupted_at_import, output_that_nobody_reads
from servers import KEY, PASSWORD, auth_message, write_config

from passivbot_hooks.cli import main as hooks_main
from passivbot_ws_plugin.cli import main
from passivbot_ws_plugin.demo import Demo
from passivbot_ws_plugin.plugin import plugin

PYTHON_CLIENT = (sys.executable, EXAMPLES / "python_client.py")


def test_token_prints_the_message_that_a_client_must_send(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", str(write_config(tmp_path / "live.hjson"))]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(auth_message(PASSWORD, KEY))


def test_token_of_a_further_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"keys": {"dash": {"password": "the dashboard's own secret"}}}
    config = write_config(tmp_path / "live.hjson", {"websocket": options})
    assert main(["token", str(config), "--key", "dash"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads(auth_message("the dashboard's own secret", "dash"))
    assert said.err == ""
    assert main(["token", str(config), "--key", "dahs"]) == 2
    said = capsys.readouterr()
    assert said.err.endswith("live.hjson: plugins.websocket.keys: has no 'dahs'; did you mean dash?\n")
    assert said.out == ""


def test_token_warns_of_what_run_warns_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key_part = "phone # the phone"
    assert (
        main(["token", str(write_config(tmp_path / "live.hjson", websocket_public_key_part=key_part))]) == 0
    )
    said = capsys.readouterr()
    assert json.loads(said.out)["public_key_part"] == key_part
    assert "live.websocket_public_key_part: seems to end in a comment" in said.err


def test_no_token_is_printed_that_the_server_would_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path / "live.hjson", {"websocket": {"auth": {"token": "deny"}}})
    assert main(["token", str(config)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "plugins.websocket.auth.token: is deny" in said.err


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({"websocket_password": ""}, "live.hjson: live.websocket_password: is empty"),
        ({"websocket_port": "x"}, "live.hjson: live.websocket_port: must be a whole number"),
    ],
)
def test_token_says_what_is_wrong_with_the_config(
    live: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", str(write_config(tmp_path / "live.hjson", **live))]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("plugins", "live", "said"),
    [
        ({"websocket": False}, {}, "plugins.websocket: switches the server off: plugins.websocket is false"),
        ({}, {"websocket_password": None}, "live.websocket_password: is missing, so the server stays off"),
        ({"websocket": {"tls": {"cert": "no", "key": "no"}}}, {}, "plugins.websocket.tls"),
        ({"websocket": {"audit": {"path": "~nosuchuser/x"}}}, {}, "plugins.websocket.audit.path: '~nosuch"),
        ({}, {"websocket_prot": 1}, "live.websocket_prot: is not a setting; did you mean websocket_port?"),
    ],
)
def test_check_says_why_the_server_would_stay_off(
    plugins: dict[str, Any],
    live: dict[str, Any],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", str(write_config(tmp_path / "live.hjson", plugins, **live))]) == 2
    assert f"live.hjson: {said}" in capsys.readouterr().err


def test_check_warns_of_a_config_that_run_would_not_start_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path / "live.hjson", user=None)
    assert main(["check", str(config)]) == 0
    assert capsys.readouterr().out.startswith("warning: live.user: is missing; ")
    assert hooks_main(["run", str(config)]) == 2
    assert "has no live.user" in capsys.readouterr().err


def test_check_says_what_would_be_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugins = {"websocket": {"keys": {"dash": {"password": "a long one of its own"}}}, "websockets": {}}
    live = {"websocket_port": 8777, "websocket_password": "short"}
    assert main(["check", str(write_config(tmp_path / "live.hjson", plugins, **live))]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "warning: plugins.websockets: no plugin of that name is installed; did you mean websocket?",
        "warning: live.websocket_password: has fewer than 12 characters",
        "address: ws://127.0.0.1:8777",
        f"keys:    {KEY}, dash",
        "record:  logs/websocket_audit.jsonl, below where the sidecar runs",
    ]


def test_asyncapi_prints_the_committed_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["asyncapi"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / "asyncapi.json").read_text(encoding="ascii")


@pytest.mark.parametrize(
    "command", [("token",), ("check",), ("audit", "verify"), ("audit", "tail")], ids=" ".join
)
def test_an_empty_path_is_not_the_current_directory(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, ""])
    assert caught.value.code == 2
    assert "must not be empty" in capsys.readouterr().err


def test_token_of_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "nowhere.hjson"]) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["token"], ["check"], ["demo"]])
def test_every_command_has_help_that_teaches(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_serves_and_its_own_line_for_the_client_works(number: signal.Signals) -> None:
    with Process.python("passivbot_ws_plugin", "demo", "--port", "0") as demo:
        line = demo.wait_for_line("examples/python_client.py")
        address, password, key_part = shlex.split(line)[-3:]
        with Process(*PYTHON_CLIENT, address, password, key_part) as watching:
            first = watching.wait_for_line("demo running: balance")
            assert watching.wait_for_line("demo running: balance") != first
            assert watching.end(signal.SIGINT) == 0
        assert demo.end(number) == 0
    assert "Traceback" not in demo.output
    logged = [line for line in demo.output.splitlines() if "event=" in line or "{" in line]
    assert not [line for line in logged if password in line]


def test_the_demos_lines_are_for_a_shell_where_the_path_has_a_blank(tmp_path: Path) -> None:
    environment = tmp_path / "a 'place'"
    environment.symlink_to(sys.prefix)
    python = environment / "bin" / Path(sys.executable).name
    with Process(python, "-m", "passivbot_ws_plugin", "demo", "--port", "0") as demo:
        line = demo.wait_for_line("examples/python_client.py")
        assert shlex.split(line)[:2] == [str(python), "examples/python_client.py"]
        assert shlex.split(demo.wait_for_line("http.server"))[0] == str(python)
        assert demo.end() == 0


def test_a_demo_whose_bot_fails_says_so_and_ends(tmp_path: Path) -> None:
    monitor = tmp_path / "monitor"

    def take_its_place(_address: str) -> None:
        monitor.rename(tmp_path / "elsewhere")
        monitor.write_text("no directory any more", encoding="ascii")

    demo = Demo(tmp_path, 0, plugin)
    assert demo.run(threading.Event(), take_its_place, interval_s=0.05).startswith("the paper bot failed")


def test_a_demo_that_does_not_listen_yet_ends_at_once(tmp_path: Path) -> None:
    stop = threading.Event()

    class Refused(logging.Handler):
        """Has the demo told to end when its server could not listen, long before it gives up."""

        at = 0.0

        def emit(self, record: logging.LogRecord) -> None:
            if "server.cannot_listen" in record.getMessage():
                self.at = time.monotonic()
                stop.set()

    refused, log = Refused(), logging.getLogger("passivbot_ws_plugin")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        log.addHandler(refused)
        try:
            demo = Demo(tmp_path, holder.getsockname()[1], plugin)
            assert demo.run(stop, lambda address: pytest.fail(f"it listens on {address}")) == ""
        finally:
            log.removeHandler(refused)
    assert 0 < time.monotonic() - refused.at < 3


@pytest.mark.parametrize("at", ["first", "websockets"])
def test_ctrl_c_while_it_is_imported_ends_it_quietly(at: str) -> None:
    with interrupted_at_import("passivbot_ws_plugin", at) as command:
        assert command.wait() == 130
    assert command.output == ""


@pytest.mark.parametrize(
    "command", [("--help",), ("token", "{config}"), ("asyncapi",), ("demo", "--port", "0")]
)
@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
def test_an_output_that_nobody_reads_is_no_failure(
    command: tuple[str, ...], is_terminal: bool, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "live.hjson")
    arguments = (part.format(config=config) for part in command)
    code, said = output_that_nobody_reads("passivbot_ws_plugin", *arguments, is_terminal=is_terminal)
    assert code == 0
    assert "Traceback" not in said


def test_the_demo_refuses_a_taken_port_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 2
    assert f"port {port} is taken" in capsys.readouterr().err


def test_the_demo_does_not_say_of_a_port_that_needs_rights_that_it_is_taken() -> None:
    first_free = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    setpriv = shutil.which("setpriv")
    needs_rights = first_free.exists() and int(first_free.read_text()) > 1
    if not needs_rights or (os.geteuid() == 0 and setpriv is None):
        pytest.skip("every port is for everybody here")  # as in many containers; nothing can be refused then
    without = [setpriv or "", "--bounding-set", "-all", "--inh-caps", "-all"] if os.geteuid() == 0 else []
    with Process(*without, sys.executable, "-m", "passivbot_ws_plugin", "demo", "--port", "1") as demo:
        assert demo.wait() == 2
    assert demo.output == "passivbot-ws: port 1 cannot be had: Permission denied; give another --port"

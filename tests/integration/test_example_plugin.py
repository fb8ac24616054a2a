"""The example plugin as its owner meets it: installed from wheels, switched by a config, run by commands.

The fresh environment gets our three distributions from wheels, and borrows everything else
from the environment that runs the tests: no network is needed, and no name is found by luck.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = (ROOT / "hookspecs", ROOT, ROOT / "examples" / "file_logger_plugin")

PASSWORD = "a-long-enough-password"
KEY_PART = "tests"

#: For one command to say or write something, and to end.
WAIT_S = 20.0

#: Building and installing takes longer than a test may.
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, is_there: Callable[[], bool]) -> None:
        """Wait until a file says so, while the process lives; its log is the failure's message."""
        deadline = time.monotonic() + WAIT_S
        while not is_there():
            assert self.process.poll() is None, f"it ended:\n{self.log_text()}"
            assert time.monotonic() < deadline, f"nothing in {WAIT_S} s:\n{self.log_text()}"
            time.sleep(0.02)  # the pace of looking; what is waited for is the file

    def wait_for_log(self, pattern: str) -> str:
        """Wait for a line of the log; returns the pattern's first group."""
        self.wait_for(lambda: re.search(pattern, self.log_text()) is not None)
        found = re.search(pattern, self.log_text())
        assert found is not None
        return found[1]

    def log_text(self) -> str:
        # Whole lines only: the last one may still be on its way.
        return "".join(line for line in _text(self.log).splitlines(keepends=True) if line.endswith("\n"))

    def imported(self) -> set[str]:
        """The modules that it imported, told by PYTHONVERBOSE.

        PYTHONPROFILEIMPORTTIME leaves out what `importlib.import_module` imports, and so every plugin.
        """
        return set(re.findall(r"^import '([\w.]+)' #", self.log_text(), re.MULTILINE))

    def messages(self) -> list[str]:
        """The log's own lines, and tracebacks, without what PYTHONVERBOSE adds."""
        return re.findall(r"^(?:\d{4}-\d\d-\d\d |Traceback).*$", self.log_text(), re.MULTILINE)


class Installation:
    """A fresh virtual environment with our three distributions in it."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        _check([sys.executable, "-m", "venv", str(directory)])
        borrowed = os.pathsep.join(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))
        wheels = directory / "wheels"
        pip = [str(self.bin / "python"), "-m", "pip", "--isolated", "--disable-pip-version-check"]
        offline = ["--quiet", "--no-deps", "--no-index"]
        # Building needs hatchling, so that step borrows already. Installing does not: pip would take
        # what the borrowed environment has for installed.
        _check(
            [*pip, "wheel", *offline, "--no-build-isolation", "-w", str(wheels), *map(str, DISTRIBUTIONS)],
            PYTHONPATH=borrowed,
        )
        _check([*pip, "install", *offline, *map(str, sorted(wheels.glob("*.whl")))])
        # The borrowed directory's own .pth files are not read, so its editable installs of these
        # same distributions stay out; and it comes last, after what was installed here.
        purelib = _check(
            [str(self.bin / "python"), "-c", "import sysconfig as s; print(s.get_path('purelib'))"]
        )
        Path(purelib.strip(), "borrowed.pth").write_text(borrowed.replace(os.pathsep, "\n") + "\n", "utf-8")

    def call(self, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``passivbot-hooks`` to its end."""
        return subprocess.run(
            [self.bin / "passivbot-hooks", *arguments],
            cwd=directory, env=_environment(), capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip

    @contextmanager
    def running(
        self, directory: Path, *arguments: str, end: signal.Signals = signal.SIGINT
    ) -> Iterator[Running]:
        """Run ``passivbot-hooks`` meanwhile; a signal ends it, with exit code 0 and in time."""
        log = directory / f"{arguments[0]}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [self.bin / "passivbot-hooks", *arguments],
                cwd=directory, env=_environment(PYTHONVERBOSE="1"),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file,
            )  # fmt: skip
        running = Running(process, log)
        try:
            yield running
            process.send_signal(end)
            assert process.wait(WAIT_S) == 0, running.log_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(WAIT_S)


def _environment(**changes: str) -> dict[str, str]:
    # Whatever steers the Python or the pip that runs the tests is not theirs.
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error", **changes}


def _check(command: list[str], **changes: str) -> str:
    environment = _environment(**{"PYTHONWARNINGS": "", **changes})  # pip's warnings are pip's business
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _text(path).splitlines(keepends=True) if line.endswith("\n")]


def _statistics(path: Path) -> list[dict[str, Any]]:
    return [line["statistics"] for line in _lines(path) if line["event"] == "statistics"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("installed"))


def _write_config(directory: Path, plugins: Mapping[str, Any], *, port: int = 0) -> str:
    config = {
        "live": {
            "user": "main",
            "websocket_port": port,
            "websocket_password": PASSWORD,
            "websocket_public_key_part": KEY_PART,
        },
        "plugins": plugins,
    }
    path = directory / "live.hjson"
    path.write_text(json.dumps(config), encoding="utf-8")
    return str(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(WAIT_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("plugins", "states"),
    [
        ({}, {"websocket": "on", "file_logger": "on"}),
        ({"websocket": False, "file_logger": True}, {"websocket": "off", "file_logger": "on"}),
        ({"file_logger": {"enabled": False, "path": "x"}}, {"websocket": "on", "file_logger": "off"}),
    ],
)
def test_the_command_lists_both_as_the_toggles_say(
    installed: Installation, tmp_path: Path, plugins: dict[str, Any], states: dict[str, str]
) -> None:
    done = installed.call(tmp_path, "plugins", _write_config(tmp_path, plugins))

    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert {name: state for name, _, _, state, *_ in rows} == states
    assert {name: distribution for name, distribution, *_ in rows} == {
        "websocket": "passivbot-ws-plugin",
        "file_logger": "passivbot-file-logger",
    }
    assert (done.returncode, done.stderr) == (0, "")


def test_a_misspelled_toggle_is_told_with_what_was_meant(installed: Installation, tmp_path: Path) -> None:
    done = installed.call(tmp_path, "plugins", _write_config(tmp_path, {"file_loger": False}))

    assert "WARNING" in done.stderr
    assert "plugins.file_loger: no plugin of that name is installed; did you mean file_logger?" in done.stderr
    assert re.search(r"^file_logger .* on ", done.stdout, re.MULTILINE)
    assert done.returncode == 0


def test_it_takes_the_place_of_the_websocket_plugin(installed: Installation, tmp_path: Path) -> None:
    port = _free_port()
    config = _write_config(
        tmp_path, {"websocket": False, "file_logger": {"path": "own/lines.jsonl"}}, port=port
    )
    file = tmp_path / "own" / "lines.jsonl"

    with (
        installed.running(tmp_path, "paper", "monitor", "--interval", "0.1", end=signal.SIGTERM),
        installed.running(tmp_path, "run", config, "--monitor-root", "monitor") as sidecar,
    ):
        sidecar.wait_for(lambda: len(_statistics(file)) >= 3)
        assert not _is_listening(port)

    assert "passivbot_file_logger" in sidecar.imported()
    assert not {"passivbot_ws_plugin", "websockets"} & sidecar.imported()
    events = [line["event"] for line in _lines(file)]
    assert (events[0], events[-1]) == ("config", "shutdown")
    assert set(events[1:-1]) == {"statistics"}
    statistics = _statistics(file)
    assert all(old != new for old, new in pairwise(statistics))
    assert statistics[0]["exchange"] == "fake"
    assert PASSWORD not in _text(file)


def test_both_plugins_work_side_by_side(installed: Installation, tmp_path: Path) -> None:
    config = _write_config(tmp_path, {"websocket": True, "file_logger": True})
    file = tmp_path / "logs" / "statistics.jsonl"

    with (
        installed.running(tmp_path, "paper", "monitor", "--interval", "0.1"),
        installed.running(
            tmp_path, "run", config, "--monitor-root", "monitor", end=signal.SIGTERM
        ) as sidecar,
    ):
        address = sidecar.wait_for_log(r"event=server\.listening address=(\S+)")
        token = hashlib.sha256((PASSWORD + KEY_PART).encode()).hexdigest()
        with connect(address, proxy=None, open_timeout=WAIT_S) as client:
            client.send(json.dumps({"type": "auth", "token": token, "public_key_part": KEY_PART}))
            assert json.loads(client.recv(WAIT_S))["success"] is True
            assert json.loads(client.recv(WAIT_S))["type"] in ("statistics", "error")  # error: none yet
            received = [json.loads(client.recv(WAIT_S)) for _ in range(2)]
        sidecar.wait_for(lambda: len(_statistics(file)) >= 2)

    assert [message["type"] for message in received] == ["statistics", "statistics"]
    assert received[0]["data"] != received[1]["data"]
    # What the other test misses, so that missing it proves something.
    assert {"passivbot_file_logger", "passivbot_ws_plugin", "websockets"} <= sidecar.imported()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"path": 5}, "plugins.file_logger.path: must be a path, such as 'logs/statistics.jsonl', not 5"),
        ({"file": "x"}, "plugins.file_logger.file: is not an option; there are enabled and path"),
    ],
)
def test_a_wrong_option_is_one_line_of_the_log(
    installed: Installation, tmp_path: Path, options: dict[str, Any], complaint: str
) -> None:
    config = _write_config(tmp_path, {"websocket": False, "file_logger": options})

    with installed.running(tmp_path, "run", config, "--monitor-root", "monitor") as sidecar:
        sidecar.wait_for_log(r"( ERROR )")

    complaints = [line for line in sidecar.messages() if " ERROR " in line or "Traceback" in line]
    assert len(complaints) == 1
    assert complaints[0].endswith(f"passivbot_file_logger: bot 'main': {complaint}; nothing is written")


def test_it_goes_on_where_it_cannot_write_and_says_so_once(installed: Installation, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a directory should be", encoding="utf-8")
    config = _write_config(tmp_path, {"websocket": False, "file_logger": {"path": "blocked/lines.jsonl"}})
    file = blocked / "lines.jsonl"

    with (
        installed.running(tmp_path, "paper", "monitor", "--interval", "0.1"),
        installed.running(tmp_path, "run", config, "--monitor-root", "monitor") as sidecar,
    ):
        sidecar.wait_for_log(r"(cannot be written)")
        blocked.unlink()
        sidecar.wait_for(lambda: blocked.is_dir() and len(_statistics(file)) >= 1)

    assert sum("cannot be written" in line for line in sidecar.messages()) == 1


def test_switched_off_while_it_runs_it_keeps_its_file_until_the_restart(
    installed: Installation, tmp_path: Path
) -> None:
    config = _write_config(tmp_path, {"websocket": False, "file_logger": {"path": "lines.jsonl"}})
    file = tmp_path / "lines.jsonl"

    with (
        installed.running(tmp_path, "paper", "monitor", "--interval", "0.1"),
        installed.running(tmp_path, "run", config, "--monitor-root", "monitor") as sidecar,
    ):
        sidecar.wait_for(lambda: len(_statistics(file)) >= 1)
        _write_config(tmp_path, {"websocket": False, "file_logger": False})
        sidecar.wait_for_log(r"switched on and off at a restart only: (file_logger)")
        written = len(_statistics(file))
        sidecar.wait_for(lambda: len(_statistics(file)) >= written + 2)

    assert not (tmp_path / "logs").exists()


def test_a_full_file_is_renamed_and_a_new_one_begun(installed: Installation, tmp_path: Path) -> None:
    file, old = tmp_path / "lines.jsonl", tmp_path / "lines.jsonl.1"
    with file.open("wb") as grown:
        grown.truncate(10_000_000)  # takes no room on the disk
    config = _write_config(tmp_path, {"websocket": False, "file_logger": {"path": "lines.jsonl"}})

    with installed.running(tmp_path, "run", config, "--monitor-root", "monitor") as sidecar:
        sidecar.wait_for(old.exists)

    assert b'"event": "config"' in old.read_bytes()[10_000_000:]
    assert [line["event"] for line in _lines(file)] == ["shutdown"]

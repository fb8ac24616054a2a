"""The example plugin as its owner meets it: installed from wheels, switched by a config, run by commands.

The fresh environment gets our three distributions from wheels, and borrows everything else
from the environment that runs the tests: no network is needed, and no name is found by luck.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from clients import address_of, log_in, receive_statistics
from processes import EXAMPLES, ROOT, WAIT_S, Process
from servers import PASSWORD, free_port, write_config

DISTRIBUTIONS = (ROOT / "hookspecs", ROOT, EXAMPLES / "file_logger_plugin")

#: Building and installing takes longer than a test may.
pytestmark = pytest.mark.timeout(300)


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

    def paper(self, directory: Path) -> AbstractContextManager[Process]:
        """A paper bot in ``monitor``, with ten snapshots a second."""
        return self._running(directory, "paper", "monitor", "--interval", "0.1", end=signal.SIGTERM)

    def sidecar(self, directory: Path, *, tells_imports: bool = False) -> AbstractContextManager[Process]:
        """The sidecar that watches it, and tells of each line that is written."""
        return self._running(
            directory, "run", "live.hjson", "--monitor-root", "monitor", "--poll", "0.02", "--verbose",
            end=signal.SIGINT, tells_imports=tells_imports,
        )  # fmt: skip

    @contextmanager
    def _running(
        self, directory: Path, *arguments: str, end: signal.Signals, tells_imports: bool = False
    ) -> Iterator[Process]:
        """Run ``passivbot-hooks`` meanwhile; a signal ends it, with exit code 0 and in time."""
        environment = _environment(PYTHONVERBOSE="1") if tells_imports else _environment()
        with Process(self.bin / "passivbot-hooks", *arguments, cwd=directory, env=environment) as process:
            yield process
            assert process.end(end) == 0, process.output


def _environment(**changes: str) -> dict[str, str]:
    # Whatever steers the Python or the pip that runs the tests is not theirs.
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error", **changes}


def _check(command: list[str], **changes: str) -> str:
    environment = _environment(**{"PYTHONWARNINGS": "", **changes})  # pip's warnings are pip's business
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _imported(process: Process) -> set[str]:
    """The modules that a process imported, told by PYTHONVERBOSE.

    PYTHONPROFILEIMPORTTIME leaves out what `importlib.import_module` imports, and so every plugin.
    """
    return set(re.findall(r"^import '([\w.]+)' #", process.output, re.MULTILINE))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("installed"))


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
    done = installed.call(tmp_path, "plugins", str(write_config(tmp_path / "live.hjson", plugins)))

    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert {name: state for name, _, _, state, *_ in rows} == states
    assert {name: distribution for name, distribution, *_ in rows} == {
        "websocket": "passivbot-ws-plugin",
        "file_logger": "passivbot-file-logger",
    }
    assert (done.returncode, done.stderr) == (0, "")


def test_a_misspelled_toggle_is_told_with_what_was_meant(installed: Installation, tmp_path: Path) -> None:
    done = installed.call(
        tmp_path, "plugins", str(write_config(tmp_path / "live.hjson", {"file_loger": False}))
    )

    assert "WARNING" in done.stderr
    assert "plugins.file_loger: no plugin of that name is installed; did you mean file_logger?" in done.stderr
    assert re.search(r"^file_logger .* on ", done.stdout, re.MULTILINE)
    assert done.returncode == 0


def test_it_takes_the_place_of_the_websocket_plugin(installed: Installation, tmp_path: Path) -> None:
    port = free_port()
    plugins = {"websocket": False, "file_logger": {"path": "own/lines.jsonl"}}
    write_config(tmp_path / "live.hjson", plugins, websocket_port=port)

    with installed.paper(tmp_path), installed.sidecar(tmp_path, tells_imports=True) as sidecar:
        for _ in range(3):
            sidecar.wait_for_line("own/lines.jsonl: statistics written")
        assert not _is_listening(port)

    assert "passivbot_file_logger" in _imported(sidecar)
    assert not {"passivbot_ws_plugin", "websockets"} & _imported(sidecar)
    file = tmp_path / "own" / "lines.jsonl"
    events = [line["event"] for line in _lines(file)]
    assert (events[0], events[-1]) == ("config", "shutdown")
    assert set(events[1:-1]) == {"statistics"}
    statistics = [line["statistics"] for line in _lines(file)[1:-1]]
    assert all(old != new for old, new in pairwise(statistics))
    assert statistics[0]["exchange"] == "fake"
    assert PASSWORD not in file.read_text(encoding="utf-8")


def test_both_plugins_work_side_by_side(installed: Installation, tmp_path: Path) -> None:
    write_config(tmp_path / "live.hjson", {"websocket": True, "file_logger": True})

    with installed.paper(tmp_path), installed.sidecar(tmp_path, tells_imports=True) as sidecar:
        with log_in(address_of(sidecar)) as client:
            first, second = receive_statistics(client), receive_statistics(client)
        for _ in range(2):
            sidecar.wait_for_line("logs/statistics.jsonl: statistics written")

    assert first["data"] != second["data"]
    # What the other test misses, so that missing it proves something.
    assert {"passivbot_file_logger", "passivbot_ws_plugin", "websockets"} <= _imported(sidecar)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"path": 5}, "plugins.file_logger.path: must be a path, such as 'logs/statistics.jsonl', not 5"),
        ({"pat": "x"}, "plugins.file_logger.pat: is not an option; did you mean path?"),
        ({"mode": "x"}, "plugins.file_logger.mode: is not an option; there is path"),
    ],
)
def test_a_wrong_option_is_one_line_of_the_log(
    installed: Installation, tmp_path: Path, options: dict[str, Any], complaint: str
) -> None:
    write_config(tmp_path / "live.hjson", {"websocket": False, "file_logger": options})

    with installed.sidecar(tmp_path) as sidecar:
        sidecar.wait_for_line(" ERROR ")

    [said] = [line for line in sidecar.output.splitlines() if " ERROR " in line or "Traceback" in line]
    assert said.endswith(f"passivbot_file_logger: bot 'main': {complaint}; nothing is written")


def test_it_goes_on_where_it_cannot_write_and_says_so_once(installed: Installation, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a directory should be", encoding="utf-8")
    plugins = {"websocket": False, "file_logger": {"path": "blocked/lines.jsonl"}}
    write_config(tmp_path / "live.hjson", plugins)

    with installed.paper(tmp_path), installed.sidecar(tmp_path) as sidecar:
        sidecar.wait_for_line("cannot be written")
        for _ in range(3):
            sidecar.wait_for(r"bot 'main': snapshot \d+$")
        blocked.unlink()
        sidecar.wait_for_line("blocked/lines.jsonl: statistics written")

    assert sidecar.output.count("cannot be written") == 1
    assert {"statistics", "shutdown"} == {line["event"] for line in _lines(blocked / "lines.jsonl")}


def test_switched_off_and_on_again_while_it_runs(installed: Installation, tmp_path: Path) -> None:
    config, file = tmp_path / "live.hjson", tmp_path / "lines.jsonl"
    options = {"path": "lines.jsonl"}
    write_config(config, {"websocket": False, "file_logger": options})

    with installed.paper(tmp_path), installed.sidecar(tmp_path) as sidecar:
        sidecar.wait_for_line("lines.jsonl: statistics written")
        write_config(config, {"websocket": False, "file_logger": {"enabled": False, **options}})
        sidecar.wait_for(
            r"plugin 'file_logger': switched off for bot 'main'$", r"lines\.jsonl: shutdown written$"
        )
        written = file.read_bytes()
        for _ in range(5):  # the bot trades on
            sidecar.wait_for(r"bot 'main': snapshot \d+$")
        assert file.read_bytes() == written
        write_config(config, {"websocket": False, "file_logger": options})
        sidecar.wait_for(r"lines\.jsonl: config written$", r"lines\.jsonl: statistics written$")

    lives = ["config", "statistics", "shutdown"] * 2
    assert [event for event, _ in groupby(_lines(file), lambda line: line["event"])] == lives
    assert not (tmp_path / "logs").exists()


def test_a_full_file_is_renamed_and_a_new_one_begun(installed: Installation, tmp_path: Path) -> None:
    file, old = tmp_path / "lines.jsonl", tmp_path / "lines.jsonl.1"
    with file.open("wb") as grown:
        grown.truncate(10_000_000)  # takes no room on the disk
    write_config(tmp_path / "live.hjson", {"websocket": False, "file_logger": {"path": "lines.jsonl"}})

    with installed.sidecar(tmp_path) as sidecar:
        sidecar.wait_for_line("lines.jsonl: full; renamed to lines.jsonl.1")

    assert b'"event": "config"' in old.read_bytes()[10_000_000:]
    assert [line["event"] for line in _lines(file)] == ["shutdown"]

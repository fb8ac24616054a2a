from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from monitor_files import state, write_state
from processes import Process, interrupted_at_import, output_that_nobody_reads

from passivbot_hooks.cli import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "live.hjson"
    path.write_text(json.dumps({"live": {"user": "main"}, "plugins": {"websocket": False, "websoket": True}}))
    return path


@pytest.mark.parametrize("command", [[], ["run"], ["plugins"], ["paper"]])
def test_every_command_has_help_that_teaches(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.hjson"], "nowhere.hjson: no such file"),
        (["run", "{config}", "--bot", "x"], "--bot x: give EXCHANGE/USER"),
        (["plugins", "nowhere.hjson"], "nowhere.hjson: no such file"),
    ],
)
def test_what_cannot_start_is_one_clear_line_and_exit_code_2(
    arguments: list[str], said: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.format(config=config) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "x", "--poll", "0"], "must be a number from 0.01 to 60, not '0'"),
        (["run", "x", "--poll", "nan"], "must be a number from 0.01 to 60, not 'nan'"),
        (["paper", "x", "--symbols", "0"], "must be a whole number from 1 to 10000, not '0'"),
        (["paper", "x", "--seed", "x"], "must be a whole number from 0 to 4294967295, not 'x'"),
        (["paper", ""], "argument DIR: must not be empty; the current directory is written as a dot"),
        (["run", ""], "argument CONFIG: must not be empty"),
        (["run", "x", "--monitor-root", ""], "argument --monitor-root: must not be empty"),
        (["plugins", ""], "argument CONFIG: must not be empty"),
        (["paper", "x", "--user", "a/b"], "must be the name of one directory, not a path"),
        (["paper", "x", "--exchange", "../x"], "must be the name of one directory, not a path"),
    ],
)
def test_a_wrong_option_says_what_would_be_right(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_plugins_shows_a_table(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["PLUGIN", "DISTRIBUTION", "STATE", "WHY"]
    [websocket] = [line for line in lines if line.startswith("websocket ")]
    assert "passivbot-ws-plugin" in websocket
    assert "off" in websocket
    assert "plugins.websocket is false" in websocket


def test_plugins_imports_what_is_on_and_calls_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    info = tmp_path / "sample-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[passivbot.plugins]\nremembers = plugins_for_tests:recording\nbroken = plugins_for_tests:number\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / "live.hjson"
    config.write_text('{"live": {"user": "main"}, "plugins": {"nobody": true}}')
    import plugins_for_tests

    plugins_for_tests.recording.calls.clear()
    assert main(["plugins", str(config)]) == 1
    out = capsys.readouterr().out
    assert "type int without any hook" in out
    assert "without any hook" not in caplog.text  # said once
    assert "no plugin of that name is installed" in caplog.text  # what the table has not is said
    assert plugins_for_tests.recording.calls == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_watches_and_ends_cleanly_on_a_signal(
    number: signal.Signals, config: Path, tmp_path: Path
) -> None:
    write_state(tmp_path / "monitor" / "fake" / "main", state())
    with Process.python("passivbot_hooks", "run", config, "--monitor-root", tmp_path / "monitor") as process:
        process.wait_for_line("did you mean websocket?")
        process.wait_for_line("bot 'main': following")
        assert process.end(number, timeout_s=5) == 0
    assert "Traceback" not in process.output


@pytest.mark.parametrize("at", ["first", "pluggy"])
def test_ctrl_c_while_it_is_imported_ends_it_quietly(at: str) -> None:
    with interrupted_at_import("passivbot_hooks", at) as command:
        assert command.wait() == 130
    assert command.output == ""


@pytest.mark.parametrize("command", [("--help",), ("plugins", "{config}"), ("paper", "{root}")])
@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
def test_an_output_that_nobody_reads_is_no_failure(
    command: tuple[str, ...], is_terminal: bool, config: Path
) -> None:
    arguments = (part.format(config=config, root=config.parent) for part in command)
    code, said = output_that_nobody_reads("passivbot_hooks", *arguments, is_terminal=is_terminal)
    assert code == 0
    assert "Traceback" not in said
    assert "cannot write" not in said


PRINTER = """
from passivbot_hooks import hookimpl

@hookimpl
def on_event(bot, event):
    print("TOLD", bot, event.seq, event.kind, flush=True)

@hookimpl
def on_stats_updated(bot, stats):
    print("TOLD", bot, stats.status, flush=True)
"""


def test_run_all_hears_of_a_bot_that_another_process_starts_and_ends(config: Path, tmp_path: Path) -> None:
    info = tmp_path / "lib" / "sample-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[passivbot.plugins]\nprinter = printer_for_tests\n")
    (tmp_path / "lib" / "printer_for_tests.py").write_text(PRINTER)
    root = tmp_path / "monitor"
    with Process.python(
        "passivbot_hooks", "run", config, "--monitor-root", root, "--all", "--poll", "0.02",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "lib"), os.environ["PYTHONPATH"]])},
    ) as sidecar:  # fmt: skip
        sidecar.wait_for_line(f"watching every other bot below {root}")
        with Process.python(
            "passivbot_hooks", "paper", root, "--interval", "0.05", "--symbols", "2", "--user", "other"
        ) as bot:
            sidecar.wait_for_line("bot 'other': found, without a config")
            sidecar.wait_for_line("TOLD other 1 bot.started")
            sidecar.wait_for_line("TOLD other running")
            assert bot.end() == 0
        # In either order: the process may be seen to be gone before its last line is read.
        sidecar.wait_for("TOLD other [0-9]+ bot.stopped", "TOLD other stopped")
        assert sidecar.end() == 0
    assert "Traceback" not in sidecar.output
    assert "TOLD other 2 order.placed" in sidecar.output


def test_run_names_the_bots_that_are_there_where_its_own_is_not(config: Path, tmp_path: Path) -> None:
    write_state(tmp_path / "bybit" / "main", state())
    with Process.python(
        "passivbot_hooks", "run", config, "--monitor-root", tmp_path, "--bot", "okx/main"
    ) as process:
        process.wait_for_line(f"no okx/main in {tmp_path} (there is bybit/main) yet")
        assert process.end() == 0


def test_run_waits_for_the_bot_and_says_which_passivbot_it_needs(config: Path, tmp_path: Path) -> None:
    root = tmp_path / "monitor"
    with Process.python("passivbot_hooks", "run", config, "--monitor-root", root) as process:
        process.wait_for_line(
            f"no directory {root} yet; a bot makes it when it first runs, a Passivbot from v7.9 on"
        )
        assert process.end() == 0


def test_paper_writes_until_a_signal(tmp_path: Path) -> None:
    with Process.python(
        "passivbot_hooks", "paper", tmp_path, "--interval", "0.05", "--symbols", "2"
    ) as process:
        assert "no exchange and no money" in process.wait_for_line("paper bot:")
        process.wait_for_line("writing")
        assert process.end(signal.SIGINT) == 0
    events = (tmp_path / "fake" / "main" / "events" / "current.ndjson").read_text()
    assert '"kind":"bot.stopped"' in events


def test_a_second_paper_bot_in_one_folder_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fake" / "main"
    with Process.python(
        "passivbot_hooks", "paper", tmp_path, "--interval", "0.05", "--symbols", "1"
    ) as first:
        first.wait_for_line("writing")
        assert main(["paper", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert said == (
            f"passivbot-hooks: another paper bot writes {path}; end that one, or give another --user\n"
        )
        assert first.end() == 0
    with Process.python("passivbot_hooks", "paper", tmp_path, "--symbols", "1") as again:
        again.wait_for_line("writing")
        assert again.end() == 0


@pytest.mark.parametrize("manifest", ['{"runtime": {"passivbot_version": "8.1.0"}}', '{"pid": 1}'])
def test_a_paper_bot_does_not_write_over_another_bots_files(
    manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fake" / "main"
    path.mkdir(parents=True)
    (path / "manifest.json").write_text(manifest)
    assert main(["paper", str(tmp_path)]) == 2
    assert f"{path} holds the files of a bot that is not of paper" in capsys.readouterr().err
    assert [file.name for file in path.iterdir()] == ["manifest.json"]


def test_paper_says_where_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["paper", str(tmp_path / "file")]) == 2
    assert "cannot write" in capsys.readouterr().err

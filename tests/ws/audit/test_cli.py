from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import Process

from passivbot_ws_plugin.audit import Audit, Visitor
from passivbot_ws_plugin.audit.file import AuditFile
from passivbot_ws_plugin.audit.store import rotated
from passivbot_ws_plugin.cli import main


def write(path: Path, *reasons: str, max_bytes: int = 10_000_000) -> Path:
    audit = Audit(AuditFile(path, max_bytes=max_bytes, keep=2))
    for number, reason in enumerate(reasons):
        visitor = Visitor("c0ffee00", f"10.0.0.{number}", 5, "\x1b[2Jorigin", "\x1b[31m", "/")
        audit.record("auth.failure", visitor, reason=reason, latency_s=0, method="token", failures=number)
    audit.close()
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "audit.jsonl", "one", "two", "three")


def test_verify_says_that_the_chain_holds(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", str(log)]) == 0
    assert capsys.readouterr().out == f"{log}: 3 records, chain holds\n"


def test_verify_counts_one_record_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write(tmp_path / "a", "one")
    assert main(["audit", "verify", str(log)]) == 0
    assert capsys.readouterr().out == f"{log}: 1 record, chain holds\n"


def test_verify_says_where_the_oldest_file_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write(tmp_path / "a", *"abcdef", max_bytes=1)
    assert main(["audit", "verify", str(rotated(log, 2))]) == 0
    assert capsys.readouterr().out == f"{rotated(log, 2)}: 1 record, begins with record 4, chain holds\n"


def test_verify_names_the_first_bad_line(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_bytes(log.read_bytes().replace(b"two", b"2"))
    assert main(["audit", "verify", str(log)]) == 1
    assert capsys.readouterr().out == f"{log}: line 2: edited: its mac does not fit what it says\n"


def test_verify_names_the_line_that_is_missing(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    assert main(["audit", "verify", str(log)]) == 1
    said = capsys.readouterr().out
    assert said == f"{log}: line 3: cut off: the file ends with record 2, the head is at 3\n"


def test_what_cannot_be_read_is_exit_code_2(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("verify", "tail"):
        assert main(["audit", command, str(log.with_name("nowhere"))]) == 2
    missing, nowhere = capsys.readouterr().err.splitlines()
    assert missing.startswith(f"passivbot-ws: {log.with_name('nowhere')}: No such file or directory")
    assert nowhere == f"passivbot-ws: {log.with_name('nowhere')}: No such file or directory"
    rotated(log, "key").unlink()
    assert main(["audit", "verify", str(log)]) == 2


def test_tail_shows_a_table_and_no_control_character(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with log.open("ab") as file:
        file.write(b"\x1b[2J\n" + b'{"event":"auth.success","peer":"\\u001b[2J\\u202e"}\n')
    assert main(["audit", "tail", str(log), "-n", "4"]) == 0
    out = capsys.readouterr().out
    header, two, three, bad, forged = out.splitlines()
    assert header.split() == ["time", "event", "peer", "key", "method", "reason", "count", "failures"]
    assert two.split()[1:] == ["auth.failure", "10.0.0.1", "-", "token", "two", "-", "1"]
    assert three.index("three") == header.index("reason")
    assert bad == "(not a record: 5 bytes)"
    assert "\\x1b[2J\\u202e" in forged
    assert out.replace("\n", "").isprintable()


def test_tail_without_a_file_reads_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("logs/websocket_audit.jsonl"), "hello")
    assert main(["audit", "tail"]) == 0
    assert "hello" in capsys.readouterr().out


def test_tail_without_a_file_where_there_is_none_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["audit", "tail"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "passivbot-ws: no logs/websocket_audit.jsonl here; run this where the sidecar runs"
    )


def test_tail_of_a_config_shows_nothing_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "live.hjson"
    config.write_text('{\n"live": {\n"websocket_password": "hunter2"\n}\n}\n')
    assert main(["audit", "tail", str(config)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"passivbot-ws: {config}: none of its last lines is a record; is it an audit log?\n"


def test_tail_of_a_log_whose_last_line_is_damaged_is_one_of_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    write(log, "hello")
    with log.open("a") as file:
        file.write("garbled\n")
    assert main(["audit", "tail", "-n", "1", str(log)]) == 0
    out = capsys.readouterr().out
    assert "hello" not in out
    assert "not a record: 8 bytes" in out


def test_tail_of_a_log_without_a_line_is_no_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "empty.jsonl"
    log.touch()
    assert main(["audit", "tail", str(log)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("command", ["tail", "verify"])
def test_a_folder_is_no_log(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["audit", command, "."]) == 2
    assert capsys.readouterr().err == "passivbot-ws: .: is not a regular file\n"


@pytest.mark.parametrize("count", ["-1", "x", "1000001"])
def test_a_count_that_is_none_is_refused(count: str, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["audit", "tail", str(log), f"-n={count}"])
    assert caught.value.code == 2
    assert "-n: must be a whole number from 1 to 1000000, not" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_tail_follows_through_rotations_until_it_is_told_to_end(number: signal.Signals, log: Path) -> None:
    with Process.python("passivbot_ws_plugin", "audit", "tail", "-f", log) as tail:
        tail.wait_for_line("three")
        write(log, "four")
        tail.wait_for_line("four")
        write(log, "five", max_bytes=1)
        tail.wait_for_line("five")
        write(log, "six")
        tail.wait_for_line("six")
        assert tail.end(number) == 0
    assert "Traceback" not in tail.output


@pytest.mark.parametrize("options", [["-n", "100000"], ["--follow", "-n", "100000"]])
def test_a_reader_that_leaves_is_no_error(options: list[str], tmp_path: Path) -> None:
    log = write(tmp_path / "a", "one")
    log.write_bytes(log.read_bytes() * 5000)  # more than a pipe holds
    command = [sys.executable, "-m", "passivbot_ws_plugin", "audit", "tail", str(log), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        assert tail.stdout.readline().startswith("time")
        tail.stdout.close()
        assert tail.stderr.read() == ""
        assert tail.wait(20) == 0


@pytest.mark.parametrize("command", [[], ["verify"], ["tail"]])
def test_every_command_has_help_that_teaches(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["audit", *command, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) > 10
    assert not command or "passivbot-ws audit " + command[0] in out.partition("examples:")[2]

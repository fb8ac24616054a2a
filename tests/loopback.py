"""Real processes on this machine: heard line by line, ended by their id, everything within bounds."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
JS_CLIENT: Final = ROOT / "examples" / "js-client"

#: What a process may take to start and speak, and to end; seconds. A loaded machine needs some.
SPEAK_S: Final = 20.0
END_S: Final = 15.0


class RunningProcess:
    """A process whose output, both streams in one, is read as it comes.

    Attributes:
        transcript: The lines heard so far.
    """

    def __init__(self, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
        self.transcript: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def wait_for(self, *patterns: str, timeout_s: float = SPEAK_S) -> list[re.Match[str]]:
        """Read on until each pattern was found in a line; returns the first match of each."""
        deadline = time.monotonic() + timeout_s
        found: dict[str, re.Match[str]] = {}
        while len(found) < len(patterns):
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                missing = [pattern for pattern in patterns if pattern not in found]
                raise AssertionError(f"never said {missing}:\n" + "\n".join(self.transcript))
            self.transcript.append(line)
            for pattern in patterns:
                if pattern not in found and (match := re.search(pattern, line)):
                    found[pattern] = match
        return [found[pattern] for pattern in patterns]

    def interrupt(self, signal_number: int) -> None:
        """Send a signal."""
        self._process.send_signal(signal_number)

    def wait(self) -> int:
        """Wait for the end; returns the exit code."""
        return self._process.wait(END_S)

    def end(self) -> int:
        """End it, politely if it can be; returns the exit code."""
        self._process.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(END_S)
            raise
        finally:
            self._reader.join(END_S)
            assert self._process.stdout is not None
            self._process.stdout.close()


@contextmanager
def running(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None
) -> Iterator[RunningProcess]:
    """A process that runs until the block ends, at most."""
    process = RunningProcess(command, env=env)
    try:
        yield process
    finally:
        process.end()


class Credentials(NamedTuple):
    """What a client needs."""

    address: str
    password: str
    key_part: str


@contextmanager
def demo_server() -> Iterator[Credentials]:
    """A paper bot on a free port; it must end with exit code 0."""
    process = RunningProcess([sys.executable, "-m", "passivbot_ws_plugin", "demo", "--port", "0"])
    try:
        said = process.wait_for(
            r"^ +address +(ws://127\.0\.0\.1:\d+)$", r"^ +password +(\S+)$", r"^ +public key part +(\S+)$"
        )
        yield Credentials(*(match[1] for match in said))
    finally:
        code = process.end()
    assert code == 0, "\n".join(process.transcript)


def published_client(credentials: Credentials) -> str:
    """The published client's text, with another address and other credentials and nothing else."""
    text = (JS_CLIENT / "published.js").read_text(encoding="utf-8")
    published = ("ws://localhost:8765", "your_secret_bot_password", "client_A_key")
    for literal, actual in zip(published, credentials, strict=True):
        assert text.count(f'"{literal}"') == 1
        text = text.replace(f'"{literal}"', f'"{actual}"')
    return text

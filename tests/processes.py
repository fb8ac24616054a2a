"""Commands as processes: heard line by line, ended by their id, every wait within a bound."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parents[1]
EXAMPLES: Final = ROOT / "examples"

#: What a process may take to say something, or to end; seconds. A loaded machine needs some.
WAIT_S: Final = 20.0

# A script's `command &` starts us with Ctrl-C ignored, which each child would inherit, and keep.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Process:
    """A process whose output, both streams in one, is read as it comes.

    Use it as a context manager: at its end the process is gone, whatever happened.
    """

    def __init__(
        self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._heard = 0  # lines that a wait has looked at
        # Guards the two below, which the thread writes.
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._is_at_end = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def python(
        cls,
        module: str,
        *arguments: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Self:
        """``python -m module ...`` with the interpreter that runs the tests."""
        return cls(sys.executable, "-m", module, *arguments, cwd=cwd, env=env)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._is_at_end = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @property
    def output(self) -> str:
        """All that it has said so far."""
        with self._changed:
            return "\n".join(self._lines)

    def wait_for(self, *patterns: str, timeout_s: float = WAIT_S) -> list[re.Match[str]]:
        """Hear lines, from where the last wait stopped, until each pattern was found in one.

        Returns:
            The first match of each pattern, in the patterns' order.
        """
        deadline = time.monotonic() + timeout_s
        found: dict[str, re.Match[str]] = {}
        while missing := [pattern for pattern in patterns if pattern not in found]:
            line = self._next_line(deadline)
            if line is None:
                how = "ended" if self._is_at_end else f"ran for {timeout_s:g} s"
                raise AssertionError(f"it {how} without saying {missing}; so far:\n{self.output}")
            for pattern in missing:
                if match := re.search(pattern, line):
                    found[pattern] = match
        return [found[pattern] for pattern in patterns]

    def _next_line(self, deadline: float) -> str | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_at_end or len(self._lines) > self._heard,
                max(0.0, deadline - time.monotonic()),
            )
            if len(self._lines) == self._heard:
                return None
            self._heard += 1
            return self._lines[self._heard - 1]

    def wait_for_line(self, text: str, timeout_s: float = WAIT_S) -> str:
        """The next line that holds the text."""
        [match] = self.wait_for(re.escape(text), timeout_s=timeout_s)
        return match.string

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = WAIT_S) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.send(number)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = WAIT_S) -> int:
        """Wait for the end and for the last of the output; returns the exit code."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end in {timeout_s:g} s; so far:\n{self.output}") from None
        self._reader.join(timeout_s)
        assert self._is_at_end, f"it ended, but a child of it keeps its output open:\n{self.output}"
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()


def output_that_nobody_reads(*command: str | Path, is_terminal: bool = False) -> tuple[int, str]:
    """Run a command whose output's reader left before it began; its exit code and what it complains of.

    Args:
        command: A module, and its arguments.
        is_terminal: Whether the output is a terminal that was closed, in place of a pipe.
    """
    reading, writing = os.openpty() if is_terminal else os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            (sys.executable, "-m", *command), stdout=writing, stderr=subprocess.PIPE,
            text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    return done.returncode, done.stderr


#: A command, with Ctrl-C at its first import that is not its own, or at that of a module.
_INTERRUPTED: Final = """
import importlib, sys

package, at = sys.argv[1:]

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == at or at == "first" and not name.startswith(package):
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
sys.exit(importlib.import_module(package + ".__main__").main())
"""


def interrupted_at_import(package: str, at: str) -> Process:
    """A package's command that gets Ctrl-C while it is imported.

    Args:
        package: Whose command.
        at: The module at whose import it comes; ``first``: the first that is not the package's own.
    """
    # Not measured: what measures would do the first import.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return Process(sys.executable, "-c", _INTERRUPTED, package, at, env=env)

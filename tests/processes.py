"""Our commands as processes: started, read line by line with a bound, ended by their id."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class Process:
    """A process whose standard output and error are read as they come.

    Use it as a context manager: at its end the process is gone, whatever happened.
    """

    def __init__(
        self, *command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self._process.stdout, self._process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    @classmethod
    def python(cls, *arguments: str | Path, cwd: Path | None = None) -> Self:
        """``python -m ...`` with the interpreter that runs the tests."""
        return cls(sys.executable, "-m", *arguments, cwd=cwd)

    def _read(self, stream: IO[str] | None) -> None:
        assert stream is not None
        with stream:
            for line in stream:
                self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_line(self, text: str, timeout_s: float = 20.0) -> str:
        """The next line, of either stream, that holds the text."""
        deadline = time.monotonic() + timeout_s
        open_streams = len(self._readers)
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"no line with {text!r} within {timeout_s} s; so far:\n{self.output}"
                ) from None
            if line is None:
                open_streams -= 1
                if not open_streams:
                    raise AssertionError(f"ended without a line with {text!r}; it said:\n{self.output}")
                continue
            self.lines.append(line)
            if text in line:
                return line

    @property
    def output(self) -> str:
        """All lines read so far."""
        return "\n".join(self.lines)

    def end(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 20.0) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self._process.send_signal(number)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 20.0) -> int:
        """Wait for the end by itself; returns the exit code."""
        code = self._process.wait(timeout_s)
        for reader in self._readers:
            reader.join(timeout_s)
        while not self._queue.empty():
            line = self._queue.get()
            if line is not None:
                self.lines.append(line)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()

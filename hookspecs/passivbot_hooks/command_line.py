"""What every command of ours needs: its subcommands, logs on stderr, its ends, numbers within bounds."""

from __future__ import annotations

import _thread
import argparse
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    description: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    """Add a subcommand; the lines of its help stay as they are written."""
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def configure_logging(*, verbose: bool) -> None:
    """Send all logs to stderr. Only a command does this; the library never does."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        stream=sys.stderr,
    )


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set; the old handlers come back afterwards."""
    stop = threading.Event()

    def handle(signum: int, frame: object) -> None:
        # Not stop.set() here: the handler runs on the main thread, between any two of its
        # instructions, which may be inside stop.wait() and hold the event's own lock.
        _thread.start_new_thread(stop.set, ())

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)  # the terminal closed; nohup asks not to hear of it
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """End quietly where the reader of our output left: ``| head`` does, and a terminal that is closed."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as exc:
        if not (isinstance(exc, BrokenPipeError) or (exc.errno == errno.EIO and _is_closed_terminal())):
            raise
        # What is not written yet must not fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_closed_terminal() -> bool:
    """Whether our output is a terminal that is no more, so that an I/O error is no disk's."""
    try:
        os.write(sys.stdout.fileno(), b"")
    except OSError as exc:
        return exc.errno == errno.EIO
    return False


def given_path(text: str) -> Path:
    """A type for argparse: a path. An empty one, of an unset variable, would be the current directory."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty; the current directory is written as a dot (.)")
    return Path(text)


def number_from(low: float, high: float, kind: type[float] = float) -> Callable[[str], float]:
    """A type for argparse: a number within bounds, with an error that says which."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            whole = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {whole} from {low} to {high}, not {text!r:.40}")
        return value

    return parse

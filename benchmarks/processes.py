"""Processes of a benchmark: spoken to over a pipe, ended by their id, every wait within a bound."""

from __future__ import annotations

import asyncio
import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, Self

#: What a process may take for an answer, seconds. A login of 5,000 takes some.
ANSWER_S: Final = 120.0

#: What it may take to end by itself.
_END_S: Final = 10.0

#: A new interpreter, not a copy of this one: memory is measured too.
_context: Final = multiprocessing.get_context("spawn")


class ProcessError(Exception):
    """A process of the benchmark failed, or did not answer in time."""


class Child:
    """A process that runs ``main(pipe, *arguments)``; gone when the context is left.

    Args:
        main: A function of a module. It answers each command it takes from the pipe with
            ``("done", value)``, which `serve` does for it, and returns at ``None``.
        arguments: What else it is given.
    """

    def __init__(self, main: Callable[..., None], *arguments: object) -> None:
        self._pipe, theirs = _context.Pipe()
        self._name = main.__module__
        self._process = _context.Process(target=_run, args=(main, theirs, *arguments))
        self._process.start()
        theirs.close()

    def post(self, *command: object) -> None:
        """Give a command, without waiting for its answer."""
        self._pipe.send(command)

    def take(self) -> Any:
        """The answer to the oldest command without one.

        Raises:
            ProcessError: It failed, ended, or took too long.
        """
        if not self._pipe.poll(ANSWER_S):
            raise ProcessError(f"{self._name}: no answer in {ANSWER_S:g} s")
        try:
            kind, value = self._pipe.recv()
        except EOFError:
            raise ProcessError(f"{self._name}: ended without an answer") from None
        if kind == "failed":
            raise ProcessError(f"{self._name}: {value}")
        return value

    def ask(self, *command: object) -> Any:
        """Give a command, and wait for its answer."""
        self.post(*command)
        return self.take()

    async def answer(self) -> Any:
        """As `take`, while the caller's loop goes on."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._pipe.fileno(), readable.set)
        try:
            async with asyncio.timeout(ANSWER_S):
                await readable.wait()
        finally:
            loop.remove_reader(self._pipe.fileno())
        return self.take()

    async def ask_async(self, *command: object) -> Any:
        """As `ask`, while the caller's loop goes on."""
        self.post(*command)
        return await self.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc_type is None and self._process.is_alive():
            self._pipe.send(None)
            self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._pipe.close()


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """Call a function of a module in a process of its own, and return what it returns."""
    with Child(_call, function, arguments) as child:
        return child.take()


def serve(pipe: Connection, commands: dict[str, Callable[..., Any]]) -> None:
    """Answer commands by functions, until there are no more."""
    while (command := pipe.recv()) is not None:
        name, *arguments = command
        pipe.send(("done", commands[name](*arguments)))


def _call(pipe: Connection, function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    pipe.send(("done", function(*arguments)))
    pipe.recv()


def _run(main: Callable[..., None], pipe: Connection, *arguments: object) -> None:
    try:
        main(pipe, *arguments)
    except (EOFError, KeyboardInterrupt):  # the parent is gone, or everybody was told to stop
        return
    except BaseException:
        pipe.send(("failed", traceback.format_exc()))
        raise

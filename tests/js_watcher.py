"""The JavaScript client module in a Node process, heard line by line."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from demo_server import JS_CLIENT
from processes import WAIT_S
from servers import KEY, PASSWORD

NODE: Final = shutil.which("node") or "node"
WATCH: Final = Path(__file__).parent / "js" / "watch.mjs"
WS_PACKAGE: Final = JS_CLIENT / "node_modules" / "ws"

needs_node: Final = [
    pytest.mark.skipif(shutil.which("node") is None, reason="needs node"),
    pytest.mark.skipif(not WS_PACKAGE.is_dir(), reason="needs npm install in examples/js-client"),
]

#: Comes back at once: no test waits for a pause that it does not test.
AT_ONCE: Final = {"baseMs": 1, "maxMs": 2, "laterMs": 1}

#: A whole state of many positions and details is longer than asyncio's lines are by default.
_LINE_BYTES: Final = 1 << 24


class Watcher:
    """What the module tells its callbacks: lists, the callback's kind first.

    Attributes:
        heard: All so far.
        received: What came over the wire so far, as text.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.heard: list[list[Any]] = []
        self.received: list[str] = []
        self._process = process

    async def next(self) -> list[Any]:
        """The next thing that it tells."""
        assert self._process.stdout is not None
        while True:
            async with asyncio.timeout(WAIT_S):
                line = await self._process.stdout.readline()
            assert line, f"it ended; last heard: {self.heard[-5:]}"
            if self._tells(json.loads(line)):
                return self.heard[-1]

    def _tells(self, told: list[Any]) -> bool:
        """Keep a line; whether the module tells it, and not the socket."""
        if told[0] == "received":
            self.received.append(told[1])
            return False
        self.heard.append(told)
        return True

    async def wait_for(self, kind: str, **members: Any) -> list[Any]:
        """Hear until that is told, with such members in what comes after the kind."""
        while True:
            told = await self.next()
            parts = [part for part in told[1:] if isinstance(part, dict)]
            found = {name: value for part in parts for name, value in part.items()}
            if told[0] == kind and all(found.get(name) == value for name, value in members.items()):
                return told

    async def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of the connection; what came of it."""
        self.begin_call(method, *arguments)
        while (told := await self.next())[0] not in {"answer", "refused"}:
            pass
        return told

    def begin_call(self, method: str, *arguments: Any) -> None:
        """Call it, and hear of it later."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, *arguments]).encode() + b"\n")

    async def rest(self) -> list[list[Any]]:
        """All that it tells until it ends by itself, which it must do well."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(WAIT_S):
            told = [json.loads(line) async for line in self._process.stdout]
            assert (await self._process.stderr.read(), await self._process.wait()) == (b"", 0)
        return [line for line in told if self._tells(line)]


@asynccontextmanager
async def watching(
    address: str, *channels: str, password: str = PASSWORD, **options: Any
) -> AsyncIterator[Watcher]:
    """A client of those channels; at the end it is gone, whatever happened."""
    arguments = {
        "url": address, "password": password, "publicKeyPart": KEY, "retry": AT_ONCE,
        "channels": channels or ("statistics",), **options,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        NODE, WATCH, json.dumps(arguments), limit=_LINE_BYTES,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Watcher(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()

"""A WebSocket server that is not ours, and says what a test wants; what it is told must be valid."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import schemas
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

CHALLENGE: Final = {"type": "challenge", "data": "r=NONCEmore,s=QUFBQUFBQUFBQUFBQUFBQQ==,i=4096"}
WELCOME: Final = {"type": "auth_result", "success": True, "message": "Authentication successful"}


@asynccontextmanager
async def impostor(
    *answers: dict[str, Any],
    status: int | None = None,
    headers: dict[str, str] | None = None,
    unasked: dict[str, Any] | bytes | None = None,
    closes: int | None = None,
) -> AsyncIterator[tuple[str, list[str | bytes]]]:
    """Its address, and what it is told.

    Args:
        answers: What it answers, one to each message; ``NONCE`` in it is the client's.
        status: The HTTP status with which it refuses each handshake.
        headers: Of that refusal.
        unasked: What it says after its answers; bytes: in a binary frame.
        closes: The code with which it closes then.
    """
    told: list[str | bytes] = []

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return None if status is None else Response(status, "", Headers(headers or {}), b"")

    async def answer(connection: ServerConnection) -> None:
        for message in answers:
            told.append(await connection.recv())
            nonce = json.loads(told[0]).get("data", "").rpartition("r=")[2]
            await connection.send(json.dumps(message).replace("NONCE", nonce))
        if unasked is not None:
            await connection.send(unasked if isinstance(unasked, bytes) else json.dumps(unasked))
        if closes is not None:
            await connection.close(closes)
        told.extend([frame async for frame in connection])

    async with serve(answer, "127.0.0.1", 0, process_request=refuse, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", told
    for frame in told:
        schemas.check_request(json.loads(frame))

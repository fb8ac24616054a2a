"""Plain HTTP on the server's port."""

from __future__ import annotations

import asyncio
import json

import pytest
from servers import (
    PASSWORD,
    serving,
)

from passivbot_ws_plugin.asyncapi import make_document


async def plain_http(address: str, method: str, path: str) -> tuple[int, bytes]:
    host, port = address.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split(b" ")[1]), body


@pytest.mark.parametrize("path", ["/", "/health", "/health?x", "/?token=x", "/healthz/", "//healthz"])
async def test_plain_http_is_not_found_and_health_above_all(path: str) -> None:
    async with serving() as (_, address):
        status, body = await plain_http(address, "GET", path)
        assert status == 404
        assert b"WebSocket server" in body
        assert b"ws://" not in body  # it would be wrong over TLS, and behind a TLS proxy
        assert await plain_http(address, "HEAD", path) == (404, b"")
        assert (await plain_http(address, "POST", path))[0] == 405


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_says_little(path: str) -> None:
    async with serving() as (_, address):
        status, body = await plain_http(address, "GET", path)
        assert (status, json.loads(body)) == (200, {"status": "ok"})


async def test_the_contract_is_served_to_anybody() -> None:
    async with serving() as (_, address):
        status, body = await plain_http(address, "GET", "/asyncapi.json?x")
        assert (status, json.loads(body)) == (200, make_document())
        assert await plain_http(address, "HEAD", "/asyncapi.json") == (200, b"")
        assert (await plain_http(address, "POST", "/asyncapi.json"))[0] == 405
        assert (await plain_http(address, "GET", "/prefix/asyncapi.json"))[0] == 404
        assert PASSWORD.encode() not in body

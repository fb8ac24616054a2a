from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
import trustme
from certificates import Authority, TlsByHand
from raw import open_raw

from passivbot_ws_plugin.errors import SettingsError
from passivbot_ws_plugin.server.certificate import Certificate
from passivbot_ws_plugin.server.tls import Threshold
from passivbot_ws_plugin.settings.options import Tls


def write(directory: Path, certificate: trustme.LeafCert) -> Tls:
    files = Tls(str(directory / "cert.pem"), str(directory / "key.pem"))
    certificate.private_key_pem.write_to_path(files.key)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    Path(files.cert).write_bytes(chain)
    return files


def test_what_is_no_certificate_says_so(tmp_path: Path) -> None:
    authority = trustme.CA()
    files = write(tmp_path, authority.issue_cert("127.0.0.1"))
    context = Certificate(files).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    with pytest.raises(SettingsError, match=r"plugins\.websocket\.tls\.cert: the file .* cannot be read"):
        Certificate(Tls(str(tmp_path / "nowhere"), files.key))
    with pytest.raises(SettingsError, match=r"plugins\.websocket\.tls\.key: .* is not a regular file"):
        Certificate(Tls(files.cert, str(tmp_path)))
    with pytest.raises(SettingsError, match="no certificate and its private key"):
        Certificate(Tls(files.key, files.key))
    authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(files.key)
    with pytest.raises(SettingsError, match="no certificate and its private key"):
        Certificate(files)


def test_a_certificate_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, trustme.CA().issue_cert("127.0.0.1"))
    files = Tls("~/cert.pem", "~/key.pem")
    certificate = Certificate(files)
    (tmp_path / "cert.pem").unlink()
    with pytest.raises(SettingsError, match=rf"{tmp_path}/cert\.pem cannot be read"):
        Certificate(files)
    assert certificate._signature() != certificate._seen
    with pytest.raises(SettingsError, match=r"plugins\.websocket\.tls\.key: '~nosuchuser/key' is no path"):
        Certificate(Tls(files.cert, "~nosuchuser/key"))


def test_a_changed_certificate_is_used_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    authority = trustme.CA()
    files = write(tmp_path, authority.issue_cert("127.0.0.1"))
    certificate = Certificate(files)
    certificate.reload_if_changed()
    assert not caplog.records
    Path(files.cert).write_text("half a certificate")
    certificate.reload_if_changed()
    certificate.reload_if_changed()
    assert caplog.text.count("tls.not_reloaded") == 1
    Path(files.cert).unlink()
    os.mkfifo(files.cert)
    certificate.reload_if_changed()  # does not wait for a writer
    assert caplog.text.count("tls.not_reloaded") == 2
    Path(files.cert).unlink()
    write(tmp_path, authority.issue_cert("127.0.0.1"))
    certificate.reload_if_changed()
    assert "tls.reloaded" in caplog.text


class Doorstep(Threshold):
    """A threshold that says when something came."""

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        super().__init__(transport, protocol)
        self.came = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.came.set()


class Visitor(asyncio.Protocol):
    """The server's side of a connection, of which something is read before its TLS begins."""

    def __init__(self) -> None:
        self.doorstep: asyncio.Future[Doorstep] = asyncio.get_running_loop().create_future()
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        self.doorstep.set_result(Doorstep(transport, self))
        transport.resume_reading()  # uvloop does so by itself

    def data_received(self, data: bytes) -> None:
        self.heard.put_nowait(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


@asynccontextmanager
async def visited() -> AsyncIterator[tuple[Visitor, int]]:
    """The one who will come, and the port to come to."""
    visitor = Visitor()
    listener = await asyncio.get_running_loop().create_server(lambda: visitor, "127.0.0.1", 0)
    try:
        async with asyncio.timeout(10):
            yield visitor, listener.sockets[0].getsockname()[1]
            await visitor.lost.wait()
    finally:
        listener.close()
        await listener.wait_closed()


@pytest.mark.parametrize("early", [1, 100, None], ids=["a byte", "a part", "the whole hello"])
async def test_what_comes_before_tls_begins_is_for_tls(tmp_path: Path, early: int | None) -> None:
    authority = Authority(tmp_path)
    context, tls = Certificate(Tls(**authority.files)).context, TlsByHand(authority.trust)
    async with visited() as (visitor, port):
        client, hello = await open_raw(f"ws://127.0.0.1:{port}"), tls.hello()
        await client.send(hello[:early])
        doorstep = await visitor.doorstep
        await doorstep.came.wait()
        assert doorstep.data == hello[:early]
        securing = asyncio.create_task(doorstep.secure(context, handshake_s=5.0, shutdown_s=0.1))
        await client.send(hello[len(doorstep.data) :])
        await client.send(tls.finish(await client.reader.read(65_536), b"over TLS"))
        secured, heard = await securing
        assert (heard or await visitor.heard.get()) == b"over TLS"
        secured.abort()
        await client.ended()
        await client.close()


async def test_a_loss_before_tls_begins_is_told() -> None:
    async with visited() as (visitor, port):
        client = await open_raw(f"ws://127.0.0.1:{port}")
        await visitor.doorstep
        client.reset()
        await visitor.lost.wait()

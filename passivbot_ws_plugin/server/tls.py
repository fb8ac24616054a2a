"""The beginning of TLS on a connection that is there already."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from passivbot_ws_plugin.errors import TlsHandshakeError


class _Early(asyncio.Protocol):
    """Keeps what comes before anybody is there to hear it."""

    def __init__(self) -> None:
        self.data = bytearray()

    def data_received(self, data: bytes) -> None:
        self.data += data


class Threshold(_Early):
    """Where a connection waits from when it is accepted until its TLS begins.

    What comes meanwhile is for TLS. asyncio reads nothing of a transport that is paused in
    `connection_made`; uvloop begins to read after it all the same.

    Args:
        transport: The connection's, plain; of which nothing was read yet.
        protocol: What is to speak over TLS. Until TLS begins, it is told if the connection is lost.
    """

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._transport = transport
        self._protocol = protocol
        transport.set_protocol(self)
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Keep it, and have no more of it read before TLS does."""
        self._transport.pause_reading()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._protocol.connection_lost(exc)

    async def secure(
        self, context: ssl.SSLContext, *, handshake_s: float, shutdown_s: float
    ) -> tuple[asyncio.Transport, bytes]:
        """Do the server's part of a TLS handshake.

        The protocol is the new transport's from then on. It is told nothing of the handshake, its
        failure neither.

        Args:
            context: The certificate.
            handshake_s: What the handshake may take.
            shutdown_s: What the other end may take to answer the end of TLS.

        Returns:
            The transport over TLS, and what came over it already.

        Raises:
            TlsHandshakeError: There is no TLS; the plain transport is cut off.
        """
        loop, transport, early = asyncio.get_running_loop(), self._transport, _Early()
        if self.data:  # `start_tls` puts TLS's protocol in place at once, and has it read a turn later
            loop.call_soon(self._hand_over)
        try:
            secured = await loop.start_tls(
                transport, early, context, server_side=True, ssl_handshake_timeout=handshake_s,
                ssl_shutdown_timeout=shutdown_s,
            )  # fmt: skip
        except OSError as exc:  # TLS's own errors too
            transport.abort()
            is_garbage = isinstance(exc, ssl.SSLError)
            raise TlsHandshakeError("bad TLS handshake" if is_garbage else "no TLS handshake") from exc
        # asyncio has no error for a connection that was cut off meanwhile, nor for one that ended its
        # TLS in the same breath as it began it.
        if secured is None or secured.is_closing():
            transport.abort()
            raise TlsHandshakeError("no TLS handshake")
        secured.set_protocol(self._protocol)
        return secured, bytes(early.data)

    def _hand_over(self) -> None:
        """Have TLS read what was kept, as if it came now."""
        tls = cast("asyncio.BufferedProtocol", self._transport.get_protocol())
        while self.data:
            buffer = memoryview(tls.get_buffer(len(self.data)))
            size = min(len(buffer), len(self.data))
            buffer[:size] = self.data[:size]
            tls.buffer_updated(size)
            del self.data[:size]

"""Certificates for real TLS handshakes, and such a handshake by hand."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
import trustme


class Authority:
    """A certificate authority of the test's own, its own file, and those of one server."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self.files = {"cert": str(directory / "cert.pem"), "key": str(directory / "key.pem")}
        self.file = str(directory / "ca.pem")
        self._authority.cert_pem.write_to_path(self.file)
        self.trust = ssl.create_default_context()
        self._authority.configure_trust(self.trust)
        self.issue()

    def issue(self) -> None:
        certificate = self._authority.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(self.files["key"])
        Path(self.files["cert"]).write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))


class TlsByHand:
    """The client's side of TLS, for who wants to decide what goes into a segment."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trust.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    def hello(self) -> bytes:
        """The first flight."""
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._outgoing.read()

    def finish(self, flight: bytes, *messages: bytes) -> bytes:
        """The last flight, and what is said over TLS with it."""
        self._incoming.write(flight)
        self._tls.do_handshake()
        for message in messages:
            self._tls.write(message)
        return self._outgoing.read()

    def close_notify(self) -> bytes:
        """The end of TLS."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._outgoing.read()

    def read(self, data: bytes) -> bytes:
        """What the server said over TLS."""
        self._incoming.write(data)
        said = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while True:
                said += self._tls.read(65_536)
        return said

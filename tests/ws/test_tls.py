from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
import trustme

from passivbot_ws_plugin.errors import SettingsError
from passivbot_ws_plugin.options import Tls
from passivbot_ws_plugin.tls import Certificate


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

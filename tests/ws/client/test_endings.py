"""What the end of a connection means to the client."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidProxy, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from passivbot_ws_plugin.client import (
    BadMessagesError,
    ClientError,
    LoginError,
    RevokedError,
    ServerNotProvenError,
)
from passivbot_ws_plugin.client.endings import LATER_S, Loss, judge, retry_after_s
from passivbot_ws_plugin.client.login import RefusedError


def closed(code: int, reason: str = "why") -> ConnectionClosedError:
    return ConnectionClosedError(Close(code, reason), None)


@pytest.mark.parametrize(
    ("code", "kind"), [(4400, BadMessagesError), (4401, LoginError), (4403, RevokedError)]
)
def test_what_ends_it_for_good(code: int, kind: type[ClientError]) -> None:
    with pytest.raises(kind, match=rf"why \({code}\)"):
        judge(closed(code))
    with pytest.raises(kind, match="the server's words"):
        judge(RefusedError("the server's words", code=code))


@pytest.mark.parametrize("code", [None, 1000, 1006, 1012, 4408])
def test_a_refusal_counts_whatever_the_connection_ends_with(code: int | None) -> None:
    with pytest.raises(LoginError, match=r"no \(4401\)"):
        judge(RefusedError("no", code=code))


@pytest.mark.parametrize(
    ("refusal", "wait_s"),
    [
        (RefusedError("not now", 37, 4429), 37.0),
        (RefusedError("not now", 37), 37.0),  # cut before its close
        (RefusedError("not now", code=4429), LATER_S),
        (RefusedError("not now", code=1013), LATER_S),
    ],
)
def test_a_login_that_was_not_heard_is_tried_again_later(refusal: RefusedError, wait_s: float) -> None:
    assert judge(refusal) == Loss("not now", refusal.code, wait_s)


@pytest.mark.parametrize("code", [1000, 1001, 1009, 1011, 1012, 4408, 4410, 4999])
def test_what_is_tried_again(code: int) -> None:
    assert judge(closed(code)) == Loss(f"closed with {code}: why", code)


@pytest.mark.parametrize("code", [1013, 4429])
def test_what_is_tried_again_later(code: int) -> None:
    assert judge(closed(code)).not_before_s == LATER_S


def test_what_has_no_code_is_tried_again() -> None:
    assert judge(ConnectionClosedError(None, None)) == Loss("the connection was cut")
    silent = ConnectionClosedError(None, Close(1011, "keepalive ping timeout"))
    assert judge(silent) == Loss("the server does not answer pings")
    assert judge(TimeoutError()) == Loss("TimeoutError")
    assert judge(OSError("a\nb")).reason == "a b"


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (429, ": too many failed logins or connections from this address"),
        (503, ": it takes no more connections now, or is not ready"),
        (404, ""),
    ],
)
def test_retry_after_is_kept_and_what_the_status_means_is_said(status: int, why: str) -> None:
    response = Response(status, "", Headers({"Retry-After": "7"}), b"")
    assert judge(InvalidStatus(response)) == Loss(f"the server answered HTTP {status}{why}", status, 7.0)


def test_a_redirect_is_not_followed_and_said() -> None:
    assert "give the address" in judge(InvalidStatus(Response(302, "", Headers(), b""))).reason


def test_retry_after_may_be_a_date_or_nonsense() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after_s("Thu, 01 Jan 2026 00:01:00 GMT", now) == 60
    assert retry_after_s("Thu, 01 Jan 2020 00:01:00 GMT", now) == 0
    for nonsense in ("soon", "-1", "", "1.5", "Thu, 01 Jan 2026 00:01:00 -0000"):
        assert retry_after_s(nonsense, now) == 0


def test_a_certificate_that_does_not_hold_ends_it() -> None:
    error = ssl.SSLCertVerificationError("x")
    error.verify_message = "self-signed certificate"
    with pytest.raises(ServerNotProvenError, match=r"self-signed.*SSL_CERT_FILE"):
        judge(error)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_certificate_file_that_is_not_there_is_named(
    is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cert.pem"
    if is_there:
        path.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    error = ssl.SSLCertVerificationError("x")
    error.verify_message = "self-signed certificate"
    with pytest.raises(ServerNotProvenError) as caught:
        judge(error)
    assert (f"SSL_CERT_FILE names {path}, which is no file" in str(caught.value)) is not is_there


@pytest.mark.parametrize(
    ("error", "scheme"),
    [
        (ssl.SSLError(1, "wrong version number"), "ws"),
        (ConnectionResetError(), "ws"),
        (InvalidMessage("did not receive a valid HTTP response"), "wss"),
    ],
)
def test_the_other_scheme_is_proposed(error: Exception, scheme: str) -> None:
    assert judge(error).reason.endswith(f"TLS: try {scheme}://")


def test_the_proxy_s_password_stays_out_of_the_error() -> None:
    with pytest.raises(ClientError, match="HTTPS_PROXY") as caught:
        judge(InvalidProxy("ftp://me:secret@proxy", "scheme"))
    assert "secret" not in str(caught.value)

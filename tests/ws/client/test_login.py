"""Both ways in, against the server's own side of them and against liars."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import KEY, PASSWORD

from passivbot_ws_plugin.access.auth import Authenticator, make_token
from passivbot_ws_plugin.access.login import Login
from passivbot_ws_plugin.client import ServerNotProvenError
from passivbot_ws_plugin.client.login import RefusedError, log_in
from passivbot_ws_plugin.settings.credentials import Credential

AUTHENTICATOR = Authenticator([Credential(KEY, PASSWORD, frozenset({"statistics"}), None, "path")])


def converse(method: str, password: str = PASSWORD, authenticator: Authenticator = AUTHENTICATOR) -> None:
    client, server = log_in(method, KEY, password, [{"channel": "statistics"}]), Login()  # type: ignore[arg-type]
    frame = next(client)
    with contextlib.suppress(StopIteration):
        while True:
            frame = client.send(server.receive(frame.decode(), authenticator).answer)


@pytest.mark.parametrize("method", ["scram", "token"])
def test_both_ways_in(method: str) -> None:
    converse(method)


@pytest.mark.parametrize("method", ["scram", "token"])
def test_a_wrong_password_is_refused(method: str) -> None:
    with pytest.raises(RefusedError, match="wrong token or public_key_part"):
        converse(method, "wrong")


def test_scram_never_says_what_lets_anybody_in() -> None:
    client, server = log_in("scram", KEY, PASSWORD, []), Login()
    hello = next(client)
    proof = client.send(server.receive(hello.decode(), AUTHENTICATOR).answer)
    for frame in (hello, proof):
        assert PASSWORD not in frame.decode()
        assert make_token(PASSWORD, KEY) not in frame.decode()


CHALLENGE = "r={nonce}more,s=" + "QUFB" * 6 + ",i={iterations}"


@pytest.mark.parametrize(
    "lie",
    [
        {"type": "auth_result", "success": True, "message": "", "data": "v=" + "A" * 43 + "="},
        {"type": "statistics", "data": {}},
        {"type": "challenge", "data": "r=another,s=" + "QUFB" * 6 + ",i=4096"},
        {"type": "challenge", "data": CHALLENGE.format(nonce="NONCE", iterations=1)},
        {"type": "challenge", "data": CHALLENGE.format(nonce="NONCE", iterations=9_999_999)},
        {"type": "challenge", "data": CHALLENGE.format(nonce="NONCE", iterations="x")},
        {"type": "challenge", "data": ""},
        {"type": "of tomorrow"},
        "nonsense",
    ],
)
def test_whoever_does_not_answer_a_hello_as_scram_has_it_is_not_believed(lie: object) -> None:
    client = log_in("scram", KEY, PASSWORD, [])
    nonce = json.loads(next(client))["data"].rpartition("r=")[2]
    with pytest.raises(ServerNotProvenError):
        client.send(json.dumps(lie).replace("NONCE", nonce))


@pytest.mark.parametrize(
    "data", [{}, {"data": "v=" + "A" * 43 + "="}, {"data": ""}, {"data": "e=other-error"}, {"data": "v="}]
)
def test_a_success_without_the_server_s_proof_is_none(data: dict[str, str]) -> None:
    client, server = log_in("scram", KEY, PASSWORD, []), Login()
    client.send(server.receive(next(client).decode(), AUTHENTICATOR).answer)
    with pytest.raises(ServerNotProvenError):
        client.send(json.dumps({"type": "auth_result", "success": True, "message": "", **data}))


@given(st.text() | st.binary())
def test_no_answer_raises_anything_else(answer: str | bytes) -> None:
    client = log_in("scram", KEY, PASSWORD, [])
    next(client)
    with pytest.raises(ServerNotProvenError):
        client.send(answer)

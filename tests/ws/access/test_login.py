from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramClient
from servers import KEY, PASSWORD, auth_message

from passivbot_ws_plugin.access.auth import Authenticator
from passivbot_ws_plugin.access.login import Admission, Asked, Login, Rejection
from passivbot_ws_plugin.access.scram import MECHANISM
from passivbot_ws_plugin.settings.credentials import Credential

pytestmark = pytest.mark.bad_requests

PUBLISHED = Credential(KEY, PASSWORD, frozenset({"statistics", "config", "events"}), None, "path")
AUTHENTICATOR = Authenticator([PUBLISHED])
GOOD = auth_message()


def authenticate(frame: str | bytes) -> Admission | Rejection | Asked:
    return Login().receive(frame, AUTHENTICATOR)


def test_the_right_first_message_admits() -> None:
    admission = authenticate(GOOD)
    assert isinstance(admission, Admission)
    assert json.loads(admission.answer) == {
        "type": "auth_result",
        "success": True,
        "message": "Authentication successful",
    }


@pytest.mark.parametrize(
    ("frame", "reason", "message"),
    [
        ("nonsense", "not valid JSON", "bad format"),
        ('{"type":"get_config"}', "a request before auth", "bad format"),
        ('{"type":"ping"}', "a request before auth", "bad format"),
        ('{"type":"auth","token":1,"public_key_part":"key"}', "auth needs token", "bad format"),
        ('{"type":"auth","token":"x","public_key_part":"key"}', "token malformed", "bad format"),
        ('{"type":"subscribe"}', "channel must be", "bad format"),
        ('{"type":"subscribe","channel":"statistics"}', "a request before auth", "bad format"),
        ('{"type":"nothing"}', "unknown type", "bad format"),
    ],
)
def test_any_other_first_message_is_rejected(frame: str, reason: str, message: str) -> None:
    rejection = authenticate(frame)
    assert isinstance(rejection, Rejection)
    assert reason in rejection.reason
    answer = json.loads(rejection.answer)
    assert (answer["type"], answer["success"]) == ("auth_result", False)
    assert answer["message"].startswith(f"Authentication failed: {message}")


def test_a_rejection_echoes_the_id_and_keeps_the_claimed_key() -> None:
    frame = json.dumps({"type": "auth", "token": "0" * 64, "public_key_part": "other", "id": 4})
    rejection = authenticate(frame)
    assert isinstance(rejection, Rejection)
    assert rejection.key == "other"
    assert json.loads(rejection.answer)["id"] == 4


def hello(client: ScramClient, **changes: object) -> str:
    return json.dumps({"type": "hello", "mechanism": MECHANISM, "data": client.get_client_first(), **changes})


def test_scram_takes_two_messages_and_both_sides_prove_themselves() -> None:
    client, login = ScramClient([MECHANISM], KEY, PASSWORD), Login()
    asked = login.receive(hello(client, id=1), AUTHENTICATOR)
    assert isinstance(asked, Asked)
    challenge = json.loads(asked.answer)
    assert (challenge["type"], challenge["id"]) == ("challenge", 1)
    client.set_server_first(challenge["data"])
    proof = json.dumps({"type": "auth", "data": client.get_client_final(), "id": 2})
    admission = login.receive(proof, AUTHENTICATOR)
    assert isinstance(admission, Admission)
    assert admission.principal.method == "scram"
    answer = json.loads(admission.answer)
    assert (answer["success"], answer["id"]) == (True, 2)
    client.set_server_final(answer["data"])


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([{"type": "hello"}], "hello needs mechanism and data"),
        ([{"type": "hello", "mechanism": "PLAIN", "data": "x"}], "unknown mechanism"),
        ([{"type": "hello", "mechanism": MECHANISM, "data": "x"}], "client-first-message malformed"),
        ([{"type": "auth", "data": "x"}], "a request before auth"),
        ([None, {"type": "auth", "data": "x"}], "wrong proof"),
        ([None, {"type": "auth", "data": 5}], "auth after a challenge needs data"),
        ([None, json.loads(GOOD)], "no proof after the challenge"),
        ([None, {"type": "get_config"}], "no proof after the challenge"),
        ([None, None], "no proof after the challenge"),
    ],
)
def test_what_is_no_scram_login_is_rejected(frames: list[dict[str, Any] | None], reason: str) -> None:
    client, login = ScramClient([MECHANISM], KEY, PASSWORD), Login()
    first = hello(client)
    *before, last = [first if frame is None else json.dumps(frame) for frame in frames]
    for frame in before:
        assert isinstance(login.receive(frame, AUTHENTICATOR), Asked)
    rejection = login.receive(last, AUTHENTICATOR)
    assert isinstance(rejection, Rejection)
    assert reason in rejection.reason
    assert json.loads(rejection.answer)["message"].startswith("Authentication failed: ")


@given(st.text() | st.binary())
def test_no_frame_admits_without_the_credentials_or_raises(frame: str | bytes) -> None:
    assert isinstance(authenticate(frame), Rejection)

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.auth import Authenticator, make_token
from passivbot_ws_plugin.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.session import Admission, Rejection, Session, authenticate

AUTHENTICATOR = Authenticator("password", "key")
GOOD = json.dumps({"type": "auth", "token": make_token("password", "key"), "public_key_part": "key"})


def session(cache: Cache | None = None, *, include_secrets: bool = True) -> Session:
    admission = authenticate(GOOD, AUTHENTICATOR)
    assert isinstance(admission, Admission)
    return Session(admission.principal, cache or Cache(), include_secrets=include_secrets, bad_messages_max=3)


def ask(subject: Session, **message: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(subject.receive(json.dumps(message)).payload)
    return answer


def test_the_right_first_message_admits() -> None:
    admission = authenticate(GOOD, AUTHENTICATOR)
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
        ('{"type":"subscribe"}', "unknown type", "bad format"),
    ],
)
def test_any_other_first_message_is_rejected(frame: str, reason: str, message: str) -> None:
    rejection = authenticate(frame, AUTHENTICATOR)
    assert isinstance(rejection, Rejection)
    assert reason in rejection.reason
    answer = json.loads(rejection.answer)
    assert (answer["type"], answer["success"]) == ("auth_result", False)
    assert answer["message"].startswith(f"Authentication failed: {message}")


def test_a_rejection_echoes_the_id_and_keeps_the_claimed_key() -> None:
    frame = json.dumps({"type": "auth", "token": "0" * 64, "public_key_part": "other", "id": 4})
    rejection = authenticate(frame, AUTHENTICATOR)
    assert isinstance(rejection, Rejection)
    assert rejection.key == "other"
    assert json.loads(rejection.answer)["id"] == 4


@given(st.text() | st.binary())
def test_no_frame_admits_without_the_credentials_or_raises(frame: str | bytes) -> None:
    assert isinstance(authenticate(frame, AUTHENTICATOR), Rejection)


def test_ping_is_answered_with_pong() -> None:
    assert ask(session(), type="ping", id="a") == {"type": "pong", "id": "a"}


def test_get_config_gives_the_whole_config() -> None:
    cache = Cache()
    cache.put_config("main", {"live": {"user": "main", "websocket_password": "p"}})
    expected = {"live": {"user": "main", "websocket_password": "p"}}
    assert ask(session(cache), type="get_config") == {"type": "config", "data": expected, "bot": "main"}
    masked = ask(session(cache, include_secrets=False), type="get_config", bot="main", id=1)
    assert masked["data"]["live"]["websocket_password"] == "********"
    assert masked["id"] == 1


def test_a_config_that_is_not_known_is_an_error_that_says_so() -> None:
    cache = Cache()
    assert ask(session(cache), type="get_config", id=1) == {
        "type": "error",
        "message": "no config is known yet",
        "code": "unavailable",
        "id": 1,
    }
    cache.put_statistics("main", statistics_data(make_statistics()))
    assert ask(session(cache), type="get_config")["code"] == "unavailable"
    assert ask(session(cache), type="get_config", bot="x")["message"] == "no config is known of that bot"


def test_the_last_bad_message_ends_the_conversation() -> None:
    subject = session()
    answers = [subject.receive("nonsense") for _ in range(3)]
    assert [answer.is_last for answer in answers] == [False, False, True]
    assert all(json.loads(answer.payload)["code"] == "invalid_json" for answer in answers)


def test_good_messages_between_do_not_reset_the_count() -> None:
    subject = session()
    for _ in range(2):
        assert not subject.receive("nonsense").is_last
        assert not subject.receive('{"type":"ping"}').is_last
    assert subject.receive("nonsense").is_last


def test_auth_twice_is_an_error_and_what_is_unavailable_is_no_bad_message() -> None:
    subject = session()
    assert json.loads(subject.receive(GOOD).payload)["message"] == "already authenticated"
    for _ in range(10):
        assert not subject.receive('{"type":"get_config"}').is_last


@given(st.text() | st.binary())
def test_no_frame_raises(frame: str | bytes) -> None:
    assert json.loads(session().receive(frame).payload)["type"] in {"error", "pong"}

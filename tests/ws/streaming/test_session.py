from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from scramp import ScramClient
from servers import KEY, PASSWORD, auth_message

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.access.auth import Authenticator, Principal
from passivbot_ws_plugin.access.login import Admission, Login, Rejection
from passivbot_ws_plugin.access.scram import MECHANISM
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import event_data, statistics_data
from passivbot_ws_plugin.rate import TokenBucket
from passivbot_ws_plugin.settings.credentials import Credential
from passivbot_ws_plugin.settings.options import Scope
from passivbot_ws_plugin.streaming.session import Answer, Session

pytestmark = pytest.mark.bad_requests

PUBLISHED = Credential(KEY, PASSWORD, frozenset({"statistics", "config", "events"}), None, "path")
AUTHENTICATOR = Authenticator([PUBLISHED])
GOOD = auth_message()

#: A client's own, the same each time: whoever answers a challenge may have said the hello.
NONCE = "abcdefghijklmnop"


def session(
    cache: Cache | None = None,
    *,
    include_secrets: bool = True,
    scopes: tuple[Scope, ...] = ("statistics", "config", "events"),
    burst: int = 1_000,
    bad_messages_max: int = 3,
) -> Session:
    credential = Credential(KEY, PASSWORD, frozenset(scopes), None, "path")
    return Session(
        Principal(credential, "token"),
        cache or Cache(),
        include_secrets=lambda: include_secrets,
        bad_messages_max=bad_messages_max,
        rate=TokenBucket(1, burst, lambda: 0.0),
    )


def said(answer: Answer) -> dict[str, Any]:
    assert answer.payload is not None
    message: dict[str, Any] = json.loads(answer.payload)
    return message


def ask(subject: Session, **message: Any) -> dict[str, Any]:
    return said(subject.receive(json.dumps(message)))


def test_ping_is_answered_with_pong() -> None:
    assert ask(session(), type="ping", id="a") == {"type": "pong", "id": "a"}


def test_get_config_gives_the_whole_config() -> None:
    cache = Cache()
    cache.put_config("main", {"live": {"user": "main", "websocket_password": "p"}})
    expected = {"live": {"user": "main", "websocket_password": "p"}}
    answer = ask(session(cache), type="get_config")
    digest = hashlib.sha256(json.dumps(expected, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    assert answer == {"type": "config", "data": expected, "bot": "main", "hash": digest}
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
    assert ask(session(cache), type="get_config", bot="x")["message"] == "no such bot is known"
    assert ask(session(cache), type="get_config", bot="main")["message"] == "no config was given of that bot"


def test_the_last_bad_message_ends_the_conversation() -> None:
    subject = session()
    answers = [subject.receive("nonsense") for _ in range(3)]
    assert [answer.is_last for answer in answers] == [False, False, True]
    assert all(said(answer)["code"] == "invalid_json" for answer in answers)


def test_good_messages_between_do_not_reset_the_count() -> None:
    subject = session()
    for _ in range(2):
        assert not subject.receive("nonsense").is_last
        assert not subject.receive('{"type":"ping"}').is_last
    assert subject.receive("nonsense").is_last


def test_auth_twice_is_an_error_and_what_is_unavailable_is_no_bad_message() -> None:
    subject = session()
    assert said(subject.receive(GOOD))["message"] == "already authenticated"
    for _ in range(10):
        assert not subject.receive('{"type":"get_config"}').is_last


@given(st.text() | st.binary())
def test_no_frame_raises(frame: str | bytes) -> None:
    assert said(session().receive(frame))["type"] in {"error", "pong"}


def test_a_key_without_the_scope_is_forbidden_the_config_and_not_punished() -> None:
    cache = Cache()
    cache.put_config("main", {"live": {}})
    subject = session(cache, scopes=("statistics",))
    for _ in range(10):
        answer = subject.receive('{"type":"get_config","id":1}')
        assert not answer.is_last
        assert said(answer)["code"] == "forbidden"


def test_too_many_messages_are_bad_messages() -> None:
    subject = session(burst=2)
    answers = [subject.receive('{"type":"ping"}') for _ in range(5)]
    kinds = [said(answer).get("code", "pong") for answer in answers]
    assert kinds == ["pong", "pong", "rate_limited", "rate_limited", "rate_limited"]
    assert [answer.is_last for answer in answers] == [False, False, False, False, True]


def test_one_message_too_many_is_told_by_its_id_if_it_is_short_and_has_a_valid_one() -> None:
    subject = session(burst=1, bad_messages_max=20)
    subject.receive('{"type":"ping"}')
    long = "x" * 512
    for frame, number in {
        '{"type":"ping","id":7}': 7,
        '{"type":"ping","id":"a"}': "a",
        '{"id":"b"}': "b",
        '{"type":"ping"}': None,
        '{"type":"ping","id":[]}': None,
        '{"type":"ping","id":1,"id":2}': None,
        '{"type":"ping","id":NaN}': None,
        "[" * 400: None,
        "[1]": None,
        "": None,
        f'{{"type":"ping","id":1,"rest":"{long}"}}': None,
    }.items():
        answer = said(subject.receive(frame))
        assert (answer["code"], answer.get("id")) == ("rate_limited", number), frame
    assert said(subject.receive(b'{"type":"ping","id":7}')).get("id") is None


def past_events(bots: int) -> Cache:
    cache, event = Cache(), event_data(make_event())
    for bot in range(bots):
        for seq in range(1, 1_001):
            cache.put_event(str(bot), seq, event)
    return cache


ALL_PAST: dict[str, Any] = {"type": "subscribe", "channel": "events", "since": {}, "kinds": []}


def test_another_subscription_to_thousands_of_past_events_counts_as_several_messages() -> None:
    subject = session(past_events(bots=3), burst=7)
    assert ask(subject, **ALL_PAST, id=1)["type"] == "subscribed"  # one of seven
    assert ask(subject, **ALL_PAST, id=2)["type"] == "subscribed"  # four
    refused = ask(subject, **ALL_PAST, id=3)
    assert (refused["code"], refused["id"]) == ("rate_limited", 3)
    assert ask(subject, type="subscribe", channel="events")["type"] == "subscribed"  # nothing past


@pytest.mark.parametrize("is_in_login", [True, False])
def test_the_first_subscription_may_ask_for_more_past_events_than_there_are_messages_to_spend(
    *, is_in_login: bool
) -> None:
    subject = session(past_events(bots=3), burst=3)
    if is_in_login:
        (answer,) = subject.begin([{key: value for key, value in ALL_PAST.items() if key != "type"}])
        assert said(answer)["type"] == "subscribed"
    else:
        assert ask(subject, **ALL_PAST)["type"] == "subscribed"
    assert [ask(subject, **ALL_PAST).get("code") for _ in range(2)][-1] == "rate_limited"


def test_no_subscription_costs_more_than_there_can_be() -> None:
    subject = session(past_events(bots=3), burst=2)
    assert [said(answer)["type"] for answer in subject.begin([{"channel": "events"}])] == ["subscribed"]
    assert ask(subject, **ALL_PAST)["type"] == "subscribed"


class AnyOrderOfMessages(RuleBasedStateMachine):
    """No order of messages yields statistics or a config before the login succeeded."""

    @initialize()
    def connect(self) -> None:
        self.cache = Cache()
        self.cache.put_config("main", {"live": {"websocket_password": "SECRET"}})
        self.cache.put_statistics("main", statistics_data(make_statistics(exchange="SECRET")))
        self.login = Login()
        self.session: Session | None = None
        self.answers: list[bytes] = []

    def say(self, frame: str | bytes) -> None:
        if self.session is not None:
            self.session.receive(frame)
        else:
            verdict = self.login.receive(frame, AUTHENTICATOR)
            if isinstance(verdict, Admission):
                self.session = Session(
                    verdict.principal,
                    self.cache,
                    include_secrets=lambda: True,
                    bad_messages_max=3,
                    rate=TokenBucket(1, 9, lambda: 0.0),
                )
                return
            self.answers.append(verdict.answer)
            if isinstance(verdict, Rejection):
                self.login = Login()  # the connection is closed; it comes again

    @rule(
        frame=st.sampled_from(
            [
                '{"type":"get_config"}',
                '{"type":"get_config","bot":"main"}',
                '{"type":"ping"}',
                '{"type":"list_bots"}',
                '{"type":"subscribe","channel":"statistics"}',
                '{"type":"subscribe","channel":"config"}',
                '{"type":"subscribe","channel":"events"}',
                '{"type":"unsubscribe","channel":"statistics"}',
                '{"type":"auth"}',
                '{"type":"auth","subscribe":[{"type":"subscribe","channel":"config"}]}',
                '{"type":"auth","data":"c=biws,r=x,p=AAAA"}',
                '{"type":"statistics"}',
                auth_message("wrong"),
                auth_message(key="nobody"),
                b'{"type":"get_config"}',
            ]
        )
        | st.text(max_size=20)
    )
    def say_anything(self, frame: str | bytes) -> None:
        self.say(frame)

    @rule()
    def say_hello(self) -> None:
        client = ScramClient([MECHANISM], KEY, PASSWORD, c_nonce=NONCE)
        first = client.get_client_first()
        self.say(json.dumps({"type": "hello", "mechanism": MECHANISM, "data": first}))

    @precondition(lambda self: self.session is None)
    @rule(wrong=st.booleans())
    def prove(self, wrong: bool) -> None:
        """Answer the last challenge, if that was the last answer."""
        challenge = json.loads(self.answers[-1]) if self.answers else {"type": None}
        if challenge["type"] != "challenge":
            return
        password = "wrong" if wrong else PASSWORD
        prover = ScramClient([MECHANISM], KEY, password, c_nonce=NONCE)
        prover.get_client_first()
        prover.set_server_first(challenge["data"])
        self.say(json.dumps({"type": "auth", "data": prover.get_client_final()}))
        assert self.session is None or not wrong

    @precondition(lambda self: self.session is None)
    @rule(wrong=st.booleans())
    def log_in(self, wrong: bool) -> None:
        self.say(auth_message("wrong") if wrong else GOOD)

    @rule()
    def leave(self) -> None:
        """And come again."""
        self.session, self.login = None, Login()

    @invariant()
    def a_stranger_knows_nothing(self) -> None:
        for answer in getattr(self, "answers", []):
            assert json.loads(answer)["type"] in {"auth_result", "challenge"}
            assert b"SECRET" not in answer
            assert b'"success":true' not in answer


TestAnyOrderOfMessages = AnyOrderOfMessages.TestCase

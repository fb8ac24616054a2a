"""The parts without I/O: backoff, endings, inbox, login, target."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import KEY, PASSWORD
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidProxy, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.auth import Authenticator, make_token
from passivbot_ws_plugin.client import (
    BadMessagesError,
    ClientError,
    ConfigChanged,
    Connecting,
    EventUpdate,
    GapUpdate,
    Live,
    LoginError,
    Lost,
    RevokedError,
    ServerNotProvenError,
    StatisticsUpdate,
    Subscribe,
    connect,
)
from passivbot_ws_plugin.client.backoff import NOT_BEFORE_MAX_S, Backoff
from passivbot_ws_plugin.client.endings import LATER_S, Loss, judge, retry_after_s
from passivbot_ws_plugin.client.inbox import Inbox
from passivbot_ws_plugin.client.login import RefusedError, log_in
from passivbot_ws_plugin.client.target import Timing
from passivbot_ws_plugin.credentials import Credential
from passivbot_ws_plugin.login import Login
from passivbot_ws_plugin.messages import event_data, statistics_data

# --- backoff ----------------------------------------------------------------------------


def test_the_bound_of_the_pauses_doubles_to_its_maximum_and_begins_anew() -> None:
    bounds: list[float] = []

    def chance(low: float, high: float) -> float:
        assert low == 0
        bounds.append(high)
        return high / 2

    backoff = Backoff(0.5, 3.0, chance)
    assert [backoff.pause_s() for _ in range(5)] == [0.25, 0.5, 1.0, 1.5, 1.5]
    assert bounds == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.pause_s(10.0) == 10.25
    assert backoff.pause_s(1e9) == NOT_BEFORE_MAX_S + 0.5


@given(st.integers(1, 5000))
def test_no_number_of_failures_breaks_it(failures: int) -> None:
    backoff = Backoff(0.5, 30.0)
    assert all(0 <= backoff.pause_s() <= 30 for _ in range(failures))


# --- endings ----------------------------------------------------------------------------


def closed(code: int, reason: str = "why") -> ConnectionClosedError:
    return ConnectionClosedError(Close(code, reason), None)


@pytest.mark.parametrize(
    ("code", "kind"), [(4400, BadMessagesError), (4401, LoginError), (4403, RevokedError)]
)
def test_what_ends_it_for_good(code: int, kind: type[ClientError]) -> None:
    with pytest.raises(kind, match=rf"why \({code}\)"):
        judge(closed(code))
    with pytest.raises(kind, match="the server's words"):
        judge(RefusedError("the server's words", code))


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


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept(status: int) -> None:
    response = Response(status, "", Headers({"Retry-After": "7"}), b"")
    assert judge(InvalidStatus(response)) == Loss(f"the server answered HTTP {status}", status, 7.0)


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
    with pytest.raises(ServerNotProvenError, match="self-signed"):
        judge(error)


def test_the_proxy_s_password_stays_out_of_the_error() -> None:
    with pytest.raises(ClientError, match="HTTPS_PROXY") as caught:
        judge(InvalidProxy("ftp://me:secret@proxy", "scheme"))
    assert "secret" not in str(caught.value)


# --- inbox ------------------------------------------------------------------------------

DATA = statistics_data(make_statistics())


def event(seq: int) -> EventUpdate:
    return EventUpdate("main", "e", seq, event_data(make_event()))


async def test_the_latest_state_takes_the_place_of_the_older_and_events_are_all_kept() -> None:
    inbox = Inbox(10)
    newest = StatisticsUpdate("main", "e", 3, DATA)
    for update in (
        Connecting(1), StatisticsUpdate("main", "e", 1, DATA), event(1), Live(), event(2), newest,
        ConfigChanged("main", "h1", ["/a"], {"/a": 1}), ConfigChanged("main", "h2", ["/b"], {"/b": 1}),
    ):  # fmt: skip
        inbox.put(update)
    inbox.end(None)
    taken = []
    while (one := await inbox.take()) is not None:
        taken.append(one)
    assert taken == [Live(), newest, event(1), event(2), ConfigChanged("main", "h2", None)]


async def test_there_is_room_again_from_half_of_the_bound_down() -> None:
    inbox = Inbox(4)
    for seq in range(3):
        inbox.put(event(seq))
    assert inbox.room.is_set()
    inbox.put(GapUpdate("main", "e", 3, None))
    for has_room in (False, False, True):
        assert inbox.room.is_set() is has_room
        await inbox.take()


async def test_what_ended_it_is_raised_after_the_rest_was_taken_and_again() -> None:
    inbox = Inbox(4)
    waiting = asyncio.create_task(inbox.take())
    inbox.put(Lost("x", None, 1.0))
    assert await waiting == Lost("x", None, 1.0)
    inbox.put(Live())
    inbox.end(LoginError("no"))
    assert await inbox.take() == Live()
    for _ in range(2):
        with pytest.raises(LoginError):
            await inbox.take()


# --- login ------------------------------------------------------------------------------

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


# --- target -----------------------------------------------------------------------------


def test_the_token_does_not_go_unencrypted_to_another_machine() -> None:
    with pytest.raises(ValueError, match="allow_plaintext_token"):
        connect("ws://bot.example.org:8765", key=KEY, password=PASSWORD, method="token")
    for url in ("ws://127.0.0.1:8765", "ws://[::1]:8765", "ws://localhost:8765", "wss://bot.example.org"):
        connect(url, key=KEY, password=PASSWORD, method="token")
    connect("ws://10.0.0.1", key=KEY, password=PASSWORD, method="token", allow_plaintext_token=True)
    connect("ws://bot.example.org:8765", key=KEY, password=PASSWORD)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://127.0.0.1:8765"}, "url must be like"),
        ({"url": "ws://"}, "url must be like"),
        ({"url": "ws://me:secret@127.0.0.1"}, "no credentials in url"),
        ({"method": "magic"}, "method must be one of"),
        ({"password": "bell\x07"}, "SASLprep"),
        ({"password": ""}, "must not be empty"),
        ({"tls": ssl.create_default_context()}, "tls is for wss"),
        ({"events_max": 0}, "events_max"),
        ({"subscriptions": ["statistics", Subscribe("statistics")]}, "one subscription"),
        ({"subscriptions": ["balance"]}, "no such channel"),
    ],
)
def test_what_cannot_work_is_said_at_once(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        connect(**{"url": "ws://127.0.0.1:8765", "key": KEY, "password": PASSWORD, **changes})  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
    assert "\x07" not in str(caught.value)


def test_no_repr_holds_the_password() -> None:
    client = connect("ws://127.0.0.1:8765", key=KEY, password=PASSWORD, proxy="http://me:secret@proxy")
    for text in (repr(client), repr(client._target), repr(Timing())):
        assert PASSWORD not in text
        assert "secret" not in text

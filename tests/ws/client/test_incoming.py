"""What the server says, read as a client reads it."""

from __future__ import annotations

import json

import pytest

from passivbot_hooks.testing import make_event
from passivbot_ws_plugin.client.incoming import UnusableError, answered_id, decode
from passivbot_ws_plugin.messages import EventMessage, encode, event_data


def test_a_newer_server_may_say_more() -> None:
    assert decode('{"type":"of tomorrow","data":1}') is None
    frame = json.loads(encode(EventMessage(event_data(make_event()), "main", "e", 1)))
    frame["data"]["more"] = frame["more"] = {"x": 1}
    assert isinstance(decode(json.dumps(frame)), EventMessage)


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"statistics","data":{}}',
        "[]",
        "{",
        "",
        b"\xff",
        '{"type":1}',
        '{"type":"pong","x":' + "[" * 100_000,
        '{"x":' + "[" * 100_000,
    ],
)
def test_what_does_not_hold_is_not_passed_over(frame: str | bytes) -> None:
    with pytest.raises(UnusableError):
        decode(frame)


def test_an_answer_to_a_number_that_nobody_gave_answers_nothing() -> None:
    message = decode('{"type":"pong","id":' + "9" * 5_000 + "}")
    assert message is not None
    assert answered_id(message) is None

"""Hostile JSON, from strangers and from clients that logged in.

Elsewhere: whatever a frame holds, decoding it raises a `ProtocolError` or nothing, in
``tests/ws/test_messages.py``.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from raw import TEXT, frame, text
from servers import KEY, PASSWORD
from siege import besieged

from passivbot_ws_plugin.access.auth import make_token

NO_JSON: Final = ("invalid_json", "not valid JSON")
TOO_DEEP: Final = ("invalid_json", "nested deeper than 16")
TOO_MUCH: Final = ("invalid_json", "more than 2000 objects and lists")
NO_OBJECT: Final = ("invalid_message", "a message is a JSON object with a type")
NO_TYPE: Final = ("invalid_message", "a message needs a type, a string")
UNKNOWN: Final = (
    "unknown_type",
    (
        "unknown type; there is subscribe, unsubscribe, list_bots, get_config, ping, "
        "and for the login auth and hello"
    ),
)

pytestmark = pytest.mark.bad_requests
WRONG_ID: Final = ("invalid_message", "id must be a string or an integer of at most 64 characters")

DIGITS: Final = "9" * 5_000

#: What is sent, the code that a client is answered with, and what is on record of a stranger.
BAD: dict[str, tuple[bytes | str, tuple[str, str]]] = {
    "[ by the thousand": ("[" * 8_000, TOO_MUCH),
    "{ by the thousand": ('{"a":' * 1_600, TOO_DEEP),
    "nested validly": ("[" * 2_000 + "]" * 2_000, TOO_DEEP),
    "2,001 objects": ('{"type":"ping","a":[' + "{}," * 1_998 + "{}]}", TOO_MUCH),
    "brackets in a string": ('{"type":"pong","a":"' + "[" * 500 + '\\\\"}', UNKNOWN),
    "nested 17 deep": ('{"type":"ping","a":' + "[" * 16 + "]" * 16 + "}", TOO_DEEP),
    "a 5,000-digit integer": (f'{{"type":"ping","a":{DIGITS}}}', NO_JSON),
    "a 5,000-digit id": (f'{{"type":"ping","id":{DIGITS}}}', NO_JSON),
    "NaN": ('{"type":"ping","a":NaN}', NO_JSON),
    "-Infinity": ('{"type":"ping","a":-Infinity}', NO_JSON),
    "1e999": ('{"type":"ping","a":1e999}', NO_JSON),
    "duplicate type": ('{"type":"ping","type":"get_config"}', NO_JSON),
    "duplicate key, escaped": ('{"type":"ping","a":1,"\\u0061":2}', NO_JSON),
    "duplicate key within": ('{"type":"ping","a":{"b":1,"b":1}}', NO_JSON),
    "a surrogate as the type": ('{"type":"\\ud800"}', UNKNOWN),
    "a surrogate alone": ('"\\ud800"', NO_OBJECT),
    "BOM": (b"\xef\xbb\xbf" + b'{"type":"ping"}', NO_JSON),
    "UTF-16 of ASCII": ('{"type":"ping"}'.encode("utf-16-le"), NO_JSON),
    "a NUL": (b'{"type":"ping"}\0', NO_JSON),
    "a line break in a string": (b'{"type":"pi\nng"}', NO_JSON),
    "single quotes": ("{'type':'ping'}", NO_JSON),
    "a comment": ('{"type":"ping"}//', NO_JSON),
    "two documents": ('{"type":"ping"}{"type":"ping"}', NO_JSON),
    "empty": ("", NO_JSON),
    "blank": (" \r\n\t", NO_JSON),
    "null": ("null", NO_OBJECT),
    "[]": ("[]", NO_OBJECT),
    '""': ('""', NO_OBJECT),
    "0": ("0", NO_OBJECT),
    "true": ("true", NO_OBJECT),
    "{}": ("{}", NO_TYPE),
    "type null": ('{"type":null}', NO_TYPE),
    "type list": ('{"type":["ping"]}', NO_TYPE),
    "type object": ('{"type":{"type":"ping"}}', NO_TYPE),
    "type number": ('{"type":1}', NO_TYPE),
    "type empty": ('{"type":""}', UNKNOWN),
    "type __class__": ('{"type":"__class__"}', UNKNOWN),
    "type __proto__": ('{"type":"__proto__","__proto__":{"type":"ping"}}', UNKNOWN),
    "type upper case": ('{"type":"PING"}', UNKNOWN),
    "type with a blank": ('{"type":"ping "}', UNKNOWN),
    "type of an answer": ('{"type":"auth_result","success":true}', UNKNOWN),
    "type of 8 kB": (json.dumps({"type": "a" * 8_000}), UNKNOWN),
    "id huge": ('{"type":"ping","id":' + "1" * 65 + "}", WRONG_ID),
    "id a long text": (json.dumps({"type": "ping", "id": "a" * 65}), WRONG_ID),
    "id float": ('{"type":"ping","id":1.5}', WRONG_ID),
    "id object": ('{"type":"ping","id":{}}', WRONG_ID),
    "id list": ('{"type":"ping","id":[1]}', WRONG_ID),
    "id true": ('{"type":"ping","id":true}', WRONG_ID),
    "id null": ('{"type":"ping","id":null}', WRONG_ID),
}


def as_frame(sent: bytes | str) -> bytes:
    return frame(TEXT, sent) if isinstance(sent, bytes) else text(sent)


@pytest.mark.parametrize(("sent", "error"), BAD.values(), ids=BAD)
async def test_bad_json_from_a_stranger_is_its_one_attempt(sent: bytes | str, error: tuple[str, str]) -> None:
    async with besieged(("auth.failure", error[1])) as siege:
        client = await siege.stranger()
        await client.send(as_frame(sent))
        [answer], code = await client.closing()
        assert code == 4401
        assert answer.json().keys() == {"type", "success", "message"}
        assert answer.json()["message"].startswith("Authentication failed: bad format; the first message")


@pytest.mark.parametrize(("sent", "error"), BAD.values(), ids=BAD)
async def test_bad_json_from_a_client_is_answered_with_its_code(
    sent: bytes | str, error: tuple[str, str]
) -> None:
    async with besieged(("auth.success", "accepted"), limits={"bad_messages": 2}) as siege:
        client = await siege.client()
        answer = {"type": "error", "message": error[1], "code": error[0]}
        await client.send(as_frame(sent))
        assert await client.message() == answer
        await siege.show()
        assert (await client.message())["type"] == "statistics"
        await client.send(as_frame(sent))
        [frame_], code = await client.closing()
        assert (frame_.json(), code) == (answer, 4400)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ("[" * 65_536, TOO_MUCH),
        (json.dumps({"type": "a" * 60_000}), UNKNOWN),
        (f'{{"type":"ping","a":[{",".join(["1e9"] * 16_000)}]}}', None),
        (json.dumps({"type": "ping", **{f"key {number}": number for number in range(3_000)}}), None),
    ],
    ids=["[ to the limit", "type of 60 kB", "a long list", "unknown keys by the thousand"],
)
async def test_what_only_fits_after_the_login(sent: str, error: tuple[str, str] | None) -> None:
    async with besieged(("auth.success", "accepted"), stays=True) as siege:
        client = await siege.client()
        await client.send(text(sent))
        answer = (
            {"type": "pong"} if error is None else {"type": "error", "message": error[1], "code": error[0]}
        )
        assert await client.message() == answer


@pytest.mark.parametrize("size", [65_537, 100_000])
async def test_more_than_the_limit_is_not_parsed(size: int) -> None:
    async with besieged(("auth.success", "accepted")) as siege:
        client = await siege.client()
        await client.send(text("[" * size))
        assert await client.closing() == ([], 1009)


#: Odd, and right.
GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown keys": ('{"type":"ping","__class__":1,"self":2,"token":null}', {"type": "pong"}),
    "keys that are no names": ('{"":1,"\\ud800":2,"type":"ping"}', {"type": "pong"}),
    "a long integer": (f'{{"type":"ping","a":{"9" * 4_000}}}', {"type": "pong"}),
    "a small number": ('{"type":"ping","a":1e-999}', {"type": "pong"}),
    "2,000 objects": ('{"type":"ping","a":[' + "{}," * 1_997 + "{}]}", {"type": "pong"}),
    "16 deep": ('{"type":"ping","a":' + "[" * 15 + "]" * 15 + "}", {"type": "pong"}),
    "id negative": ('{"type":"ping","id":-1}', {"type": "pong", "id": -1}),
    "id beyond 64 bits": (
        '{"type":"ping","id":' + "9" * 64 + "}",
        {"type": "pong", "id": int("9" * 64)},
    ),
    "id empty": ('{"type":"ping","id":""}', {"type": "pong", "id": ""}),
    "id that forges": (
        json.dumps({"type": "ping", "id": '","type":"auth_result'}),
        {"type": "pong", "id": '","type":"auth_result'},
    ),
    "id a surrogate": ('{"type":"ping","id":"\\ud800"}', {"type": "pong", "id": "\ud800"}),
    "a type in escapes": ('{"\\u0074ype":"\\u0070ing"}', {"type": "pong"}),
}


@pytest.mark.parametrize(("sent", "answer"), GOOD.values(), ids=GOOD)
async def test_odd_json_is_answered(sent: str, answer: dict[str, Any]) -> None:
    async with besieged(("auth.success", "accepted"), stays=True) as siege:
        client = await siege.client()
        await client.send(text(sent))
        assert await client.message() == answer


async def test_a_long_message_counts_as_several() -> None:
    # One costs some 5 ms, and all that a client may say at once would be a pause of a tenth of a second.
    long = text({"type": "ping", "x": [0.5] * 12_000})
    limits = {"messages_per_s": 0.001, "messages_burst": 20}
    async with besieged(("auth.success", "accepted"), stays=True, limits=limits) as siege:
        client = await siege.client()
        await client.send(long * 3 + text({"type": "ping"}) * 2)
        answers = [(await client.message())["type"] for _ in range(5)]
        assert answers == ["pong", "pong", "error", "pong", "pong"]


async def test_the_longest_message_is_answered_however_few_are_allowed() -> None:
    limits = {"messages_burst": 1}
    async with besieged(("auth.success", "accepted"), stays=True, limits=limits) as siege:
        client = await siege.client()
        await client.send(text({"type": "ping", "x": "x" * 65_000}))
        assert await client.message() == {"type": "pong"}


@pytest.mark.parametrize("bot", ["", "x" * 60_000, "../main", "\ud800", "__class__", "main\0"])
async def test_a_bot_that_there_is_not(bot: str) -> None:
    async with besieged(("auth.success", "accepted"), stays=True) as siege:
        client = await siege.client()
        await client.send(text({"type": "get_config", "bot": bot}))
        assert (await client.message())["code"] == "unavailable"


@pytest.mark.parametrize("bot", [1, 10**300, 1.5, True, [], {}, ["main"]])
async def test_a_bot_that_is_no_text(bot: object) -> None:
    async with besieged(("auth.success", "accepted"), stays=True) as siege:
        client = await siege.client()
        await client.send(text({"type": "get_config", "bot": bot, "id": 7}))
        answer = await client.message()
        assert (answer["code"], answer["id"]) == ("invalid_message", 7)


async def test_a_login_with_odd_json_around_it_is_a_login() -> None:
    async with besieged(("auth.success", "accepted"), stays=True) as siege:
        message = {
            "__class__": [[]],
            "id": -(10**62),
            "public_key_part": KEY,
            "type": "auth",
            "token": make_token(PASSWORD, KEY),
        }
        client = await siege.attacker()
        assert await client.log_in(json.dumps(message)) == {
            "type": "auth_result",
            "success": True,
            "message": "Authentication successful",
            "id": -(10**62),
        }

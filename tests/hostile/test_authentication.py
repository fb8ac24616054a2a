"""Hostile logins.

Elsewhere: a thousand at once in ``test_guessing.py``; locks in ``tests/ws/server/test_defences.py``, keys
and their end in ``test_keys.py`` there; a record that cannot be written, a full disk, a file that was
truncated or rotated underneath in ``test_audit_file.py``; what JSON a stranger may send in
``test_json.py``; a true byte a second in ``test_trickles.py``.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Final

import pytest
from raw import TEXT, RawClient, frame, handshake, text
from scramp import ScramClient
from servers import KEY, PASSWORD, auth_message
from siege import Record, besieged

from passivbot_ws_plugin.access.auth import make_token
from passivbot_ws_plugin.access.scram import MECHANISM
from passivbot_ws_plugin.audit import Audit, AuditFile
from passivbot_ws_plugin.audit.chain import to_json
from passivbot_ws_plugin.audit.tail import Table
from passivbot_ws_plugin.audit.verify import verify

TOKEN: Final = make_token(PASSWORD, KEY)
ACCEPTED: Final = ("auth.success", "accepted")
SILENT: Final = ("auth.timeout", "no auth message in time")
LARGE: Final = ("auth.failure", "message too large")

#: What a stranger is told after `Authentication failed: `.
WRONG: Final = "wrong token or public_key_part"
MALFORMED: Final = "bad format; token must be 64 lower-case hexadecimal digits"
FORMAT: Final = (
    'bad format; the first message must be {"type":"auth","token":...,"public_key_part":...}, both strings'
)

NO_DATA: Final = "auth after a challenge needs data, a string; subscribe, if any, is a list"
NO_TOKEN: Final = "auth needs token and public_key_part, both strings; subscribe, if any, is a list"


def login(token: object = TOKEN, part: object = KEY) -> str:
    return json.dumps({"type": "auth", "token": token, "public_key_part": part})


#: What is sent, what the stranger is told, and what is on record.
REFUSED: dict[str, tuple[str, str, str]] = {
    "non-ASCII token": (login("\xe9" * 64), MALFORMED, "token malformed"),
    "digits that are no ASCII": (login("\uff11" * 64), MALFORMED, "token malformed"),
    "surrogates": (login("\ud800" * 64), MALFORMED, "token malformed"),
    "upper-case hex": (login(TOKEN.upper()), MALFORMED, "token malformed"),
    "a blank before": (login(f" {TOKEN}"), MALFORMED, "token malformed"),
    "a blank after": (login(f"{TOKEN} "), MALFORMED, "token malformed"),
    "a line break after": (login(f"{TOKEN}\n"), MALFORMED, "token malformed"),
    "a NUL after": (login(f"{TOKEN}\0"), MALFORMED, "token malformed"),
    "63 characters": (login(TOKEN[:63]), MALFORMED, "token malformed"),
    "65 characters": (login(f"{TOKEN}0"), MALFORMED, "token malformed"),
    "empty": (login(""), MALFORMED, "token malformed"),
    "the password": (login(PASSWORD), MALFORMED, "token malformed"),
    "token a number": (login(1), FORMAT, NO_TOKEN),
    "token a long number": (login(10**300), FORMAT, NO_TOKEN),
    "token null": (login(None), FORMAT, NO_TOKEN),
    "token a list": (login([TOKEN]), FORMAT, NO_TOKEN),
    "token true": (login(True), FORMAT, NO_TOKEN),
    "token an object": (login({"token": TOKEN}), FORMAT, NO_TOKEN),
    "part null": (login(part=None), FORMAT, NO_TOKEN),
    "part a list": (login(part=[KEY]), FORMAT, NO_TOKEN),
    "no part": (json.dumps({"type": "auth", "token": TOKEN}), FORMAT, NO_TOKEN),
    "keys of surrogates": (
        '{"type":"auth","token":"x","public_key_part":"x","\\ud800":1}',
        MALFORMED,
        "token malformed",
    ),
    "nothing but the type": ('{"type":"auth"}', FORMAT, NO_TOKEN),
    "a wrong token": (login("0" * 64), WRONG, "wrong token"),
    "the valid hash of another part": (login(make_token(PASSWORD, "other")), WRONG, "wrong token"),
    "another part with its valid hash": (
        login(make_token(PASSWORD, "other"), "other"),
        WRONG,
        "unknown public_key_part",
    ),
    "a part split elsewhere": (
        login(make_token(PASSWORD + KEY[:3], KEY[3:]), KEY[3:]),
        WRONG,
        "unknown public_key_part",
    ),
    "a 7 kB part": (login(part="a" * 7_000), WRONG, "unknown public_key_part"),
    "a part with NUL": (login(part=f"{KEY}\0"), WRONG, "unknown public_key_part"),
    "a part with CRLF": (
        login(part=f'{KEY}\r\n{{"event":"auth.success"}}'),
        WRONG,
        "unknown public_key_part",
    ),
    "a part with ANSI": (login(part="\x1b[2J\x1b]0;x\x07"), WRONG, "unknown public_key_part"),
    "a part of bidi controls": (login(part="\u202e\u2066"), WRONG, "unknown public_key_part"),
    "a part of surrogates": (login(part="\ud800"), WRONG, "unknown public_key_part"),
    "an empty part": (login(part=""), WRONG, "unknown public_key_part"),
    "the password as the part": (login(part=PASSWORD), WRONG, "unknown public_key_part"),
    "get_config": ('{"type":"get_config"}', FORMAT, "a request before auth"),
    "ping": ('{"type":"ping"}', FORMAT, "a request before auth"),
    "subscribe": (
        '{"type":"subscribe","channel":"statistics"}',
        FORMAT,
        "a request before auth",
    ),
    "unsubscribe": ('{"type":"unsubscribe","channel":"statistics"}', FORMAT, "a request before auth"),
    "list_bots": ('{"type":"list_bots"}', FORMAT, "a request before auth"),
    "a proof without a challenge": ('{"type":"auth","data":"c=biws"}', FORMAT, "a request before auth"),
}


@pytest.mark.bad_requests
@pytest.mark.parametrize(("sent", "message", "reason"), REFUSED.values(), ids=REFUSED)
async def test_a_wrong_login_is_told_little_and_closed(sent: str, message: str, reason: str) -> None:
    async with besieged(("auth.failure", reason)) as siege:
        client = await siege.stranger()
        await client.send(text(sent) + text(auth_message()) + text({"type": "get_config"}))
        [answer], code = await client.closing()
        assert answer.json() == {
            "type": "auth_result",
            "success": False,
            "message": f"Authentication failed: {message}",
        }
        assert code == 4401
        record = json.loads(siege.audit_log.lines[-1])
        assert record["key"] == KEY or record["key"] is None or record["key"].startswith("hash:")


async def test_a_64_kb_part_is_too_large() -> None:
    async with besieged(LARGE) as siege:
        client = await siege.stranger()
        await client.send(text(login(part="a" * 65_536)))
        assert await client.closing() == ([], 1009)


# --- SCRAM ------------------------------------------------------------------------------

FIRST: Final = f"n,,n={KEY},r=abcdefghijklmnop"
BAD_FIRST: Final = "client-first-message malformed"


def hello(data: object = FIRST, mechanism: object = MECHANISM) -> str:
    return json.dumps({"type": "hello", "mechanism": mechanism, "data": data})


@pytest.mark.bad_requests
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (hello(mechanism="SCRAM-SHA-1"), "unknown mechanism"),
        (hello(mechanism="scram-sha-256"), "unknown mechanism"),
        (hello(mechanism=None), "hello needs mechanism and data, both strings"),
        (hello(1), "hello needs mechanism and data, both strings"),
        (hello(""), BAD_FIRST),
        (hello("n,,"), BAD_FIRST),
        (hello("," * 1_000), BAD_FIRST),
        (hello("p=tls-unique,,n=a,r=b"), BAD_FIRST),
        (hello("n,,r=only-a-nonce"), BAD_FIRST),
        (hello("y"), BAD_FIRST),
    ],
)
async def test_a_wrong_hello_is_the_end(sent: str, reason: str) -> None:
    async with besieged(("auth.failure", reason)) as siege:
        client = await siege.stranger()
        await client.send(text(sent))
        [answer], code = await client.closing()
        assert (answer.json()["type"], answer.json()["success"], code) == ("auth_result", False, 4401)


@pytest.mark.bad_requests
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (hello(), "no proof after the challenge"),
        (login(), "no proof after the challenge"),
        ('{"type":"get_config"}', "no proof after the challenge"),
        (
            '{"type":"auth","data":1}',
            "auth after a challenge needs data, a string; subscribe, if any, is a list",
        ),
        ('{"type":"auth","data":""}', "wrong proof"),
        ('{"type":"auth","data":"c=biws,r=abcdefghijklmnop,p=AAAA"}', "wrong proof"),
        ('{"type":"auth","data":"c=biws,r=\\ud800,p=\\u0000"}', "wrong proof"),
        (json.dumps({"type": "auth", "data": "a=b," * 1_900}), "wrong proof"),
        ("[", "not valid JSON"),
    ],
)
async def test_a_challenge_and_then_no_proof(sent: str, reason: str) -> None:
    async with besieged(("auth.failure", reason)) as siege:
        client = await siege.stranger()
        await client.send(text(hello()) + text(sent))
        [challenge, answer], code = await client.closing()
        assert challenge.json()["type"] == "challenge"
        assert (answer.json()["type"], answer.json()["success"], code) == ("auth_result", False, 4401)


async def test_a_proof_that_was_overheard_is_worth_nothing() -> None:
    async with besieged(ACCEPTED, ("auth.failure", "wrong proof"), stays=True) as siege:
        owner, scram = await siege.stranger(), ScramClient([MECHANISM], KEY, PASSWORD)
        first = hello(scram.get_client_first())
        await owner.send(text(first))
        scram.set_server_first((await owner.message())["data"])
        proof = json.dumps({"type": "auth", "data": scram.get_client_final()})
        await owner.send(text(proof))
        assert (await owner.message())["success"]
        thief = await siege.stranger()
        await thief.send(text(first) + text(proof))
        [_, answer], code = await thief.closing()
        assert (answer.json()["success"], code) == (False, 4401)


# --- twice, together, late --------------------------------------------------------------


async def test_auth_twice_is_an_error_and_a_bad_message() -> None:
    async with besieged(ACCEPTED, limits={"bad_messages": 2}) as siege:
        client = await siege.client()
        await client.send(text(auth_message()) + text(login("0" * 64)))
        answers, code = await client.closing()
        assert [answer.json()["code"] for answer in answers] == ["invalid_message"] * 2
        assert code == 4400


async def test_auth_and_get_config_in_one_segment() -> None:
    async with besieged(ACCEPTED, stays=True) as siege:
        client = await siege.stranger()
        await client.send(text(auth_message()) + text({"type": "get_config"}))
        answers = [await client.message() for _ in range(3)]
        assert [answer["type"] for answer in answers] == ["auth_result", "statistics", "config"]


async def test_a_login_byte_by_byte_ends_at_the_deadline() -> None:
    async with besieged(SILENT) as siege:
        client = await siege.stranger()
        sent = text(auth_message())
        trickling = asyncio.create_task(client.trickle(sent, pause_s=0.05, is_answered=True))
        assert await trickling < len(sent)


async def test_the_deadline_counts_from_connecting() -> None:
    """Who takes long over the handshake has the less for the login."""
    auth_s, loop = 1.0, asyncio.get_running_loop()
    async with besieged(SILENT, limits={"auth_s": auth_s, "handshake_s": 10.0}) as siege:
        client = await siege.attacker()
        connected_at = loop.time()
        await asyncio.sleep(0.8 * auth_s)
        assert await client.upgrade() == 101
        assert await client.closing() == ([], 4408)
        assert loop.time() - connected_at < 1.7 * auth_s


async def test_a_login_that_comes_with_a_handshake_after_the_deadline_is_late() -> None:
    auth_s = 0.4
    async with besieged(SILENT, limits={"auth_s": auth_s, "handshake_s": 10.0}) as siege:
        client = await siege.attacker()
        await asyncio.sleep(1.2 * auth_s)
        await client.send(handshake("x") + text(auth_message()))
        assert (await client.response())[0] == 101
        assert await client.closing() == ([], 4408)


def say(client: RawClient, data: bytes) -> None:
    if not client.writer.is_closing():  # uvloop's transports raise after their end
        client.writer.write(data)


async def test_logins_at_the_very_deadline_are_in_or_out() -> None:
    """Whoever wins the race, client and record are told the same, and who is out gets nothing."""
    count, auth_s, loop = 20, 0.8, asyncio.get_running_loop()
    limits = {"unauthenticated_per_address": count, "auth_s": auth_s}
    async with besieged(limits=limits, stays=True) as siege:
        clients = [await siege.stranger() for _ in range(count)]
        deadlines = {connection.port: connection.connected_at + auth_s for connection in siege.hostile}
        for number, client in enumerate(clients):
            at = deadlines[client.port] + (number - count / 2) / 1000
            loop.call_at(at, say, client, text(auth_message()))
        for client in clients:
            first = await client.frame()
            if first.close_code == 4408:
                siege.expected.append(SILENT)
            else:
                assert first.json()["success"]
                assert (await client.message())["type"] == "statistics"
                siege.expected.append(ACCEPTED)


# --- the record -------------------------------------------------------------------------


async def test_an_error_of_ours_is_on_record_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not logged: the traceback that pytest keeps would hold on to the connection.
    monkeypatch.setattr(logging.getLogger("passivbot_ws_plugin.server.server"), "disabled", True)
    async with besieged(("auth.failure", "internal error")) as siege:
        client = await siege.stranger()
        monkeypatch.setattr(siege.server._admission._authenticator, "check_token", lambda attempt: 1 / 0)
        await client.send(text(auth_message()))
        assert await client.closing() == ([], 1011)


async def test_nothing_that_a_stranger_says_of_itself_forges_a_line() -> None:
    forged = '\x85\x9b31m\\", "event": "auth.success", "key": "' + KEY
    record: Record = ("auth.failure", "unknown public_key_part")
    async with besieged(record) as siege:
        client = await siege.attacker()
        host = "x"
        await client.send(
            (
                f'GET /","event":"auth.success","x":"?token={TOKEN} HTTP/1.1\r\nHost: {host}\r\n'
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                f"Origin: {forged}\r\nUser-Agent: {forged}\r\nX-Forwarded-For: {forged}\r\n\r\n"
            ).encode("latin-1")
        )
        assert (await client.response())[0] == 101
        await client.send(frame(TEXT, login(part="\r\n" + forged).encode()))
        assert (await client.closing())[1] == 4401
        line = json.loads(siege.audit_log.lines[-1])
        assert (line["event"], line["origin"], line["user_agent"]) == ("auth.failure", forged, forged)
        assert line["path"] == '/","event":"auth.success","x":"'
        assert line["key"].startswith("hash:")


#: A request's head that makes the longest line that there is: `{path}` and a value for two headers.
_SPEAKING: Final = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Origin: {said}\r\nUser-Agent: {said}\r\n\r\n"
)


@pytest.mark.parametrize("said", ["\x80" * 8_000, '"' * 8_000, "a\x9b" * 4_000, "a" * 8_000])
async def test_a_line_is_short_whatever_a_stranger_says_of_itself(said: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(AuditFile(path, max_bytes=1_000_000, keep=1))
    refused, wrong = ("connection.refused", "bad handshake"), ("auth.failure", "unknown public_key_part")
    async with besieged(refused, wrong, audit=audit) as siege:
        for char, status in (("\x00", 400), ('"', 101)):
            client = await siege.attacker()
            await client.send(_SPEAKING.format(path="/" + char * 5_000, said=said).encode("latin-1"))
            assert (await client.response())[0] == status
            if status == 101:
                await client.send(text(login(part="\U0001f600" * 500)))
                assert (await client.closing())[1] == 4401
    lines = path.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["event"] for line in lines] == ["auth.success", refused[0], wrong[0]]
    assert max(map(len, lines)) < 1_400
    for line, char in zip(map(json.loads, lines[1:]), '\x00"', strict=True):
        for name, full in (("origin", said), ("user_agent", said), ("path", "/" + char * 5_000)):
            assert full.startswith(line[name])
            assert 195 <= len(to_json(line[name])[1:-1]) <= 200
    assert verify(path).fault is None
    assert [row.split()[1] for row in Table().rows(lines)] == ["auth.success", refused[0], wrong[0]]

from __future__ import annotations

import hashlib

import pytest

from passivbot_ws_plugin.auth import WRONG_CREDENTIALS, Authenticator, Principal, Refusal, make_token
from passivbot_ws_plugin.messages import Auth

AUTHENTICATOR = Authenticator("your_secret_bot_password", "client_A_key")
TOKEN = hashlib.sha256(b"your_secret_bot_passwordclient_A_key").hexdigest()


def test_the_token_is_sha256_of_password_and_key_part() -> None:
    assert make_token("your_secret_bot_password", "client_A_key") == TOKEN
    assert make_token("pä", "ß") == hashlib.sha256("päß".encode()).hexdigest()


def test_the_right_token_is_let_in() -> None:
    assert AUTHENTICATOR.check(Auth(TOKEN, "client_A_key")) == Principal("client_A_key")


def test_a_wrong_key_part_and_a_wrong_token_get_the_same_words() -> None:
    wrong_key = AUTHENTICATOR.check(Auth(TOKEN, "client_B_key"))
    wrong_token = AUTHENTICATOR.check(Auth("0" * 64, "client_A_key"))
    assert wrong_key == Refusal("unknown public_key_part", WRONG_CREDENTIALS)
    assert wrong_token == Refusal("wrong token", WRONG_CREDENTIALS)


@pytest.mark.parametrize(
    "token",
    [
        TOKEN.upper(),
        f" {TOKEN}",
        f"{TOKEN}\n",
        TOKEN[:63],
        TOKEN + "0",
        "",
        "é" * 64,
        "\ud800" * 64,
        "٣" * 64,
    ],
)
def test_a_token_of_another_shape_is_bad_format(token: str) -> None:
    verdict = AUTHENTICATOR.check(Auth(token, "client_A_key"))
    assert isinstance(verdict, Refusal)
    assert verdict.reason == "token malformed"


@pytest.mark.parametrize("key_part", ["", "\0", "a\r\nb", "\x1b[31m", "k" * 64_000, "\ud800"])
def test_a_key_part_of_any_shape_is_merely_wrong(key_part: str) -> None:
    verdict = AUTHENTICATOR.check(Auth(make_token("x", key_part), key_part))
    assert isinstance(verdict, Refusal)


def test_the_valid_hash_of_another_split_does_not_get_in() -> None:
    # The published token hashes the plain concatenation: moving a letter over keeps the hash.
    verdict = AUTHENTICATOR.check(Auth(make_token("your_secret_bot_passwordc", "lient_A_key"), "lient_A_key"))
    assert isinstance(verdict, Refusal)


def test_a_key_part_that_is_ours_may_be_shown() -> None:
    assert AUTHENTICATOR.knows("client_A_key")
    assert not AUTHENTICATOR.knows("client_B_key")

from __future__ import annotations

import hashlib

import pytest

from passivbot_ws_plugin.access.auth import WRONG_CREDENTIALS, Authenticator, Principal, Refusal, make_token
from passivbot_ws_plugin.messages import Auth
from passivbot_ws_plugin.settings.credentials import Credential
from passivbot_ws_plugin.settings.options import Scope


def credential(
    key: str = "client_A_key",
    password: str = "your_secret_bot_password",
    scopes: tuple[Scope, ...] = ("statistics", "config", "events"),
    expires: float | None = None,
) -> Credential:
    return Credential(key, password, frozenset(scopes), expires, "path")


PUBLISHED = credential()
OTHER = credential("dashboard", "another password", ("statistics",))
AUTHENTICATOR = Authenticator([PUBLISHED, OTHER])
TOKEN = hashlib.sha256(b"your_secret_bot_passwordclient_A_key").hexdigest()


def test_the_token_is_sha256_of_password_and_key_part() -> None:
    assert make_token("your_secret_bot_password", "client_A_key") == TOKEN
    assert make_token("pä", "ß") == hashlib.sha256("päß".encode()).hexdigest()


def test_each_key_is_let_in_by_its_own_token() -> None:
    assert AUTHENTICATOR.check_token(Auth(TOKEN, "client_A_key")) == Principal(PUBLISHED, "token")
    token = make_token("another password", "dashboard")
    assert AUTHENTICATOR.check_token(Auth(token, "dashboard")) == Principal(OTHER, "token")


def test_a_key_sees_what_its_scopes_say() -> None:
    principal = Principal(OTHER, "token")
    assert principal.key == "dashboard"
    assert principal.may("statistics")
    assert not principal.may("config")


def test_a_wrong_key_part_and_a_wrong_token_get_the_same_words() -> None:
    wrong_key = AUTHENTICATOR.check_token(Auth(TOKEN, "client_B_key"))
    wrong_token = AUTHENTICATOR.check_token(Auth("0" * 64, "client_A_key"))
    assert wrong_key == Refusal("unknown public_key_part", WRONG_CREDENTIALS)
    assert wrong_token == Refusal("wrong token", WRONG_CREDENTIALS)


def test_the_token_of_one_key_does_not_open_another() -> None:
    assert AUTHENTICATOR.check_token(Auth(TOKEN, "dashboard")) == Refusal("wrong token", WRONG_CREDENTIALS)


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
    verdict = AUTHENTICATOR.check_token(Auth(token, "client_A_key"))
    assert isinstance(verdict, Refusal)
    assert verdict.reason == "token malformed"


@pytest.mark.parametrize("key_part", ["", "\0", "a\r\nb", "\x1b[31m", "k" * 64_000, "\ud800"])
def test_a_key_part_of_any_shape_is_merely_wrong(key_part: str) -> None:
    verdict = AUTHENTICATOR.check_token(Auth(make_token("x", key_part), key_part))
    assert isinstance(verdict, Refusal)


def test_the_valid_hash_of_another_split_does_not_get_in() -> None:
    # The published token hashes the plain concatenation: moving a letter over keeps the hash.
    token = make_token("your_secret_bot_passwordc", "lient_A_key")
    assert token == TOKEN
    assert isinstance(AUTHENTICATOR.check_token(Auth(token, "lient_A_key")), Refusal)


def test_a_denied_token_is_refused_even_if_right() -> None:
    verdict = Authenticator([PUBLISHED], "deny").check_token(Auth(TOKEN, "client_A_key"))
    assert isinstance(verdict, Refusal)
    assert "SCRAM-SHA-256 only" in verdict.message


def test_an_expired_key_is_refused_in_the_words_of_a_wrong_one() -> None:
    now = [999.0]
    expiring = credential(expires=1_000.0)
    authenticator = Authenticator([expiring], wall_clock=lambda: now[0])
    principal = authenticator.check_token(Auth(TOKEN, "client_A_key"))
    assert isinstance(principal, Principal)
    assert authenticator.why_revoked(principal) is None
    now[0] = 1_000.0
    refusal = authenticator.check_token(Auth(TOKEN, "client_A_key"))
    assert refusal == Refusal("key expired", WRONG_CREDENTIALS)
    assert authenticator.why_revoked(principal) == "key expired"


def test_who_logged_in_may_stay_only_if_nothing_of_the_credential_changed() -> None:
    principal = Principal(OTHER, "token")
    assert AUTHENTICATOR.why_revoked(principal) is None
    for changed in (
        [],
        [credential("dashboard", "changed", ("statistics",))],
        [credential("dashboard", "another password")],
    ):
        assert Authenticator([PUBLISHED, *changed]).why_revoked(principal) == "credentials changed"


def test_who_logged_in_by_token_may_not_stay_where_it_is_denied_now() -> None:
    denying = Authenticator([PUBLISHED], "deny")
    assert denying.why_revoked(Principal(PUBLISHED, "token")) == "token denied by auth.token"
    assert denying.why_revoked(Principal(PUBLISHED, "scram")) is None


def test_a_key_part_that_is_ours_may_be_shown() -> None:
    assert AUTHENTICATOR.knows("client_A_key")
    assert not AUTHENTICATOR.knows("client_B_key")


def test_no_password_is_in_a_repr() -> None:
    assert "another password" not in repr(Principal(OTHER, "token"))

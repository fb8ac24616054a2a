from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramClient, ScramException

from passivbot_ws_plugin.access.auth import WRONG_CREDENTIALS, Authenticator, Principal, Refusal
from passivbot_ws_plugin.access.scram import MECHANISM, ScramError, ScramVerifiers
from passivbot_ws_plugin.settings.credentials import Credential

KEY, PASSWORD = "phone=1,2", "correct horse ß battery"
CREDENTIAL = Credential(KEY, PASSWORD, frozenset({"statistics"}), None, "path")
AUTHENTICATOR = Authenticator([CREDENTIAL])


def client(key: str = KEY, password: str = PASSWORD) -> ScramClient:
    return ScramClient([MECHANISM], key, password)


def run(subject: ScramClient, authenticator: Authenticator = AUTHENTICATOR) -> Principal | Refusal:
    exchange = authenticator.scram()
    subject.set_server_first(exchange.challenge(subject.get_client_first()))
    verdict = authenticator.finish_scram(exchange, subject.get_client_final())
    if isinstance(verdict, Refusal):
        return verdict
    principal, server_final = verdict
    subject.set_server_final(server_final)  # raises if the server does not know the password
    return principal


def test_both_sides_prove_the_password() -> None:
    assert run(client()) == Principal(CREDENTIAL, "scram")


def test_a_wrong_password_and_an_unknown_key_get_the_same_words() -> None:
    assert run(client(password="wrong")) == Refusal("wrong proof", WRONG_CREDENTIALS)
    assert run(client(key="nobody")) == Refusal("unknown public_key_part", WRONG_CREDENTIALS)


@pytest.mark.parametrize("key", [KEY, "nobody"])
def test_an_unknown_key_costs_the_work_of_a_known_one(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make = ScramVerifiers._random

    def count(verifiers: ScramVerifiers, key: str, purpose: str) -> bytes:
        made.append(purpose)
        return make(verifiers, key, purpose)

    monkeypatch.setattr(ScramVerifiers, "_random", count)
    AUTHENTICATOR.scram().challenge(client(key).get_client_first())
    assert made == ["salt", "stored", "server"]


def test_an_unknown_key_has_a_salt_that_stays_the_same() -> None:
    salts = [AUTHENTICATOR.scram().challenge(f"n,,n={key},r=x").split(",")[1] for key in ("a", "a", "b")]
    assert salts[0] == salts[1] != salts[2]


def test_a_server_without_the_password_is_found_out() -> None:
    subject = client()
    impostor = Authenticator([Credential(KEY, "something else", frozenset(), None, "path")]).scram()
    subject.set_server_first(impostor.challenge(subject.get_client_first()))
    subject.get_client_final()
    with pytest.raises(ScramException):
        subject.set_server_final("v=" + "A" * 43 + "=")


def test_the_token_policy_does_not_touch_scram() -> None:
    assert isinstance(run(client(), Authenticator([CREDENTIAL], "deny")), Principal)


def test_an_expired_key_is_refused_after_its_proof() -> None:
    expired = Credential(KEY, PASSWORD, frozenset(), 5.0, "path")
    verdict = run(client(), Authenticator([expired], wall_clock=lambda: 5.0))
    assert verdict == Refusal("key expired", WRONG_CREDENTIALS)


def test_a_password_that_is_no_saslprep_text_has_no_scram_but_its_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    authenticator = Authenticator([Credential(KEY, "bell\x07", frozenset(), None, "path")])
    assert "scram.unavailable" in caplog.text
    assert "bell" not in caplog.text
    assert run(client(password="bell"), authenticator) == Refusal("wrong proof", WRONG_CREDENTIALS)


@given(st.text())
def test_no_first_message_raises_anything_but_a_scram_error(text: str) -> None:
    try:
        AUTHENTICATOR.scram().challenge(text)
    except ScramError as exc:
        assert str(exc) == "client-first-message malformed"  # noqa: PT017


@given(st.text() | st.text(alphabet="c=biws,rp0aA+/"))
def test_no_final_message_gets_in_or_raises(text: str) -> None:
    exchange = AUTHENTICATOR.scram()
    exchange.challenge(client().get_client_first())
    assert isinstance(AUTHENTICATOR.finish_scram(exchange, text), Refusal)


def test_a_password_that_is_changed_between_hello_and_proof_does_not_get_in() -> None:
    subject, exchange = client(), AUTHENTICATOR.scram()
    subject.set_server_first(exchange.challenge(subject.get_client_first()))
    changed = Authenticator([Credential(KEY, "another password", frozenset({"statistics"}), None, "path")])
    verdict = changed.finish_scram(exchange, subject.get_client_final())
    assert verdict == Refusal("credentials changed during the login", WRONG_CREDENTIALS)

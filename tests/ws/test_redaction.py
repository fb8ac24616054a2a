from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.redaction import MASK, is_secret, mask_secrets, without_metadata


@pytest.mark.parametrize(
    "key",
    ["password", "websocket_password", "Secret", "api-key", "API_KEY", "apiKey", "token", "private_key",
     "passphrase", "walletMnemonic", "passwd", "PWD", "seed_phrase", "webhook_url", "accessKey",
     "key", "jwt"],
)  # fmt: skip
def test_secrets_go_by_the_name_of_their_key(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize(
    "key",
    ["user", "websocket_public_key_part", "leverage", "keys", "bypass", "author", "monkey"],
)
def test_the_rest_is_no_secret(key: str) -> None:
    assert not is_secret(key)


def test_secrets_are_masked_wherever_they_are_and_whatever_is_in_them() -> None:
    config = {
        "live": {"user": "main", "websocket_password": "p", "n": [{"secret": 5}]},
        "plugins": {"websocket": {"keys": {"phone": {"password": "p", "scopes": ["statistics"]}}}},
        "tokens": {"a": "x", "b": ["y", None]},
    }
    assert mask_secrets(config) == {
        "live": {"user": "main", "websocket_password": MASK, "n": [{"secret": MASK}]},
        "plugins": {"websocket": {"keys": {"phone": {"password": MASK, "scopes": ["statistics"]}}}},
        "tokens": {"a": MASK, "b": [MASK, None]},
    }
    assert config["live"]["websocket_password"] == "p"  # type: ignore[index]


def test_passivbots_own_metadata_is_left_out() -> None:
    config = {"live": {"_x": 1}, "_raw": {}, "_raw_effective": {}, "_transform_log": [], "_coins_sources": {}}
    assert without_metadata(config) == {"live": {"_x": 1}}


_plain_keys = st.sampled_from(["user", "live", "n"])
_secret_keys = st.sampled_from(["password", "my_secret", "api_key", "token"])
_configs = st.recursive(
    st.just("LEAK") | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_plain_keys | _secret_keys, inner, max_size=3)
    ),
)


@given(_secret_keys, _configs)
def test_masking_never_leaks(key: str, value: Any) -> None:
    assert "LEAK" not in str(mask_secrets({"live": {key: value}}))

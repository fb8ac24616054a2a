from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import KEY, PASSWORD

from passivbot_ws_plugin.errors import NotConfiguredError, SettingsError
from passivbot_ws_plugin.settings.options import Limits
from passivbot_ws_plugin.settings.parsing import parse_settings


def config(websocket: object = None, **live: Any) -> dict[str, Any]:
    defaults = {"websocket_password": PASSWORD, "websocket_public_key_part": KEY}
    return {"live": {**defaults, **live}, "plugins": {"websocket": True if websocket is None else websocket}}


def test_the_published_keys_and_their_defaults() -> None:
    settings = parse_settings(config())
    assert (settings.host, settings.port) == ("127.0.0.1", 8765)
    [published] = settings.credentials
    assert published.scopes == {"statistics", "config", "events"}
    assert (published.password, published.key) == (PASSWORD, KEY)
    assert settings.options.limits == Limits()
    assert settings.warnings == ()


def test_plugins_may_be_absent() -> None:
    assert parse_settings({"live": config()["live"]}).port == 8765


def test_options_are_read() -> None:
    settings = parse_settings(config({"config_secrets": "mask", "limits": {"auth_s": 3, "bad_messages": 2}}))
    assert settings.options.config_secrets == "mask"
    assert (settings.options.limits.auth_s, settings.options.limits.bad_messages) == (3, 2)


@pytest.mark.parametrize("key", ["websocket_password", "websocket_public_key_part"])
@pytest.mark.parametrize("value", [None, ""])
def test_without_credentials_there_is_no_server_and_one_line_says_so(key: str, value: object) -> None:
    with pytest.raises(NotConfiguredError, match=f"live.{key}.*the server stays off"):
        parse_settings(config(**{key: value}))


@pytest.mark.parametrize("key", ["websocket_password", "websocket_public_key_part"])
def test_credentials_outside_of_live_are_no_credentials_and_told_where_to(key: str) -> None:
    with pytest.raises(
        NotConfiguredError, match=f"live.{key}: is missing.*{key} stands outside of live: move it"
    ):
        parse_settings(config(**{key: None}) | {key: "a long one of its own"})


@pytest.mark.parametrize(("key", "value"), [("websocket_host", "127.0.0.1"), ("websocket_port", 8766)])
def test_an_address_outside_of_live_is_not_silently_ignored(key: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"^{key}: is not read outside of live; move it there"):
        parse_settings(config() | {key: value})
    parse_settings(config(**{key: value}) | {key: value})


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({"websocket_port": "8765"}, "live.websocket_port: must be a whole number from 0"),
        ({"websocket_port": 70_000}, "live.websocket_port: must be a whole number from 0"),
        ({"websocket_port": -1}, "live.websocket_port"),
        ({"websocket_port": 8765.0}, "live.websocket_port"),
        ({"websocket_port": True}, "live.websocket_port"),
        ({"websocket_port": None}, "live.websocket_port"),
        ({"websocket_host": 5}, "live.websocket_host: must be an address to bind"),
        ({"websocket_host": ""}, "live.websocket_host: must be an address to bind"),
        ({"websocket_password": 12345}, "live.websocket_password: must be a string, not a number"),
        ({"websocket_public_key_part": []}, "live.websocket_public_key_part: must be a string, not a list"),
    ],
)
def test_a_wrong_live_setting_names_its_key(live: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(config(**live))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("websocket", "said"),
    [
        ({"limit": {}}, "plugins.websocket.limit: is not an option; did you mean limits?"),
        ({"tls": {}}, "plugins.websocket.tls.cert: is missing"),
        ({"tls": {"cert": "x", "key": "y", "chain": "z"}}, "plugins.websocket.tls.chain: is not an option"),
        (
            {"tls": {"cert": 5, "key": "y"}},
            "plugins.websocket.tls.cert: must be a string, not a whole number",
        ),
        ({"origins": "https://x"}, "plugins.websocket.origins: must be a list or null, not a string"),
        ({"auth": {"token": "maybe"}}, "plugins.websocket.auth.token: must be allow, warn or deny"),
        ({"audit": {"keep": 0}}, "plugins.websocket.audit.keep: must be a whole number of at least 1"),
        ({"keys": {"phone": {}}}, "plugins.websocket.keys.phone.password: is missing"),
        (
            {"keys": {"phone": {"password": ""}}},
            "plugins.websocket.keys.phone.password: must be a string that is not empty",
        ),
        (
            {"keys": {"phone": {"password": "p", "scopes": ["all"]}}},
            "keys.phone.scopes[0]: must be one of statistics, config, events",
        ),
        (
            {"keys": {"phone": {"password": "p", "scopes": []}}},
            "keys.phone.scopes: must be a list that is not empty",
        ),
        (
            {"keys": {"phone": {"password": "p", "expires": "2027-01-01"}}},
            "keys.phone.expires: must be a time with a zone",
        ),
        (
            {"keys": {"phone": {"password": "p", "expires": "2027-01-01T00:00:00"}}},
            "keys.phone.expires: must be a time with a zone",
        ),
        (
            {"keys": {KEY: {"password": "p"}}},
            f"plugins.websocket.keys.{KEY}: is live.websocket_public_key_part",
        ),
        ({"keys": {"": {"password": "p"}}}, "plugins.websocket.keys: a key part must not be empty"),
        (
            {"keys": {"phone": {"password": "env:NOT_SET_ANYWHERE"}}},
            "plugins.websocket.keys.phone.password: the env",
        ),
        ({"limits": {"auth": 1}}, "plugins.websocket.limits.auth: is not an option; did you mean auth_s?"),
        ({"limits": 3}, "plugins.websocket.limits: must be an object, not a whole number"),
        ({"limits": {"auth_s": "10"}}, "plugins.websocket.limits.auth_s: must be a number, not a string"),
        ({"limits": {"auth_s": 0}}, "plugins.websocket.limits.auth_s: must be a number more than 0"),
        ({"limits": {"auth_s": None}}, "plugins.websocket.limits.auth_s: must be a number, not null"),
        (
            {"limits": {"message_bytes": 3}},
            "plugins.websocket.limits.message_bytes: must be a whole number of at least 1024",
        ),
        ({"limits": {"buffer_hard_bytes": 2048}}, "buffer_hard_bytes: must not be less than buffer_soft"),
        ({"limits": {"connections": 2}}, "limits.connections: must be at least 3: one for who logs in, one"),
        ({"config_secrets": "never"}, "plugins.websocket.config_secrets: must be auto, include or mask"),
        (
            {"allow_plaintext": 1},
            "plugins.websocket.allow_plaintext: must be true or false, not a whole number",
        ),
    ],
)
def test_a_wrong_option_names_its_path_and_what_would_be_right(websocket: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(config(websocket))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("websocket_prt", "live.websocket_prt: is not a setting; did you mean websocket_port?"),
        ("websocket_passwd", "live.websocket_passwd: is not a setting; did you mean websocket_password?"),
        ("websocket_tls", "live.websocket_tls: is not a setting; set plugins.websocket.tls"),
    ],
)
def test_a_misspelled_live_setting_is_not_silently_ignored(name: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(config(**{name: "x"}))
    assert str(caught.value) == said


@pytest.mark.parametrize("swallowed", [" // my password", "   # key", ",", " /* x */", "}"])
def test_a_comment_that_was_swallowed_is_warned_of_without_the_secret(swallowed: str) -> None:
    password = parse_settings(config(websocket_password=PASSWORD + swallowed)).warnings
    assert password == (
        "live.websocket_password: seems to end in a comment or a comma; put the string in quotes",
    )
    [key] = parse_settings(config(websocket_public_key_part="phone" + swallowed)).warnings
    assert key.startswith("live.websocket_public_key_part: seems to end in a comment")


def test_a_key_that_is_over_is_warned_of() -> None:
    keys = {"guest": {"password": "a password of the guest", "expires": "2020-01-01T00:00:00Z"}}
    [warning] = parse_settings(config({"keys": keys})).warnings
    assert warning.startswith("plugins.websocket.keys.guest.expires: is over")


def test_live_must_be_an_object() -> None:
    with pytest.raises(SettingsError, match=r"live: must be an object"):
        parse_settings({"live": 3})


@pytest.mark.parametrize("origin", ["https://my.page/", "my.page", "https://My.Page", "*"])
def test_an_origin_that_no_browser_says_is_warned_of(origin: str) -> None:
    right = ["https://my.page", "http://127.0.0.1:8000", "http://[::1]:8000", "null"]
    [warning] = parse_settings(config({"origins": [*right, origin]})).warnings
    assert warning.startswith(f"plugins.websocket.origins[4]: no browser says {origin!r}; ")


@pytest.mark.parametrize(
    "live",
    [
        {"websocket_host": '0.0.0.0, api_password: "swallowed"'},
        {"websocket_password": 'env:NAME, api_password: "swallowed"'},
        {"websocket_password": "file:/there/is/none, api_password: swallowed"},
        {"websocket_password": "file:~nosuchuser/x, api_password: swallowed"},
    ],
    ids=["host", "env", "file", "home"],
)
def test_an_error_does_not_repeat_the_rest_of_a_line(live: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="in quotes") as raised:
        parse_settings(config(**live))
    assert "swallowed" not in str(raised.value)


def test_keys_have_scopes_and_an_end() -> None:
    keys = {
        "phone": {"password": PASSWORD},
        "page": {"password": "another long one", "scopes": ["statistics"], "expires": "1970-01-01T00:01:00Z"},
    }
    _, phone, page = parse_settings(config({"keys": keys})).credentials
    assert (phone.key, phone.expires) == ("phone", None)
    assert phone.scopes == {"statistics", "config", "events"}
    assert (page.key, page.expires) == ("page", 60.0)
    assert page.scopes == {"statistics"}
    assert not page.has_expired(59.9)
    assert page.has_expired(60.0)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_keys = st.sampled_from(["enabled", "limits", "config_secrets", "keys", "tls", "audit", "origins"]) | st.text(
    max_size=6
)
_limits = st.dictionaries(st.sampled_from(Limits.__struct_fields__) | st.text(max_size=6), _json, max_size=4)


@given(st.dictionaries(_keys, _json | _limits, max_size=4), _json, _json)
def test_no_setting_raises_anything_but_a_settings_error(options: object, host: object, port: object) -> None:
    try:
        parse_settings(config(options, websocket_host=host, websocket_port=port))
    except SettingsError as exc:
        assert exc.reason  # noqa: PT017

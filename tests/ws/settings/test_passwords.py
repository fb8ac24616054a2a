from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import pytest
from processes import EXAMPLES, ROOT
from servers import PASSWORD, make_config

from passivbot_ws_plugin.errors import SettingsError
from passivbot_ws_plugin.settings.parsing import parse_settings

#: The passwords of the configs that a reader may copy. The installed wheels are tested without the README.
PRINTED_PASSWORDS: Final = [
    re.findall(r'websocket_password: "(.+)"', page.read_text("utf-8"))[0]
    for page in (*ROOT.glob("README.md"), EXAMPLES / "live.hjson")
]


def test_a_password_of_two_keys_is_warned_of_without_the_secret() -> None:
    keys = {
        "phone": {"password": PASSWORD, "scopes": ["statistics"]},
        "guest": {"password": "a password of the guest"},
        "tablet": {"password": "a password of the guest", "scopes": ["statistics"]},
    }
    published, other = parse_settings(make_config({"websocket": {"keys": keys}})).warnings
    assert published.startswith(
        "plugins.websocket.keys.phone.password: is that of live.websocket_password too"
    )
    assert other.startswith(
        "plugins.websocket.keys.tablet.password: is that of plugins.websocket.keys.guest.password too"
    )
    assert PASSWORD not in published


def test_a_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS_PASSWORD", PASSWORD)
    assert (
        parse_settings(make_config(websocket_password="env:WS_PASSWORD")).credentials[0].password == PASSWORD
    )
    monkeypatch.delenv("WS_PASSWORD")
    with pytest.raises(SettingsError, match="the environment variable WS_PASSWORD is not set"):
        parse_settings(make_config(websocket_password="env:WS_PASSWORD"))


def test_a_password_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        parse_settings(make_config(websocket_password=f"file:{path}"))
    path.write_text(PASSWORD + "\n")
    assert parse_settings(make_config(websocket_password=f"file:{path}")).credentials[0].password == PASSWORD
    path.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read as UTF-8"):
        parse_settings(make_config(websocket_password=f"file:{path}"))
    path.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        parse_settings(make_config(websocket_password=f"file:{path}"))


def test_a_relative_path_is_told_with_where_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        SettingsError, match=r"the file password \(a relative path begins in the folder where"
    ):
        parse_settings(make_config(websocket_password="file:password"))
    (tmp_path / "password").write_text(PASSWORD)
    assert parse_settings(make_config(websocket_password="file:password")).credentials[0].password == PASSWORD


def test_a_password_that_is_its_own_key_part_is_weak() -> None:
    [warning] = parse_settings(
        make_config(websocket_password="the-same-twice", websocket_public_key_part="the-same-twice")
    ).warnings
    assert warning == "live.websocket_password: is its own key part, which is no secret"


def test_a_password_file_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "it's mine, [really]"
    path.write_text(PASSWORD)
    assert parse_settings(make_config(websocket_password=f"file:{path}")).credentials[0].password == PASSWORD


def test_a_password_file_that_is_no_file_is_refused_and_waits_for_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, "/dev/zero"):
        with pytest.raises(SettingsError, match="is not a regular file"):
            parse_settings(make_config(websocket_password=f"file:{path}"))


def test_a_colon_in_a_password_is_a_password() -> None:
    assert (
        parse_settings(make_config(websocket_password="pass:word and more")).credentials[0].password
        == "pass:word and more"
    )


def test_beyond_loopback_plaintext_must_be_allowed_and_the_password_good() -> None:
    outside: dict[str, Any] = {"websocket_host": "0.0.0.0"}
    with pytest.raises(SettingsError, match="not encrypted"):
        parse_settings(make_config(**outside))
    allowed = {"websocket": {"allow_plaintext": True}}
    assert "without encryption" in str(parse_settings(make_config(allowed, **outside)).warnings)
    for password in ("short", *PRINTED_PASSWORDS):
        with pytest.raises(SettingsError, match=r"live.websocket_password") as caught:
            parse_settings(make_config(allowed, **outside, websocket_password=password))
        assert password not in str(caught.value)


@pytest.mark.parametrize("password", ["short", *PRINTED_PASSWORDS])
def test_on_loopback_a_weak_password_is_a_warning(password: str) -> None:
    [warning] = parse_settings(make_config(websocket_password=password)).warnings
    assert warning.startswith("live.websocket_password")
    assert password not in warning


def test_the_password_is_not_in_the_repr() -> None:
    assert PASSWORD not in repr(parse_settings(make_config()))


def test_beyond_loopback_tls_is_enough_and_every_password_must_be_good() -> None:
    options: dict[str, Any] = {"tls": {"cert": "c", "key": "k"}}
    assert parse_settings(make_config({"websocket": options}, websocket_host="0.0.0.0")).warnings == ()
    options["keys"] = {"phone": {"password": "short"}}
    with pytest.raises(SettingsError, match=r"plugins\.websocket\.keys\.phone\.password: has fewer"):
        parse_settings(make_config({"websocket": options}, websocket_host="0.0.0.0"))

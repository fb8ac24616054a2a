from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_hooks import ConfigError, load_config
from passivbot_hooks.config import CONFIG_MAX_BYTES, is_name, parse_config

PATH = Path("live.hjson")


def test_hjson_is_read_as_passivbot_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "live.hjson"
    path.write_text("{\n  live: {\n    user: main\n    websocket_port: 8765  // a comment\n  }\n}\n")
    config = load_config(path)
    assert config.user == "main"
    assert config.data["live"]["websocket_port"] == 8765
    assert config.path == path


def test_byte_order_mark_is_no_part_of_the_content() -> None:
    assert parse_config(PATH, '\ufefflive: {user: "main"}'.encode()).user == "main"


def test_user_may_be_absent() -> None:
    assert parse_config(PATH, b"live: {}").user is None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "no `live"),
        (b"[]", "no `live"),
        (b"live: []", "no `live"),
        (b'{"live": {"user": 3}}', "live.user must be the account's name"),
        (b'{"live": {"user": "../etc"}}', "live.user must be the account's name"),
        (b'{"live": {"user": ""}}', "live.user must be the account's name"),
        (b'{live: {\nuser: main, websocket_password: "hunter2"\n}}', "live.user must be the account's name"),
        (b"live: {user: main}", "put strings in quotes"),
        (b"{live: {user: main}", "not valid HJSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"live: {}\n# \xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"live": {"x": ' + b"1" * 5000 + b"}}", "not valid HJSON"),
        (b" " * (CONFIG_MAX_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_config_is_refused_with_a_reason(raw: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=r"live\.hjson") as caught:
        parse_config(PATH, raw)
    assert said in caught.value.reason
    assert "hunter2" not in str(caught.value)


def test_syntax_error_names_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(PATH, b'{\n"live": {\n"user": }\n}')
    assert caught.value.line == 3
    assert str(caught.value).startswith("live.hjson:3: not valid HJSON")


def test_bytes_that_are_not_utf8_name_their_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(PATH, b"live: {}\n\n# \xff")
    assert caught.value.line == 3


def test_missing_file_directory_and_fifo_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "nowhere.hjson")
    with pytest.raises(ConfigError, match="is a directory"):
        load_config(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="not a regular file"):
        load_config(tmp_path / "fifo")


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_config_error(raw: bytes) -> None:
    try:
        parse_config(PATH, raw)
    except ConfigError as exc:
        assert exc.reason  # noqa: PT017  the point is that nothing else is raised


@given(st.text(alphabet="{}[]:,\"'\\/#*\n\r\t .-+eE0123456789truefalsn", max_size=80))
def test_no_text_of_hjson_characters_raises_anything_but_a_config_error(text: str) -> None:
    try:
        parse_config(PATH, text.encode())
    except ConfigError as exc:
        assert exc.reason  # noqa: PT017


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("main", True), ("a b", True), ("", False), ("..", False), ("a/b", False), ("a\0", False)],
)
def test_a_name_is_one_directory(name: str, is_one: bool) -> None:
    assert is_name(name) is is_one


def test_a_key_that_stands_twice_is_told(caplog: pytest.LogCaptureFixture) -> None:
    text = b'{ live: { user: "a" }\n bot: { long: 1 }\n live: { user: "b" } }'
    assert parse_config(Path("c.hjson"), text).user == "b"
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        "c.hjson: 'live' stands twice in one object; the last one counts, for Passivbot too"
    )


def test_keys_of_one_name_in_two_objects_are_no_doubles(caplog: pytest.LogCaptureFixture) -> None:
    parse_config(Path("c.hjson"), b"{ live: {}\n bot: { long: { n: 1 }\n short: { n: 1 } } }")
    assert not caplog.records

from __future__ import annotations

import pytest
from servers import make_config

from passivbot_ws_plugin.errors import SettingsError
from passivbot_ws_plugin.settings.parsing import make_address, parse_settings


@pytest.mark.parametrize("host", ["127.0.0.1 // home", '127.0.0.1, websocket_password: "hunter2"'])
def test_a_host_that_goes_on_to_the_end_of_its_line_is_told_so_and_not_shown(host: str) -> None:
    with pytest.raises(SettingsError, match=r"live\.websocket_host: .*put it in quotes") as caught:
        parse_settings(make_config(websocket_host=host))
    assert host not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("127.0.0.1:8765", "127.0.0.1"),
        ("localhost:8765", "localhost"),
        ("[::1]:8765", "::1"),
        ("ws://127.0.0.1", "127.0.0.1"),
        ("wss://bot.example.org:8765/x", "bot.example.org"),
        ("ws://[::1]:8765/", "::1"),
        ("127.0.0.1/", "127.0.0.1"),
    ],
)
def test_a_host_with_more_than_the_address_is_told_which_part_that_is(host: str, right: str) -> None:
    with pytest.raises(SettingsError, match="must be the address alone") as caught:
        parse_settings(make_config(websocket_host=host))
    assert f"{right!r}" in str(caught.value)
    assert "live.websocket_port" in str(caught.value)


@pytest.mark.parametrize("host", ["::1:8765:x", "1:2:3", ":8765", "::1::2", "[1]"])
def test_a_host_with_colons_that_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match=r"such as 127\.0\.0\.1"):
        parse_settings(make_config(websocket_host=host))


@pytest.mark.parametrize(
    ("host", "address"),
    [("[::1]", "ws://[::1]:8765"), ("::1", "ws://[::1]:8765"), ("localhost", "ws://localhost:8765")],
)
def test_an_ipv6_address_may_have_its_brackets(host: str, address: str) -> None:
    settings = parse_settings(make_config(websocket_host=host, websocket_port=8765))
    assert make_address(settings.host, settings.port, settings.options) == address
    assert settings.host == host.strip("[]")

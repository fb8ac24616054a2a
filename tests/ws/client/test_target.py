"""What a client is made of: what cannot work, or would give the password away, is said at once."""

from __future__ import annotations

import ssl

import pytest
from servers import KEY, PASSWORD

from passivbot_ws_plugin.client import ClientError, Subscribe, connect
from passivbot_ws_plugin.client.target import Timing


def test_the_token_does_not_go_unencrypted_to_another_machine() -> None:
    with pytest.raises(ValueError, match="allow_plaintext_token"):
        connect("ws://bot.example.org:8765", key=KEY, password=PASSWORD, method="token")
    for url in ("ws://127.0.0.1:8765", "ws://[::1]:8765", "ws://localhost:8765", "wss://bot.example.org"):
        connect(url, key=KEY, password=PASSWORD, method="token")
    connect("ws://10.0.0.1", key=KEY, password=PASSWORD, method="token", allow_plaintext_token=True)
    connect("ws://bot.example.org:8765", key=KEY, password=PASSWORD)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://127.0.0.1:8765"}, "an address begins with ws:// or wss://"),
        ({"url": "ws://"}, "an address begins with ws:// or wss:// and a host"),
        ({"url": "ws://[::1"}, "and a host"),
        ({"url": "ws://bot..example.org"}, "and a host"),
        ({"url": f"ws://{'a' * 64}.example.org"}, "and a host"),
        ({"url": "ws://bot\0"}, "and a host"),
        ({"url": "ws://127.0.0.1:99999"}, "the port of the address"),
        ({"url": "ws://127.0.0.1: 8765"}, "the port of the address"),
        ({"url": "ws://127.0.0.1:secret"}, "the port of the address"),
        ({"url": "ws://me:secret@127.0.0.1"}, "no credentials in url"),
        ({"method": "magic"}, "method must be one of"),
        ({"password": "bell\x07"}, "SASLprep"),
        ({"password": ""}, "must not be empty"),
        ({"tls": ssl.create_default_context()}, "tls is for wss"),
        ({"events_max": 0}, "events_max"),
        ({"subscriptions": ["statistics", Subscribe("statistics")]}, "one subscription"),
        ({"subscriptions": ["balance"]}, "no such channel"),
        ({"subscriptions": [Subscribe("events", bots=["\ud800"])]}, "half a surrogate pair"),
    ],
)
def test_what_cannot_work_is_said_at_once(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        connect(**{"url": "ws://127.0.0.1:8765", "key": KEY, "password": PASSWORD, **changes})  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
    assert "\x07" not in str(caught.value)


def test_no_repr_holds_the_password() -> None:
    client = connect("ws://127.0.0.1:8765", key=KEY, password=PASSWORD, proxy="http://me:secret@proxy")
    for text in (repr(client), repr(client._target), repr(Timing())):
        assert PASSWORD not in text
        assert "secret" not in text


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("nonsense", "the proxy's address is none"),
        ("http://127.0.0.1:99999", "the proxy's address is none"),
        ("socks5://127.0.0.1:1", "python-socks"),
    ],
)
async def test_a_proxy_that_cannot_be_used_ends_the_client_with_an_error_of_its_own(
    proxy: str, said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        async for _ in connect("ws://192.0.2.1", key=KEY, password=PASSWORD, proxy=proxy):
            pass

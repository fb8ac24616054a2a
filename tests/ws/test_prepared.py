"""The bytes of a prepared frame are the library's own, for every agreement that there can be."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest
from servers import auth_message, receive, serving
from servers import connect as connect_async
from websockets.client import ClientProtocol
from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from passivbot_hooks import Position
from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.prepared import COMPRESS_MIN_BYTES, Prepared
from passivbot_ws_plugin.server.connection import Connection
from passivbot_ws_plugin.server.server import _DEFLATE

#: Each length at which the header changes, and that at which compression begins.
LENGTHS = [0, 1, 125, 126, 1023, 1024, 1025, 65_535, 65_536, 200_000]


#: As varied as what a bot says, much of it again from afar: each window and block makes other bytes of it.
VARIED = "".join(
    f'{{"symbol":"COIN{number * 7919 % 331}/USDT:USDT","size":{number * 104_729 % 99_991 / 64}}},'
    for number in range(6_000)
).encode()


def payload_of(length: int) -> bytes:
    return VARIED[:length]


def test_each_window_makes_bytes_of_its_own() -> None:
    """Else the comparisons below would compare nothing."""
    assert len({Prepared(payload_of(200_000)).frame(window_bits) for window_bits in range(9, 16)}) == 7


@pytest.mark.parametrize("length", LENGTHS)
def test_plain_is_the_librarys(length: int) -> None:
    payload = payload_of(length)
    expected = Frame(Opcode.TEXT, payload).serialize(mask=False)
    assert Prepared(payload).frame(None) == expected
    assert Prepared(payload, is_secret=True).frame(15) == expected


@pytest.mark.parametrize("window_bits", range(9, 16))
@pytest.mark.parametrize("length", LENGTHS)
def test_compressed_is_the_librarys(length: int, window_bits: int) -> None:
    payload = payload_of(length)
    extension = PerMessageDeflate(True, True, 15, window_bits)
    extensions = [extension] if length >= COMPRESS_MIN_BYTES else []
    expected = Frame(Opcode.TEXT, payload).serialize(mask=False, extensions=extensions)
    assert Prepared(payload).frame(window_bits) == expected


@pytest.mark.parametrize("window_bits", [None, *range(9, 16)])
def test_the_librarys_client_reads_it(window_bits: int | None) -> None:
    payload = payload_of(70_000)
    protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN)
    if window_bits is not None:
        protocol.extensions = [PerMessageDeflate(True, True, window_bits, 15)]
    message = Prepared(payload)
    for _ in range(2):  # without context takeover: the second as the first
        protocol.receive_data(message.frame(window_bits))
        [frame] = protocol.events_received()
        assert isinstance(frame, Frame)
        assert (frame.opcode, bytes(frame.data)) == (Opcode.TEXT, payload)


Parameters = list[tuple[str, str | None]]


def every_offer() -> Iterator[tuple[str, Parameters]]:
    """Each combination of the parameters of RFC 7692 section 7.1 that a client may offer."""
    bits: list[str | None] = [str(number) for number in range(8, 16)]
    choices: list[list[Parameters]] = [
        [[], [("server_no_context_takeover", None)]],
        [[], [("client_no_context_takeover", None)]],
        [[], *([("server_max_window_bits", value)] for value in bits)],
        [[], [("client_max_window_bits", None)], *([("client_max_window_bits", value)] for value in bits)],
    ]
    for chosen in itertools.product(*choices):
        offer = [parameter for parameters in chosen for parameter in parameters]
        yield "; ".join(f"{name}={value}" if value else name for name, value in offer), offer


def test_whatever_is_agreed_on_the_bytes_are_those_that_the_library_would_send() -> None:
    payloads = [payload_of(length) for length in (COMPRESS_MIN_BYTES, 5_000, 70_000)]
    agreed = refused = 0
    for name, offer in every_offer():
        try:
            _, extension = _DEFLATE.process_request_params(offer, [])
        except NegotiationError:  # zlib has no window of 8 bits: the client is sent nothing compressed
            assert "server_max_window_bits=8" in name
            refused += 1
            continue
        assert isinstance(extension, PerMessageDeflate)
        assert extension.local_no_context_takeover, name
        agreed += 1
        for payload in payloads:
            expected = Frame(Opcode.TEXT, payload).serialize(mask=False, extensions=[extension])
            assert Prepared(payload).frame(extension.local_max_window_bits) == expected, name
    assert (agreed, refused) == (2 * 2 * 8 * 10, 2 * 2 * 10)


def test_a_frame_is_made_once() -> None:
    message = Prepared(payload_of(5_000))
    assert message.frame(15) is message.frame(15)
    assert message.frame(None) is message.frame(None)
    assert len(message.frame(15)) < len(message.frame(None)) / 2
    plain = Prepared(payload_of(5_000), is_secret=True)
    assert plain.frame(15) is plain.frame(9) is plain.frame(None)


OFFERS = [
    None,
    ClientPerMessageDeflateFactory(),
    ClientPerMessageDeflateFactory(client_max_window_bits=True),
    ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True),
    ClientPerMessageDeflateFactory(server_max_window_bits=9),
    ClientPerMessageDeflateFactory(server_max_window_bits=12, client_max_window_bits=9),
]


@pytest.mark.parametrize("offer", OFFERS)
async def test_whatever_a_client_offers_it_reads_what_it_is_sent(
    offer: ClientPerMessageDeflateFactory | None,
) -> None:
    held = tuple(Position(f"COIN{number}", "long", 1.0, 2.0) for number in range(40))
    cache = Cache()
    cache.put_config("main", {"live": {"text": "x" * 5_000}})
    async with serving(cache) as (server, address):
        extensions = None if offer is None else [offer]
        async with connect_async(address, compression=None, extensions=extensions) as client:
            await client.send(auth_message())
            assert (await receive(client))["success"]
            assert (await receive(client))["code"] == "unavailable"
            for number in range(3):
                data = statistics_data(make_statistics(balance=float(number), positions=held))
                assert cache.put_statistics("main", data)
                server.publish("statistics", "main")
                message = await receive(client)
                [connection] = server._door.connections
                assert isinstance(connection, Connection)
                snapshot = cache.bots["main"].statistics.snapshot
                theirs = Frame(Opcode.TEXT, snapshot.payload).serialize(
                    mask=False, extensions=connection.protocol.extensions
                )
                assert snapshot.frame(connection.window_bits) == theirs
                assert message == json.loads(cache.bots["main"].statistics.snapshot.payload)
            await client.send(json.dumps({"type": "get_config", "id": "y" * 60}))
            assert (await receive(client))["data"]["live"]["text"] == "x" * 5_000
            agreed = client.protocol.extensions
            assert [extension.name for extension in agreed] == (
                [] if offer is None else ["permessage-deflate"]
            )

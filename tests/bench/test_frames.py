from __future__ import annotations

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from benchmarks.frames import Splitter, masked_text

SIZES = [0, 1, 125, 126, 65_535, 65_536, 200_000]


@pytest.mark.parametrize("step", [1, 3, 1000, 10_000_000])
def test_the_messages_are_those_that_the_library_framed(step: int) -> None:
    payloads = [b"x" * size for size in SIZES] if step > 3 else [b"x" * size for size in SIZES[:4]]
    frames = [Frame(Opcode.TEXT, payload).serialize(mask=False) for payload in payloads]
    ping = Frame(Opcode.PING, b"are you there").serialize(mask=False)
    stream = ping.join((b"", *frames, b""))
    splitter, found, size = Splitter(), [], 0
    for at in range(0, len(stream), step):
        found += splitter.feed(stream[at : at + step])
        size += splitter.size
    assert found == payloads
    assert size == sum(map(len, frames))
    assert not splitter.was_compressed


def test_a_compressed_message_is_known_as_one() -> None:
    deflate = PerMessageDeflate(
        remote_no_context_takeover=True,
        local_no_context_takeover=True,
        remote_max_window_bits=15,
        local_max_window_bits=15,
    )
    splitter = Splitter()
    splitter.feed(Frame(Opcode.TEXT, b"x" * 1000).serialize(mask=False, extensions=[deflate]))
    assert splitter.was_compressed


@pytest.mark.parametrize("size", [0, 125, 126, 1000])
def test_a_clients_frame_is_as_long_as_the_librarys(size: int) -> None:
    ours = masked_text(b"x" * size)
    theirs = Frame(Opcode.TEXT, b"x" * size).serialize(mask=True)
    assert len(ours) == len(theirs)
    assert ours[:2] == theirs[:2]

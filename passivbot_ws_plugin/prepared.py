"""A message for many: encoded once, framed once, compressed once. Pure.

A server's frames are not masked (RFC 6455 section 5.1), so one frame is the same for every client; a
compressed one is for all that negotiated the same window without context takeover (RFC 7692 section 7.1.1).
An uncompressed one is for everybody: compression is a choice for each message (section 6).
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

#: Below this, compression saves less than it costs the readers, bytes.
COMPRESS_MIN_BYTES: Final = 1024

_FIN_TEXT: Final = 0x81
_RSV1: Final = 0x40

#: The end of what zlib flushes, which a frame leaves out (RFC 7692 section 7.2.1).
_EMPTY_BLOCK: Final = b"\x00\x00\xff\xff"


class Prepared:
    """A text message as the bytes that go to each client.

    Args:
        payload: UTF-8.
        is_secret: Never compressed: the length of a compressed text tells of what is in it.

    Attributes:
        payload: The message.
    """

    __slots__ = ("_frames", "_is_plain", "payload")

    def __init__(self, payload: bytes, *, is_secret: bool = False) -> None:
        self.payload: Final = payload
        self._is_plain = is_secret or len(payload) < COMPRESS_MIN_BYTES
        self._frames: dict[int | None, bytes] = {}

    def __len__(self) -> int:
        return len(self.payload)

    def frame(self, window_bits: int | None) -> bytes:
        """The frame of a connection.

        Args:
            window_bits: The server's window of ``permessage-deflate`` without context takeover, 9 to 15;
                None: the connection does not compress.
        """
        if self._is_plain:
            window_bits = None
        frame = self._frames.get(window_bits)
        if frame is None:
            frame = self._frames[window_bits] = self._make(window_bits)
        return frame

    def _make(self, window_bits: int | None) -> bytes:
        if window_bits is None:
            return _header(_FIN_TEXT, len(self.payload)) + self.payload
        compressor = zlib.compressobj(wbits=-window_bits)
        data = compressor.compress(self.payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        data = data.removesuffix(_EMPTY_BLOCK)
        return _header(_FIN_TEXT | _RSV1, len(data)) + data


def _header(first: int, length: int) -> bytes:
    """RFC 6455 section 5.2, not masked."""
    if length < 126:
        return struct.pack("!BB", first, length)
    if length < 65_536:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)

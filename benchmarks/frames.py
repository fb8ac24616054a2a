"""The client's side of RFC 6455, as little of it as counting messages takes. Pure.

Not the library's: a client of that for each of 5,000 connections would measure the clients.
"""

from __future__ import annotations

import base64
import os
import struct
from typing import Final

_TEXT: Final = 0x1
_CONTROL: Final = 0x8  # opcodes from here on are control frames
_COMPRESSED: Final = 0x40  # RSV1, RFC 7692 section 6

END_OF_HEAD: Final = b"\r\n\r\n"


def upgrade(*, deflate: bool) -> bytes:
    """A handshake, as a browser's if it offers compression (all of them do)."""
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" if deflate else ""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n"
    ).encode()


def masked_text(payload: bytes) -> bytes:
    """A text frame from a client. Its mask is zero: nobody is between the two."""
    size = len(payload)
    head = bytes([0x80 | _TEXT])
    head += bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
    return head + bytes(4) + payload


class Splitter:
    """Finds the messages in what a server sends.

    Attributes:
        size: Bytes of the last call's messages, with their frames' heads.
        was_compressed: Whether the last message was.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.size = 0
        self.was_compressed = False

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the whole data frames so far; control frames are left out."""
        if self._rest:
            data = self._rest + data
        payloads: list[bytes] = []
        at, self.size, end = 0, 0, len(data)
        while end - at >= 2:
            head, length, begin = data[at], data[at + 1], at + 2
            if length == 126:
                begin += 2
                length = int.from_bytes(data[at + 2 : begin])
            elif length == 127:
                begin += 8
                length = int.from_bytes(data[at + 2 : begin])
            if end < begin + length or end < begin:
                break
            if head & 0x0F < _CONTROL:
                payloads.append(data[begin : begin + length])
                self.size += begin + length - at
                self.was_compressed = bool(head & _COMPRESSED)
            at = begin + length
        self._rest = data[at:]
        return payloads

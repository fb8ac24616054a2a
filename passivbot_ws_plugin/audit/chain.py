"""The chain that ties the audit records together. Pure: no I/O, no clock.

A record is one line of compact ASCII JSON, in the order of its fields, that ends in its mac::

    {"ts":"...","event":"...","seq":7,...,"prev":"<mac of record 6>","mac":"<64 hex digits>"}

    mac = HMAC-SHA256(key, prev || the line without its mac and its line break)

The mac covers the bytes as they are in the file: whitespace, escapes and repeated keys cannot
be changed either. `BROKEN` in the place of ``prev`` is the writer's own word that it found
records lost or changed when it wrote that one; it is under the mac, so nobody can mend it.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

#: ``prev`` of the first record ever.
GENESIS: Final = "0" * 64

#: ``prev`` of a record before which the writer found the chain broken.
BROKEN: Final = "f" * 64

#: The longest line that counts as one, with its line break.
LINE_MAX_BYTES: Final = 64 * 1024

#: What `encode_head` returns, always: it is rewritten in place.
HEAD_BYTES: Final = 151

FlawKind = Literal[
    "edited",
    "wrong_key",
    "removed",
    "reordered",
    "broken",
    "not_json",
    "half_line",
    "too_long",
    "truncated",
    "no_head",
]

_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_HEAD: Final = re.compile(rb"([0-9]{20}) ([0-9a-f]{64}) ([0-9a-f]{64})\n")
_MAC_BEGIN: Final = b',"mac":"'
_MAC_END: Final = b'"}\n'
_MAC_BYTES: Final = len(_MAC_BEGIN) + 64 + len(_MAC_END)
_SEQ_MAX: Final = 10**18


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a chain; what the next one is tied to.

    Attributes:
        seq: Its number, from 1 across rotations; 0 before the first one ever.
        mac: Its mac.
    """

    seq: int
    mac: str


@dataclass(frozen=True, slots=True)
class Link:
    """A record's place in the chain, from a line whose mac holds.

    Attributes:
        seq: Its number.
        prev: The mac of the record before.
        mac: Its own.
    """

    seq: int
    prev: str
    mac: str

    @property
    def head(self) -> Head:
        """What the record after it is tied to."""
        return Head(self.seq, self.mac)

    def follows(self, head: Head) -> bool:
        """Whether it was written right after that one."""
        return self.seq == head.seq + 1 and self.prev == head.mac


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a line.

    Attributes:
        kind: For programs.
        text: For people. Holds nothing of the line.
    """

    kind: FlawKind
    text: str


#: The chain before its first record.
START: Final = Head(0, GENESIS)


def to_json(record: Mapping[str, object] | str) -> str:
    """Compact ASCII JSON of a record or a text in it, in the record's own order: the same, the same text.

    Raises:
        ValueError: A number in it is not finite.
    """
    text = _ENCODER.encode(record)
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON leaves as it is


def seal(record: Mapping[str, object], head: Head, key: bytes) -> tuple[bytes, Head]:
    """Make a record the next of a chain.

    Args:
        record: Its fields. ``seq`` goes behind the first two, ``prev`` and ``mac`` to the end.
        head: The record before it.
        key: The chain's key.

    Returns:
        The line, and the new head.

    Raises:
        ValueError: The record has a field of the chain's own, or would make too long a line.
    """
    if not record.keys().isdisjoint(("seq", "prev", "mac")):
        raise ValueError("seq, prev and mac are the chain's own fields")
    fields = list(record.items())
    seq = head.seq + 1
    body = to_json(dict([*fields[:2], ("seq", seq), *fields[2:], ("prev", head.mac)])).encode("ascii")
    mac = _mac(key, head.mac, body)
    line = body[:-1] + _MAC_BEGIN + mac.encode("ascii") + _MAC_END
    if len(line) > LINE_MAX_BYTES:
        raise ValueError(f"a record of {len(line)} bytes; {LINE_MAX_BYTES} at most")
    return line, Head(seq, mac)


def unseal(line: bytes, key: bytes) -> Link | Flaw:
    """Check a line by itself, wherever it stands. Nothing in it can raise.

    Args:
        line: With its line break. Of a line that is too long, the beginning is enough.
        key: The chain's key.
    """
    record = _parse(line)
    if isinstance(record, Flaw):
        return record
    link = _link(record)
    if link is None:
        return Flaw("edited", "edited: seq, prev or mac is missing or is not what is written there")
    body = line[:-_MAC_BYTES] + b"}"
    ends_in_mac = line[-_MAC_BYTES:] == _MAC_BEGIN + link.mac.encode("ascii") + _MAC_END
    if not ends_in_mac or not hmac.compare_digest(_mac(key, link.prev, body), link.mac):
        return Flaw("edited", "edited: its mac does not fit what it says")
    return link


def misplaced(link: Link, before: Head | None) -> Flaw | None:
    """What is wrong with a record's place, if something is.

    Args:
        link: The record.
        before: What it should follow; None if that is not known.
    """
    if link.prev == BROKEN:
        return Flaw("broken", "records before it were lost or changed, as was found when it was written")
    if before is None:
        begins = link.prev == GENESIS
        return None if begins == (link.seq == 1) else Flaw("removed", "not the beginning that it claims")
    if link.follows(before):
        return None
    if link.seq > before.seq + 1:
        return Flaw("removed", f"record {link.seq} after {before.seq}: what stood between is missing")
    if link.seq <= before.seq:
        return Flaw("reordered", f"record {link.seq} after {before.seq}: reordered or repeated")
    return Flaw("removed", "the record that it was written after is not the one before it")


def encode_head(head: Head, key: bytes) -> bytes:
    """`HEAD_BYTES` of text, under a mac: who cuts lines off cannot set the head back to match."""
    text = f"{head.seq:020d} {head.mac}"
    return f"{text} {_mac(key, 'head ', text.encode('ascii'))}\n".encode("ascii")


def decode_head(data: bytes, key: bytes) -> Head | None:
    """The head, or None if that is none, or not one of this key."""
    found = _HEAD.fullmatch(data)
    if found is None:
        return None
    head = Head(int(found[1]), found[2].decode("ascii"))
    return head if hmac.compare_digest(encode_head(head, key), data) else None


def _parse(line: bytes) -> dict[str, object] | Flaw:
    if len(line) > LINE_MAX_BYTES:
        return Flaw("too_long", f"longer than {LINE_MAX_BYTES} bytes")
    if not line.endswith(b"\n"):
        return Flaw("half_line", "half a line, without its end")
    try:
        record = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError):
        return Flaw("not_json", "not JSON")
    return record if isinstance(record, dict) else Flaw("not_json", "not a JSON object")


def _link(record: dict[str, object]) -> Link | None:
    seq, prev, mac = record.get("seq"), record.get("prev"), record.get("mac")
    if type(seq) is not int or not 1 <= seq <= _SEQ_MAX:
        return None
    if not isinstance(prev, str) or not isinstance(mac, str):
        return None
    if _HEX.fullmatch(prev) is None or _HEX.fullmatch(mac) is None:
        return None
    return Link(seq, prev, mac)


def _mac(key: bytes, prev: str, body: bytes) -> str:
    return hmac.digest(key, prev.encode("ascii") + body, "sha256").hex()

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.audit.chain import (
    BROKEN,
    GENESIS,
    HEAD_BYTES,
    LINE_MAX_BYTES,
    START,
    Flaw,
    Head,
    Link,
    decode_head,
    encode_head,
    misplaced,
    seal,
    unseal,
)
from passivbot_ws_plugin.audit.verify import verify_lines

KEY = b"k" * 32
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
NAMES = st.text().filter(lambda name: name not in {"seq", "prev", "mac"})


def chain(count: int, head: Head = START) -> list[bytes]:
    lines = []
    for number in range(count):
        line, head = seal({"ts": "now", "event": "auth.failure", "reason": f"attempt {number}"}, head, KEY)
        lines.append(line)
    return lines


def link_of(line: bytes) -> Link:
    link = unseal(line, KEY)
    assert isinstance(link, Link)
    return link


def fault(lines: list[bytes], key: bytes = KEY, *, is_key_sure: bool = False) -> tuple[int, str] | None:
    report = verify_lines(lines, key, is_key_sure=is_key_sure)
    return None if report.fault is None else (report.fault.line, report.fault.flaw.kind)


def test_the_line_and_its_mac_are_these_bytes() -> None:
    line, head = seal({"ts": "t", "event": "e", "reason": "\u202eü\x7f\n"}, START, KEY)
    mac = "85e078fbd8629a8b3f2f8ceaa920ea495bfd08bf70393e62f59baf9b1ddd6bf7"
    assert line == (
        b'{"ts":"t","event":"e","seq":1,"reason":"\\u202e\\u00fc\\u007f\\n","prev":"'
        + b"0" * 64 + b'","mac":"' + mac.encode() + b'"}\n'
    )  # fmt: skip
    assert head == Head(1, mac)


@given(st.lists(st.dictionaries(NAMES, VALUES), max_size=5))
def test_whatever_a_record_holds_it_is_one_printable_line_and_the_chain_holds(
    records: list[dict[str, object]],
) -> None:
    head, lines = START, []
    for record in records:
        line, head = seal(record, head, KEY)
        lines.append(line)
        assert line.count(b"\n") == 1
        assert line[:-1].decode("ascii").isprintable()
        chained = json.loads(line)
        assert {name: chained[name] for name in record} == record
    assert verify_lines(lines, KEY).fault is None
    assert verify_lines(lines, KEY).records == len(records)


@pytest.mark.parametrize("name", ["seq", "prev", "mac"])
def test_a_record_cannot_bring_the_chains_own_fields(name: str) -> None:
    with pytest.raises(ValueError, match="the chain's own fields"):
        seal({name: 1}, START, KEY)


def test_a_record_that_cannot_be_a_line_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes; 65536 at most"):
        seal({"reason": "x" * LINE_MAX_BYTES}, START, KEY)
    with pytest.raises(ValueError, match="not JSON compliant"):
        seal({"reason": float("nan")}, START, KEY)


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"auth.failure", b"auth.success"),
        (b'"ts":', b'"ts": '),
        (b'"reason":"a', b'"reason":"\\u0061'),
        (b'{"ts":"now"', b'{"ts":"then","ts":"now"'),
        (b',"mac":', b',"x":1,"mac":'),
        (b'"}\n', b'"} \n'),
        (b'"}\n', b'","x":1}\n'),
        (b'"seq":', b'"seq":1'),
        (b'"seq":', b'"seq":-'),
        (b'"seq":', b'"seq":99999999999999999999'),
        (b'"seq":', b'"no":'),
        (b'"prev":"', b'"prev":"g'),
        (b'"prev":', b'"prev":1,"x":'),
    ],
)
def test_an_edited_line_is_named(number: int, old: bytes, new: bytes) -> None:
    lines = chain(5)
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    assert fault(lines) == (number, "edited")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([1, 2, 3, 4, 5], None),
        ([1, 2, 4, 5], (3, "removed")),
        ([2, 3], None),  # where it begins is for the file before to say
        ([1, 3, 2, 4, 5], (2, "removed")),
        ([1, 2, 2, 3], (3, "reordered")),
        ([3, 1], (2, "reordered")),
        ([5, 4, 3], (2, "reordered")),
    ],
)
def test_removed_and_reordered_lines_are_named(order: list[int], expected: tuple[int, str] | None) -> None:
    lines = chain(5)
    assert fault([lines[number - 1] for number in order]) == expected


def test_a_line_of_another_chain_with_the_same_key_is_named() -> None:
    ours, other = chain(3), chain(2, Head(0, "a" * 64))
    assert fault([ours[0], other[1], ours[2]]) == (2, "removed")
    assert fault(other) == (1, "removed")  # the first record ever follows no other


def test_the_writers_own_mark_of_a_break_is_named() -> None:
    first, second = chain(1), chain(1, Head(7, BROKEN))
    assert fault([*first, *second]) == (2, "broken")
    assert fault(second) == (1, "broken")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"", "half_line"),
        (b"{", "half_line"),
        (b"\n", "not_json"),
        (b"{\n", "not_json"),
        (b"[1]\n", "not_json"),
        (b"null\n", "not_json"),
        (b'{"ts":"\xff"}\n', "not_json"),
        (b"[" * 60_000 + b"\n", "not_json"),
        (b'{"seq":' + b"9" * 5000 + b"}\n", "not_json"),
        (b"{}\n", "edited"),
        (b'{"seq":true,"prev":"","mac":""}\n', "edited"),
        (b"x" * LINE_MAX_BYTES + b"\n", "too_long"),
    ],
)
def test_a_line_that_is_none_is_named(line: bytes, kind: str) -> None:
    lines = chain(3)
    assert fault([*lines[:2], line, lines[2]]) == (3, kind)


def test_a_wrong_key_is_told_from_an_edited_line() -> None:
    lines = chain(3)
    assert fault(lines, b"other") == (1, "wrong_key")
    assert fault([lines[0].replace(b"now", b"new"), *lines[1:]]) == (1, "edited")
    edited = lines[0].replace(b"now", b"new")
    assert fault([edited]) == (1, "wrong_key")
    assert fault([edited], is_key_sure=True) == (1, "edited")


@given(st.lists(st.binary(max_size=200)))
def test_nothing_in_a_line_can_raise_or_pass(lines: list[bytes]) -> None:
    report = verify_lines(lines, KEY)
    assert (report.fault is None) == (lines == [])


@given(st.data())
def test_one_changed_byte_anywhere_is_named_with_its_line(data: st.DataObject) -> None:
    lines = chain(3)
    number = data.draw(st.integers(0, 2))
    at = data.draw(st.integers(0, len(lines[number]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != lines[number][at]))
    lines[number] = lines[number][:at] + bytes([byte]) + lines[number][at + 1 :]
    report = verify_lines(lines, KEY)
    assert report.fault is not None
    assert report.fault.line == number + 1


@given(st.binary(max_size=200) | st.just(encode_head(START, b"other key")))
def test_a_head_that_is_none_is_none(data: bytes) -> None:
    assert decode_head(data, KEY) is None


@given(st.integers(0, 10**18))
def test_a_head_has_one_length_and_comes_back(seq: int) -> None:
    data = encode_head(Head(seq, GENESIS), KEY)
    assert len(data) == HEAD_BYTES
    assert decode_head(data, KEY) == Head(seq, GENESIS)
    assert decode_head(data.replace(b"0 ", b"1 "), KEY) is None


def test_what_a_link_says_of_its_place() -> None:
    first, second = (link_of(line) for line in chain(2))
    assert misplaced(first, START) is None
    assert misplaced(second, first.head) is None
    flaw = misplaced(second, START)
    assert isinstance(flaw, Flaw)
    assert flaw.text == "record 2 after 0: what stood between is missing"

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.errors import ProtocolError
from passivbot_ws_plugin.messages.strict_json import DEPTH_MAX, NODES_MAX, parse

pytestmark = pytest.mark.bad_requests

#: What JSON can say, not very deep.
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def refusal(text: str) -> str:
    with pytest.raises(ProtocolError) as caught:
        parse(text)
    assert caught.value.code == "invalid_json"
    return caught.value.message


@given(DOCUMENTS)
def test_what_json_says_is_read(document: object) -> None:
    assert parse(json.dumps(document)) == document


def test_it_nests_so_deep_and_no_deeper() -> None:
    assert parse("[" * DEPTH_MAX + "]" * DEPTH_MAX)
    assert refusal("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1)) == "nested deeper than 16"


def test_it_holds_so_much_and_no_more() -> None:
    assert len(parse(f"[{','.join(['[]'] * (NODES_MAX - 1))}]")) == NODES_MAX - 1
    assert refusal(f"[{','.join(['{}'] * NODES_MAX)}]") == "more than 2000 objects and lists"


def test_brackets_in_a_string_are_a_string() -> None:
    text = '"\\"' + "[{" * NODES_MAX + '"'
    assert parse(text) == json.loads(text)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", '{"a":1,"a":1}', '["', "", "[1,]", "'a'"])
def test_what_no_json_says_is_refused(text: str) -> None:
    assert refusal(text) == "not valid JSON"

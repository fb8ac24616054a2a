"""RFC 7396: its own examples, and what must be true of every document."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.merge_patch import UnsayableError, apply, diff, is_same

#: Appendix A, those whose target and patch are objects: target, patch, result.
RFC_EXAMPLES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | st.text(max_size=2)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def exact(value: Any) -> Any:
    """The value so that true is not 1."""
    match value:
        case dict():
            return {key: exact(item) for key, item in value.items()}
        case list():
            return [exact(item) for item in value]
        case _:
            return isinstance(value, bool), value


@pytest.mark.parametrize(("target", "patch", "result"), RFC_EXAMPLES)
def test_the_examples_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    before = repr((target, patch))
    assert apply(patch, target) == result
    assert repr((target, patch)) == before


@given(documents, documents)
def test_a_difference_applied_is_the_other_document(old: dict[str, Any], new: dict[str, Any]) -> None:
    try:
        patch = diff(old, new)
    except UnsayableError:
        assert "None" in repr(new)
        return
    assert exact(apply(patch, old)) == exact(new)


@given(documents)
def test_what_is_equal_has_an_empty_difference(document: dict[str, Any]) -> None:
    assert diff(document, copy.deepcopy(document)) == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1, 2.0, False),
        (True, True, True),
        (True, 1, False),
        (False, 0.0, False),
        (None, False, False),
        ("1", 1, False),
        ([1, [2]], [1.0, [2.0]], True),
        ([True], [1], False),
        ([1], [1, 1], False),
        ({"a": {"b": 1}}, {"a": {"b": 1.0}}, True),
        ({"a": {"b": True}}, {"a": {"b": 1}}, False),
        ({"a": 1}, {"b": 1}, False),
        ([], {}, False),
    ],
)
def test_which_values_are_the_same(one: object, other: object, *, same: bool) -> None:
    assert is_same(one, other) is is_same(other, one) is same


def test_what_becomes_null_cannot_be_said() -> None:
    for old, new in (({"a": 1}, {"a": None}), ({}, {"a": {"b": None}}), ({"a": 5}, {"a": {"b": None}})):
        with pytest.raises(UnsayableError):
            diff(old, new)
    assert diff({"a": None, "b": 1}, {"a": None, "b": 2}) == {"b": 2}

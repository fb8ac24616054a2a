from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.history.config import ConfigHistory, View, changed_paths


def told(history: ConfigHistory, place: int, view: View = "plain") -> dict[str, Any]:
    message = history.update(place, view)
    assert message is not None
    document: dict[str, Any] = json.loads(message.payload)
    return document


def canonical(config: dict[str, Any]) -> str:
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_config_is_encoded_once_for_each_view() -> None:
    history = ConfigHistory("main")
    assert history.encoded("plain") is None
    assert history.put({"live": {"password": "p", "a": 1}})
    plain, masked = history.encoded("plain"), history.encoded("masked")
    assert plain is not None
    assert masked is not None
    assert json.loads(bytes(plain[0])) == {"live": {"password": "p", "a": 1}}
    assert json.loads(bytes(masked[0])) == {"live": {"password": "********", "a": 1}}
    again = history.encoded("plain")
    assert again is not None
    assert again[0] is plain[0]
    assert history.encoded("paths") is None
    assert plain[1] == canonical({"live": {"password": "p", "a": 1}})
    assert masked[1] == canonical({"live": {"password": "********", "a": 1}})


def test_what_is_equal_is_no_change() -> None:
    history = ConfigHistory("main")
    assert history.put({"live": {}})
    assert not history.put({"live": {}})
    assert history.update(1, "plain") is None
    assert history.put({"live": {"a": 1}})
    assert history.put({"live": {"a": True}})
    assert told(history, 2)["values"] == {"/live/a": True}


def test_a_change_tells_its_paths_and_values() -> None:
    history = ConfigHistory("main")
    history.put({"live": {"a": 1, "gone": 2, "same": 3}, "list": [1]})
    history.put({"live": {"a": 5, "same": 3, "x/y~z": {"b": 1}}, "list": [1, 2]})
    assert told(history, 1) == {
        "type": "config_changed",
        "bot": "main",
        "hash": canonical({"live": {"a": 5, "same": 3, "x/y~z": {"b": 1}}, "list": [1, 2]}),
        "paths": ["/list", "/live/a", "/live/gone", "/live/x~1y~0z"],
        "values": {"/list": [1, 2], "/live/a": 5, "/live/x~1y~0z": {"b": 1}},
    }


def test_the_first_word_says_only_what_it_is() -> None:
    history = ConfigHistory("main")
    history.put({"live": {}})
    assert told(history, 0) == {
        "type": "config_changed",
        "bot": "main",
        "hash": canonical({"live": {}}),
        "paths": None,
    }


def test_secrets_are_masked_and_without_the_scope_there_are_no_values() -> None:
    history = ConfigHistory("main")
    history.put({"live": {"password": "old", "a": 1}})
    history.put({"live": {"password": "new", "a": 2}})
    assert told(history, 1, "plain")["values"] == {"/live/a": 2, "/live/password": "new"}
    assert told(history, 1, "masked")["values"] == {"/live/a": 2, "/live/password": "********"}
    paths = told(history, 1, "paths")
    assert "values" not in paths
    assert paths["paths"] == ["/live/a", "/live/password"]
    # A hash of the secrets would let a limited key guess them at leisure.
    assert (
        paths["hash"]
        == told(history, 1, "masked")["hash"]
        == canonical({"live": {"password": "********", "a": 2}})
    )


def test_changes_that_were_missed_are_told_together_up_to_32_of_them() -> None:
    history = ConfigHistory("main")
    for number in range(34):
        history.put({"live": {"a": number, f"b{number}": 1}})
    assert history.version == 34
    assert told(history, 1)["paths"] is None
    assert told(history, 2)["paths"] is not None
    assert told(history, 32)["paths"] == ["/live/a", "/live/b31", "/live/b32", "/live/b33"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2),
    lambda inner: (
        st.dictionaries(st.sampled_from(["a", "b/", "~"]), inner, max_size=3) | st.lists(inner, max_size=2)
    ),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["a", "b"]), values, max_size=2)


@given(documents, documents)
def test_paths_are_empty_only_if_nothing_differs(old: dict[str, Any], new: dict[str, Any]) -> None:
    paths = list(changed_paths(old, new))
    assert bool(paths) == (json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True))
    assert len(set(paths)) == len(paths)

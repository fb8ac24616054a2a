from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest

from passivbot_hooks import EVENT_KINDS
from passivbot_hooks.testing import make_event, make_statistics


def test_a_new_timestamp_alone_is_no_difference() -> None:
    stats = make_statistics()
    assert not replace(stats, timestamp=1).differs_from(stats)


@pytest.mark.parametrize(
    "changes", [{"balance": 1.0}, {"status": "stale"}, {"positions": ()}, {"upnl": None}, {"version": "8"}]
)
def test_anything_else_is_a_difference(changes: dict[str, object]) -> None:
    stats = make_statistics()
    assert make_statistics(**changes).differs_from(stats)


def test_the_first_differs_from_nothing() -> None:
    assert make_statistics().differs_from(None)


def test_statistics_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        make_statistics().balance = 0.0  # type: ignore[misc]


def test_events_are_frozen_and_keep_nothing_of_the_callers() -> None:
    details = {"qty": 1.0}
    event = make_event(details=details)
    details["qty"] = 2.0
    assert event.details == {"qty": 1.0}
    with pytest.raises(TypeError):
        event.details["qty"] = 3.0  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        event.seq = 1  # type: ignore[misc]


def test_events_compare_by_value_and_can_be_kept_in_a_set() -> None:
    assert make_event() == make_event()
    assert make_event() != make_event(details={})
    assert len({make_event(), make_event(), make_event(seq=1)}) == 2


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))]
)
def test_events_can_be_copied(copied: object) -> None:
    event = make_event(seq=7)
    assert callable(copied)
    assert copied(event) == event
    assert replace(event, seq=8).details == event.details


def test_kinds_are_dotted_words_each_once() -> None:
    assert len(set(EVENT_KINDS)) == len(EVENT_KINDS) == 14
    assert {"fill", "position.opened", "bot.stopped"} <= set(EVENT_KINDS)

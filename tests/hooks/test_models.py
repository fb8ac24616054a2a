from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from passivbot_hooks.testing import make_statistics


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

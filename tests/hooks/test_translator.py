from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_hooks import EVENT_KINDS, Event, UnusableFileError
from passivbot_hooks.sources.monitor.kinds import TRANSLATIONS
from passivbot_hooks.sources.monitor.translator import FILLS_REMEMBERED, Translator
from passivbot_hooks.sources.monitor.values import TEXT_MAX

START = 1_795_407_654_947
NOW = START + 60_000
BTC = "BTC/USDT:USDT"

FILL = {
    "client_order_id": "x-0x0004", "fee": -0.02, "id": "17", "pb_order_type": "close_grid_short",
    "pnl": 1.5, "position_side": "short", "price": 99_500.0, "qty": -0.02, "side": "buy",
    "source_ids": ["17"], "symbol": BTC, "timestamp": NOW,
}  # fmt: skip
INGESTED = {
    "_live_event": {"client_order_id": "x-0x0004", "side": "buy", "reason_code": "new_fill"},
    "client_order_id_short": "x-0x0004", "fee": -0.02,
    "fill_id_hash": hashlib.sha256(b"17").hexdigest(), "pb_order_type": "close_grid_short", "pnl": 1.5,
    "pnl_status": "complete", "price": 99_500.0, "qty": -0.02, "timestamp": NOW,
}  # fmt: skip
TOLD = {
    "fill_id": "17", "client_order_id": "x-0x0004", "order_side": "buy", "qty": 0.02, "price": 99_500.0,
    "pnl": 1.5, "fee": -0.02, "order_type": "close_grid_short",
}  # fmt: skip


def raw(kind: str, payload: Any = None, ts: Any = NOW, **keys: Any) -> dict[str, Any]:
    return {"kind": kind, "payload": {} if payload is None else payload, "ts": ts, **keys}


def started(at: int = START) -> dict[str, Any]:
    return raw("bot.start", {"start_time_ms": at}, at)


def told(*events: dict[str, Any], started_at: int | None = None) -> list[Event]:
    translator = Translator()
    every = [translator.translate(event, started_at=started_at) for event in events]
    return [event for event in every if event is not None]


def kinds(*events: dict[str, Any]) -> list[str]:
    return [event.kind for event in told(*events)]


def position(old: float, new: float) -> dict[str, Any]:
    return raw("position.changed", {"old_size": old, "new_size": new}, symbol=BTC, pside="long")


def test_every_curated_kind_has_a_source() -> None:
    sources = {translation.kind for translation in TRANSLATIONS.values()}
    assert sources | {"position.opened", "position.closed"} == set(EVENT_KINDS)


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_every_source_and_every_detail_is_documented(name: str) -> None:
    translation = TRANSLATIONS[name]
    documented = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
    for word in (name, translation.kind, *translation.fields, *translation.always):
        assert f"`{word}`" in documented


@pytest.mark.parametrize("before", [[], [raw("order.opened", {"id": "1"})]])
def test_a_fill_that_is_written_twice_is_told_once(before: list[dict[str, Any]]) -> None:
    [*_, fill] = told(
        *before,
        raw("order.filled", FILL, symbol=BTC, pside="short"),
        raw("fill.ingested", INGESTED, NOW + 5_000, symbol=BTC, pside="short"),
    )
    assert fill == Event(NOW, "fill", BTC, "short", TOLD)
    assert len(before) == len(told(*before))


def test_either_of_the_two_is_enough() -> None:
    [filled] = told(raw("order.filled", FILL, symbol=BTC, pside="short"))
    [ingested] = told(raw("fill.ingested", INGESTED, NOW + 5_000, symbol=BTC, pside="short"))
    assert {**ingested.details, "fill_id": "17"} == filled.details
    assert ingested.timestamp == filled.timestamp == NOW


def test_a_fill_is_forgotten_after_so_many_others() -> None:
    translator = Translator()
    fills = [raw("order.filled", {**FILL, "id": str(n)}) for n in range(FILLS_REMEMBERED + 1)]
    assert all(translator.translate(fill) for fill in fills)
    assert not translator.translate(fills[-1])
    assert len(translator._fills) == FILLS_REMEMBERED
    assert translator.translate(fills[0])


def test_fills_of_before_the_start_are_no_news() -> None:
    old = {**FILL, "timestamp": START - 1}
    assert kinds(started(), raw("order.filled", old, START - 1)) == ["bot.started"]
    assert kinds(started(), raw("fill.ingested", {**INGESTED, "timestamp": START - 1})) == ["bot.started"]
    assert told(raw("order.filled", old, START - 1), started_at=START) == []
    assert len(told(raw("order.filled", FILL), started_at=START)) == 1


def test_the_rest_of_a_run_is_news_though_the_state_file_is_of_the_next_one() -> None:
    translator = Translator()
    first, again = raw("order.opened", {"id": "1"}, START + 1), raw("order.opened", {"id": "2"}, START + 2)
    assert translator.translate(first, started_at=START)
    # Whoever looks late finds the new state file before it has read the old run's last lines.
    assert translator.translate(again, started_at=START + 10)
    assert translator.translate(raw("bot.start", {"start_time_ms": START + 10}, START + 10))
    late = raw("order.filled", {**FILL, "timestamp": START + 3}, START + 11)
    assert not translator.translate(late, started_at=START + 10)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (0.0, 0.1, "position.opened"),
        (0.0, -0.1, "position.opened"),
        (0.1, 0.2, "position.changed"),
        (-0.2, -0.1, "position.changed"),
        (0.1, 0.0, "position.closed"),
    ],
)
def test_a_position_is_opened_changed_or_closed_by_its_sizes(old: float, new: float, kind: str) -> None:
    [event] = told(position(old, new))
    assert (event.kind, event.symbol, event.side) == (kind, BTC, "long")
    assert event.details == {"size": abs(new), "previous_size": abs(old)}


@pytest.mark.parametrize("payload", [{"old_size": 0.1, "new_size": 0.1}, {"new_size": 1.0}, {}])
def test_a_position_whose_size_did_not_change_or_is_unknown_is_no_news(payload: dict[str, Any]) -> None:
    assert told(raw("position.changed", payload)) == []


def test_positions_that_a_bot_finds_at_its_start_are_not_opened() -> None:
    assert kinds(started(), position(0, 1), position(1, 2), raw("bot.ready"), position(0, 1)) == [
        "bot.started", "position.changed", "bot.ready", "position.opened"
    ]  # fmt: skip


def test_a_run_of_v8_1_has_each_stage_once() -> None:
    run = [
        started(),
        raw("bot.started", {"start_time_ms": START}, START + 9),
        raw("bot.ready"),
        raw("bot.ready"),
        raw("bot.stop", {"reason": "shutdown_gracefully"}),
        raw("bot.stopping", {"reason": "shutdown_gracefully"}),
        raw("bot.stopped", {"reason": "shutdown_gracefully"}),
    ]
    stages = ["bot.started", "bot.ready", "bot.stopping", "bot.stopped"]
    assert kinds(*run) == stages
    assert kinds(*run, started(NOW), *run[1:2]) == [*stages, "bot.started", "bot.started"]


def test_a_run_of_v8_0_that_failed_says_stopping_after_stopped() -> None:
    failed = {"reason": "startup_error", "stage": "init_markets", "error_type": "KeyError"}
    events = told(raw("bot.stop", failed), raw("bot.stopped", failed), raw("bot.stopping", {"reason": "x"}))
    assert [event.kind for event in events] == ["bot.stopping", "bot.stopped"]
    assert events[1].details == failed


def test_a_run_of_v7_9_and_one_that_was_killed() -> None:
    assert kinds(started(), raw("bot.ready"), raw("bot.stop")) == ["bot.started", "bot.ready", "bot.stopping"]
    assert kinds(started(), raw("bot.ready"), started(NOW)) == ["bot.started", "bot.ready", "bot.started"]
    assert kinds(raw("bot.start"), raw("bot.started", ts=NOW + 1)) == ["bot.started"]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            raw("order.opened", {"id": "3", "custom_id": "0x", "side": "buy", "qty": 0.9, "price": 200.8,
                                 "reduce_only": False, "pb_order_type": "entry", "reason": "new",
                                 "delta": {"a": 1}, "source": "POST"}),
            Event(NOW, "order.placed", None, None,
                  {"order_id": "3", "client_order_id": "0x", "order_side": "buy", "qty": 0.9, "price": 200.8,
                   "reduce_only": False, "order_type": "entry", "reason": "new"}),
        ),
        (raw("order.canceled", {"id": "3"}), Event(NOW, "order.cancelled", details={"order_id": "3"})),
        (
            raw("execution.create_rejected", {"qty": 1.0, "error_type": "InsufficientFunds",
                                              "_live_event": {"side": "sell", "reason_code": "margin"}}),
            Event(NOW, "order.rejected", details={"qty": 1.0, "order_side": "sell", "reason": "margin",
                                                  "error_type": "InsufficientFunds"}),
        ),
        (
            raw("risk.mode_changed", {"mode": "panic", "previous_mode": "normal", "action": "set",
                                      "source": "hsl", "_live_event": {"reason_code": "hsl_set"}}),
            Event(NOW, "mode.changed", details={"mode": "panic", "previous_mode": "normal", "action": "set",
                                                "source": "hsl", "reason": "hsl_set"}),
        ),
        (
            raw("hsl.transition", {"previous_tier": "green",
                                   "metrics": {"tier": "red", "drawdown_raw": 0.2}}),
            Event(NOW, "risk.changed", details={"change": "tier", "previous_tier": "green", "tier": "red",
                                                "drawdown": 0.2}),
        ),
        (
            raw("hsl.cooldown_started", {"cooldown_until_ms": NOW, "reason": "x", "latch_path": "/home/me"}),
            Event(NOW, "risk.changed", details={"change": "cooldown_started", "cooldown_until": NOW,
                                                "reason": "x"}),
        ),
        (
            raw("error.exchange", {"error_type": "RateLimitExceeded", "source": "update_pnls",
                                   "message": "GET https://x/?signature=abc"}),
            Event(NOW, "error", details={"scope": "exchange", "error_type": "RateLimitExceeded",
                                         "source": "update_pnls"}),
        ),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_each_kind_in_passivbots_own_shape(event: dict[str, Any], expected: Event) -> None:
    assert told(event) == [expected]


@pytest.mark.parametrize("kind", ["cycle.degraded", "hsl.status", "hsl.replay.progress", "error.bot.detail"])
def test_other_kinds_are_not_told(kind: str) -> None:
    assert told(raw(kind)) == []


@pytest.mark.parametrize(
    "event",
    [
        raw("error.bot", []),
        raw("error.bot", ts="x"),
        raw("error.bot", ts=True),
        raw("error.bot", ts=float("nan")),
        raw("error.bot", ts=9e15),  # no calendar has that: neither client could write it down
        raw("error.bot", ts=-1),
    ],
)
def test_a_line_without_the_shape_of_an_event_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(UnusableFileError, match=r"error\.bot: without a time or a payload"):
        told(event)


def test_texts_are_cut_and_can_be_encoded() -> None:
    [event] = told(raw("error.bot", {"error_type": "x" * 10_000, "stage": "a\ud800b"}, symbol="\ud800"))
    assert event.details == {"scope": "bot", "error_type": "x" * TEXT_MAX, "stage": "a?b"}
    assert event.symbol == "?"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "qty", "side", "metrics", "tier", "_live_event", "timestamp", "old_size"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.sampled_from(sorted(TRANSLATIONS)), _JSON, _JSON, _JSON), max_size=5))
def test_whatever_the_values_are_an_event_is_flat_or_refused(lines: list[tuple[Any, ...]]) -> None:
    translator = Translator()
    for kind, payload, ts, symbol in lines:
        try:
            event = translator.translate(raw(kind, payload, ts, symbol=symbol, pside=symbol))
        except UnusableFileError:
            continue
        if event is not None:
            assert event.kind in EVENT_KINDS
            assert all(isinstance(value, str | int | float | bool) for value in event.details.values())
            json.dumps(dict(event.details), allow_nan=False).encode()

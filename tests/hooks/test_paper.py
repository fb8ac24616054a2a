from __future__ import annotations

import json
import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from passivbot_hooks import EVENT_KINDS, Event
from passivbot_hooks.paper import PaperBot, PaperMarket, publisher
from passivbot_hooks.sources.monitor import MonitorState, parse_state
from passivbot_hooks.sources.monitor.events import EventFollower
from passivbot_hooks.sources.monitor.liveness import StopEvent

#: The keys that Passivbot v8.1 writes.
TOP_LEVEL = {
    "account", "forager", "health", "hsl", "market", "meta", "modes", "open_orders", "positions",
    "recent", "schema_version", "trailing", "unstuck",
}  # fmt: skip


def read(bot: PaperBot) -> MonitorState:
    return parse_state((bot.publisher.path / "state.latest.json").read_bytes())


def test_its_files_are_what_the_source_reads(tmp_path: Path) -> None:
    bot = PaperBot(tmp_path, exchange="fake", user="me", symbols=5, seed=1)
    bot.start()
    for _ in range(50):
        bot.step()
    assert bot.publisher.path == tmp_path / "fake" / "me"
    document = json.loads((bot.publisher.path / "state.latest.json").read_text())
    assert set(document) == TOP_LEVEL
    parsed = read(bot)
    stats = parsed.statistics
    assert parsed.pid == os.getpid()
    assert stats.active_symbols_count == 5
    assert stats.open_orders_count == len(bot.market.orders) > 0
    assert stats.positions
    assert stats.balance == bot.market.balance != 10_000.0
    assert stats.upnl == pytest.approx(document["account"]["equity"] - stats.balance)
    assert stats.health is not None
    assert stats.health.fills


def test_it_is_honest_about_being_paper(tmp_path: Path) -> None:
    bot = PaperBot(tmp_path, symbols=1)
    bot.start()
    assert (read(bot).statistics.version or "").startswith("paper ")
    manifest = json.loads((bot.publisher.path / "manifest.json").read_text())
    assert manifest["runtime"]["passivbot_version"].startswith("paper ")


def test_a_seed_walks_the_same_walk() -> None:
    first, second = PaperMarket(12, seed=7), PaperMarket(12, seed=7)
    for _ in range(100):
        first.step()
        second.step()
    assert first.balance == second.balance
    assert first.orders == second.orders


def test_its_books_balance() -> None:
    market = PaperMarket(3, seed=3)
    realised = 0.0
    for _ in range(500):
        fills, _, _ = market.step()
        realised += sum(fill.pnl - fill.fee for fill in fills)
    assert market.balance == pytest.approx(10_000.0 + realised)
    for symbol in market.symbols.values():
        assert symbol.sides["long"].size >= 0
        assert symbol.sides["short"].size <= 0


def test_a_run_begins_and_ends_with_its_lifecycle_events(tmp_path: Path) -> None:
    bot = PaperBot(tmp_path, symbols=2, seed=1)
    stop = threading.Event()
    thread = threading.Thread(target=bot.run, args=(stop,), kwargs={"interval_s": 0.01})
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    events_path = bot.publisher.path / "events" / "current.ndjson"
    events = [json.loads(line) for line in events_path.read_text().splitlines()]
    kinds = [event["kind"] for event in events]
    assert kinds[:2] == ["bot.start", "bot.started"]
    assert kinds[-3:] == ["bot.stop", "bot.stopping", "bot.stopped"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert StopEvent(events_path).poll() == events[-1]["ts"]


def test_nothing_temporary_is_left(tmp_path: Path) -> None:
    bot = PaperBot(tmp_path, symbols=1)
    bot.start()
    assert not list(tmp_path.rglob("*.tmp"))


#: The keys of the payloads that Passivbot v8.1 writes, but for those of its own diagnostics.
PAYLOADS = {
    "bot.start": {"pid", "quote", "runtime", "start_time_ms"},
    "order.opened": {
        "id", "custom_id", "side", "position_side", "qty", "price", "reduce_only", "pb_order_type", "source",
    },
    "order.filled": {
        "client_order_id", "fee", "id", "pb_order_type", "pnl", "position_side", "price", "qty", "side",
        "source_ids", "symbol", "timestamp",
    },
    "fill.ingested": {
        "_live_event", "client_order_id_short", "fee", "fill_id_hash", "operator_visible", "pb_order_type",
        "pnl", "pnl_status", "price", "qty", "source_ids_count", "timestamp",
    },
    "position.changed": {
        "_live_event", "action", "last_price", "new_price", "new_size", "old_price", "old_size",
        "price_action_distance", "size_delta", "upnl", "wallet_exposure",
    },
}  # fmt: skip


def test_its_events_have_passivbots_shape_and_are_told(tmp_path: Path) -> None:
    bot = PaperBot(tmp_path, symbols=5, seed=1)
    bot.start()
    for _ in range(300):
        bot.step()
    bot.stop()
    path = bot.publisher.path / "events" / "current.ndjson"
    payloads = {event["kind"]: event["payload"] for event in map(json.loads, path.read_text().splitlines())}
    assert {kind: set(payloads[kind]) for kind in PAYLOADS} == PAYLOADS
    follower = EventFollower(path, from_end=False, complain=pytest.fail)
    events = follower.poll(started_at=None)
    follower.close()
    kinds = Counter(event.kind for event in events)
    assert set(kinds) == set(EVENT_KINDS) - {"order.rejected", "mode.changed", "risk.changed", "error"}
    health = read(bot).statistics.health
    assert health is not None
    assert (kinds["fill"], kinds["order.placed"], kinds["order.cancelled"]) == (
        health.fills, health.orders_placed, health.orders_cancelled
    )  # fmt: skip
    held = len(read(bot).statistics.positions)
    assert kinds["position.opened"] - kinds["position.closed"] == held
    assert sum(event.details["pnl"] + event.details["fee"] for event in events if event.kind == "fill") == (
        pytest.approx(health.pnl)
    )


def test_its_events_are_rotated_and_none_is_lost_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "ROTATION_BYTES", 20_000)
    bot = PaperBot(tmp_path, symbols=5, seed=1)
    path = bot.publisher.path / "events" / "current.ndjson"
    follower = EventFollower(path, from_end=True, complain=pytest.fail)
    events = follower.poll(started_at=None)
    bot.start()
    for _ in range(200):
        bot.step()
        events += follower.poll(started_at=None)
    for _ in range(3):
        events += follower.poll(started_at=None)
    follower.close()
    health = read(bot).statistics.health
    assert health is not None
    kinds = Counter(event.kind for event in events)
    assert (kinds["fill"], kinds["order.placed"]) == (health.fills, health.orders_placed)
    assert path.stat().st_size < 30_000
    assert len(list(path.parent.iterdir())) == 3  # of many more


def test_a_restart_tells_none_of_its_orders_and_fills_by_an_earlier_runs_name(tmp_path: Path) -> None:
    follower = EventFollower(
        tmp_path / "fake" / "main" / "events" / "current.ndjson", from_end=False, complain=pytest.fail
    )
    told: list[Event] = []
    fills = 0
    for _ in range(2):
        bot = PaperBot(tmp_path, symbols=5, seed=1)
        bot.start()
        for _ in range(100):
            bot.step()
        bot.stop()
        told += follower.poll(started_at=None)
        health = read(bot).statistics.health
        assert health is not None
        fills += health.fills or 0
    follower.close()
    assert Counter(event.kind for event in told)["fill"] == fills > 0
    placed = [event.details["order_id"] for event in told if event.kind == "order.placed"]
    assert len(placed) == len(set(placed)) > 0

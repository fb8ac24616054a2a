from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitor_files import side, state

from passivbot_hooks import Health, Position, UnusableFileError
from passivbot_hooks.sources.monitor import document as document_module
from passivbot_hooks.sources.monitor import parse_state


@pytest.fixture(params=["with msgspec", "without"], autouse=True, scope="module")
def parser(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "without":
            patch.setattr(document_module, "_load_fast", None)
        yield request.param


def parse(document: object) -> Any:
    return parse_state(json.dumps(document).encode())


def test_every_field_is_where_it_belongs() -> None:
    parsed = parse(state(timestamp=1_795_408_040_610))
    stats = parsed.statistics
    assert parsed.pid == 1
    assert stats.timestamp == 1_795_408_040_610
    assert stats.balance == 10_000.0
    assert stats.upnl == 24.25
    assert stats.open_orders_count == 3
    assert stats.active_symbols_count == 2
    assert stats.positions == (
        Position("BTC/USDT:USDT", "long", 0.02, 99_500.0, 14.0, 100_200.0, 0.199),
        Position("ETH/USDT:USDT", "short", 0.8, 4_010.0, 10.25, 3_997.0, 0.0),
    )
    assert (stats.exchange, stats.quote, stats.version) == ("fake", "USDT", "8.1.0")
    assert stats.realized_pnl == -1.0396
    assert stats.status is None
    assert stats.health == Health(1795408027880, 2, 6, 1, None, None, None, -1.0)


def test_a_minimal_state_of_an_older_version_is_enough() -> None:
    document = state()
    del document["meta"]["runtime"], document["account"]["realized_pnl_cumsum"], document["health"]
    stats = parse(document).statistics
    assert (stats.version, stats.realized_pnl) == (None, None)


def test_a_held_side_without_a_price_makes_the_total_unknown() -> None:
    document = state(positions={"A": {"long": side(1.0, 2.0)}, "B": {"long": side(1.0, 2.0, upnl=3.0)}})
    assert parse(document).statistics.upnl is None


def test_a_flat_side_without_a_price_changes_nothing() -> None:
    document = state(positions={"A": {"long": side()}, "B": {"long": side(1.0, 2.0, upnl=3.0)}})
    assert parse(document).statistics.upnl == 3.0


def test_no_positions_are_no_unrealised_profit() -> None:
    stats = parse(state(positions={})).statistics
    assert (stats.positions, stats.upnl) == ((), 0.0)


def test_nan_and_infinity_are_unknown() -> None:
    document = state(positions={"A": {"long": side(float("nan"), float("inf"), upnl=float("nan"))}})
    document["account"]["balance_raw"] = float("-inf")
    stats = parse(document).statistics
    assert stats.balance is None
    assert stats.positions == (Position("A", "long", None, None, None, None, 0.0),)
    assert stats.upnl is None


def test_a_missing_side_is_flat() -> None:
    assert parse(state(positions={"A": {}})).statistics.positions == ()


def test_a_negative_size_is_a_size() -> None:
    document = state(
        positions={"A": {"short": side(-0.8, 4_010.0, upnl=1.0)}, "B": {"long": side(-0.0, 0.0)}}
    )
    [position] = parse(document).statistics.positions
    assert (position.symbol, position.side, position.size) == ("A", "short", 0.8)


def test_extras_of_a_wrong_type_are_unknown_and_cost_nothing_else() -> None:
    document = state(positions={"A": {"long": side(1.0, 2.0, upnl="3", last_price=[], wallet_exposure=True)}})
    document["meta"].update(quote=5, runtime="x", pid="12")
    document["health"] = {"fills": "2", "pnl": None}
    document["account"]["realized_pnl_cumsum"] = 4
    parsed = parse(document)
    assert parsed.statistics.positions == (Position("A", "long", 1.0, 2.0),)
    assert (parsed.statistics.quote, parsed.statistics.version, parsed.pid) == (None, None, None)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not valid JSON"),
        (b'{"schema_version": 1, "meta"', "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "schema_version is None; this reads version 1"),
    ],
)
def test_what_is_no_state_is_refused_with_a_reason(raw: bytes, said: str) -> None:
    with pytest.raises(UnusableFileError) as caught:
        parse_state(raw)
    assert said in caught.value.reason


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"schema_version": 2}, "schema_version is 2"),
        ({"schema_version": "1"}, "schema_version is '1'"),
        ({"meta": None}, "meta: missing"),
        ({"meta": {}}, "meta.snapshot_ts_ms: missing"),
        ({"meta": {"snapshot_ts_ms": "1"}}, "meta.snapshot_ts_ms: must be a number, not '1'"),
        ({"account": {"balance_raw": "10000"}}, "account.balance_raw: must be a number, not '10000'"),
        ({"account": {"balance_raw": True}}, "account.balance_raw: must be a number, not True"),
        ({"positions": []}, "positions: must be an object"),
        ({"positions": {"A": 3}}, "positions['A']: must be an object"),
        ({"positions": {"A": {"long": []}}}, "positions['A']['long']: must be an object"),
        ({"positions": {"A": {"long": side("1")}}}, "positions['A'].long.size: must be a number"),  # type: ignore[arg-type]
        ({"positions": {"A": {"long": side(1, "2")}}}, "positions['A'].long.price: must be a number"),  # type: ignore[arg-type]
        ({"positions": {str(n): {} for n in range(10_001)}}, "positions: more than 10000 symbols"),
        ({"open_orders": {"A": {}}}, "open_orders['A']: must be a list of orders"),
        ({"market": {"A": 1}}, "market['A']: must be an object"),
    ],
)
def test_a_core_figure_of_a_wrong_type_refuses_the_whole_and_names_it(
    sections: dict[str, Any], said: str
) -> None:
    with pytest.raises(UnusableFileError) as caught:
        parse(state(**sections))
    assert said in caught.value.reason


def test_thousands_of_symbols_are_read() -> None:
    symbols = [f"COIN{number}/USDT:USDT" for number in range(5_000)]
    document = state(positions={symbol: {"long": side(1.0, 2.0, upnl=1.0)} for symbol in symbols})
    assert len(parse(document).statistics.positions) == 5_000


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_paths = st.sampled_from(
    [
        ("schema_version",),
        ("meta",),
        ("meta", "snapshot_ts_ms"),
        ("meta", "pid"),
        ("meta", "runtime"),
        ("meta", "bot_start_ts_ms"),
        ("account",),
        ("account", "balance_raw"),
        ("account", "realized_pnl_cumsum"),
        ("positions",),
        ("positions", "BTC/USDT:USDT"),
        ("positions", "BTC/USDT:USDT", "long"),
        ("positions", "BTC/USDT:USDT", "long", "size"),
        ("positions", "BTC/USDT:USDT", "long", "upnl"),
        ("open_orders",),
        ("open_orders", "BTC/USDT:USDT"),
        ("market",),
        ("market", "BTC/USDT:USDT"),
        ("health",),
        ("health", "fills"),
    ]
)


@given(st.dictionaries(_paths, _json, max_size=4))
def test_no_content_raises_anything_but_an_unusable_file_error(changes: dict[tuple[str, ...], Any]) -> None:
    document = state()
    for path, value in changes.items():
        parent: Any = document
        for key in path[:-1]:
            parent = parent.get(key) if isinstance(parent, dict) else None
        if isinstance(parent, dict):
            parent[path[-1]] = value
    try:
        stats = parse(document).statistics
    except UnusableFileError:
        return
    assert all(position.size is None or position.size > 0 for position in stats.positions)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_an_unusable_file_error(raw: bytes) -> None:
    with pytest.raises(UnusableFileError):
        parse_state(raw)


def outcome(raw: bytes) -> object:
    try:
        return parse_state(raw)
    except UnusableFileError as exc:
        return exc.reason


numbers = st.integers(-(2**70), 2**70) | st.floats() | st.none() | st.booleans() | st.text(max_size=2)
parts = st.dictionaries(
    st.sampled_from(["size", "price", "upnl", "last_price", "other"]), numbers, max_size=5
)


@given(
    positions=st.dictionaries(
        st.sampled_from(["A", "B", "\ud800"]),
        st.dictionaries(st.sampled_from(["long", "short", "x"]), parts | st.none(), max_size=3) | st.none(),
        max_size=3,
    ),
    market=st.dictionaries(
        st.text(max_size=1), st.fixed_dictionaries({"active_symbol": numbers}) | st.none()
    ),
    orders=st.dictionaries(st.text(max_size=1), st.lists(st.just({"id": 1}), max_size=2) | st.none()),
    is_ascii=st.booleans(),
    cut=st.integers(0, 3),
)
def test_both_parsers_say_the_same(
    positions: Any, market: Any, orders: Any, is_ascii: bool, cut: int
) -> None:
    document = state(timestamp=1, positions=positions, market=market, open_orders=orders)
    text = json.dumps(document, ensure_ascii=is_ascii)
    raw = text.encode("utf-8", "surrogatepass")[: -cut or None]
    with pytest.MonkeyPatch.context() as patch:
        found = outcome(raw)
        patch.setattr(document_module, "_load_fast", None)
        expected = outcome(raw)
    assert repr(found) == repr(expected)  # 1 is not 1.0, and NaN is NaN


def test_a_state_as_it_is_written_is_read_by_msgspec(parser: str) -> None:
    fast = document_module._load_fast
    assert (fast is None) == (parser == "without")
    assert fast is None or fast(json.dumps(state()).encode()) is not None

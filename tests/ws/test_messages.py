from __future__ import annotations

import dataclasses
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_hooks import Event, Health, Position, Statistics
from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.errors import ProtocolError
from passivbot_ws_plugin.messages import (
    Auth,
    AuthResult,
    ConfigMessage,
    Error,
    EventData,
    GetConfig,
    Ping,
    Pong,
    StatisticsData,
    StatisticsMessage,
    clean,
    decode,
    echo,
    encode,
    encode_value,
    event_data,
    statistics_data,
)
from passivbot_ws_plugin.messages.statistics import HealthData, PositionData


def test_the_published_messages_are_to_the_letter() -> None:
    success = AuthResult(True, "Authentication successful")
    assert encode(success) == b'{"type":"auth_result","success":true,"message":"Authentication successful"}'
    assert encode(Pong()) == b'{"type":"pong"}'
    assert json.loads(encode(Error("no", "internal"))) == {
        "type": "error",
        "message": "no",
        "code": "internal",
    }
    assert encode(ConfigMessage(encode_value({"live": {}}), "main", "f0" * 32)) == (
        b'{"type":"config","data":{"live":{}},"bot":"main","hash":"' + b"f0" * 32 + b'"}'
    )


def test_statistics_have_the_published_fields_first() -> None:
    stats = make_statistics(health=Health(fills=2))
    message = json.loads(encode(StatisticsMessage(statistics_data(stats), "main", "e", 7)))
    assert list(message) == ["type", "data", "bot", "epoch", "seq"]
    published = ["timestamp", "balance", "upnl", "open_orders_count", "active_symbols_count", "positions"]
    assert list(message["data"])[:6] == published
    assert message["data"]["balance"] == 10_000.5
    assert list(message["data"]["positions"][0])[:4] == ["symbol", "side", "size", "entry_price"]
    assert message["data"]["health"]["fills"] == 2


@pytest.mark.parametrize(
    ("model", "on_the_wire", "beside"),
    [
        (Statistics, StatisticsData, set()),
        (Position, PositionData, set()),
        (Health, HealthData, set()),
        (Event, EventData, {"seq"}),
    ],
)
def test_every_field_of_the_models_is_on_the_wire_and_no_other(
    model: Any, on_the_wire: Any, beside: set[str]
) -> None:
    names = {field.name for field in dataclasses.fields(model)}
    assert names - beside == {field.name for field in msgspec.structs.fields(on_the_wire)}


def test_every_field_is_carried_over() -> None:
    position = Position("BTC/USDT:USDT", "long", 1.0, 2.0, 3.0, 4.0, 5.0)
    health = Health(1, 2, 3, 4, 5, 6, 7, 8.0)
    stats = Statistics(1, 2.0, 3.0, 4, 5, (position,), "bybit", "USDT", "stale", 6.0, health, "8.1.0")
    carried = msgspec.to_builtins(statistics_data(stats))
    assert carried == {**dataclasses.asdict(stats), "positions": [dataclasses.asdict(position)]}
    event = make_event()
    told = {field.name: getattr(event, field.name) for field in dataclasses.fields(Event)}
    assert {**msgspec.to_builtins(event_data(event)), "seq": 0} == told


def test_what_json_cannot_say_never_reaches_the_wire() -> None:
    stats = make_statistics(
        timestamp=Decimal(1678886400000),
        balance=Decimal("10000.5"),
        upnl=float("nan"),
        open_orders_count=float("inf"),
        active_symbols_count=10**400,
        positions=(Position("\ud800BTC", "long", Decimal("NaN"), 10**30),),  # type: ignore[arg-type]
        exchange=dt.date(2026, 1, 1),
        quote={"USDT"},
        realized_pnl=True,
        version=8,
    )
    data = json.loads(encode(StatisticsMessage(statistics_data(stats), "main", "e", 1)))["data"]
    assert (data["timestamp"], data["balance"]) == (1_678_886_400_000, 10_000.5)
    assert (data["upnl"], data["open_orders_count"], data["active_symbols_count"]) == (None, None, None)
    assert data["positions"][0] == {
        "symbol": "?BTC",
        "side": "long",
        "size": None,
        "entry_price": 1e30,
        "upnl": None,
        "last_price": None,
        "wallet_exposure": None,
    }
    assert (data["exchange"], data["quote"], data["version"]) == ("2026-01-01", "{'USDT'}", "8")
    assert data["realized_pnl"] is None


def test_only_the_time_makes_no_difference_not_even_beside_nan() -> None:
    first = statistics_data(make_statistics(timestamp=1, upnl=float("nan")))
    second = statistics_data(make_statistics(timestamp=2, upnl=float("nan")))
    assert not second.differs_from(first)
    assert statistics_data(make_statistics(upnl=1.0)).differs_from(first)
    assert first.differs_from(None)


def test_a_config_of_anything_becomes_json() -> None:
    config = {
        "path": Path("/x"),
        1: (1, {2}, frozenset({3})),
        "nan": float("nan"),
        "huge": 10**30,
        "half\ud800": "\udfff",
        "when": dt.date(2026, 1, 1),
        "decimal": Decimal("1.50"),
        "nothing": None,
        "yes": True,
    }
    assert json.loads(bytes(encode_value(clean(config)))) == {
        "path": "/x",
        "1": [1, [2], [3]],
        "nan": None,
        "huge": 1e30,
        "half?": "?",
        "when": "2026-01-01",
        "decimal": "1.50",
        "nothing": None,
        "yes": True,
    }


@pytest.mark.parametrize(
    ("frame", "request_"),
    [
        ('{"type":"auth","token":"t","public_key_part":"k"}', Auth("t", "k")),
        ('{"type":"get_config"}', GetConfig()),
        ('{"type":"get_config","bot":"main","id":7}', GetConfig("main", b"7")),
        ('{"type":"ping","id":"x","unknown":[1,{}]}', Ping(b'"x"')),
        ('{"type":"ping","\\ud800":1,"":2}', Ping()),
    ],
)
def test_requests_are_read_and_unknown_keys_ignored(frame: str, request_: object) -> None:
    assert decode(frame) == request_


@pytest.mark.parametrize("value", [5, -5, 0, "", "x" * 64, 10**63, "\u00e9", "\ud800", '"'])
def test_an_id_comes_back_as_it_was(value: object) -> None:
    request = decode(json.dumps({"type": "ping", "id": value}))
    assert json.loads(encode(Pong(echo(request.id))))["id"] == value


BAD = [
    ("", "invalid_json"),
    ("nonsense", "invalid_json"),
    ("[" * 8_000, "invalid_json"),
    ('{"type":"ping","x":' + "[" * 16 + "]" * 16 + "}", "invalid_json"),
    ('{"type":"ping","x":NaN}', "invalid_json"),
    ('{"type":"ping","x":-Infinity}', "invalid_json"),
    ('{"type":"ping","x":1e999}', "invalid_json"),
    ('{"type":"ping","x":' + "1" * 5_000 + "}", "invalid_json"),
    ('{"type":"ping","type":"get_config"}', "invalid_json"),
    ('{"type":"ping","x":{"a":1,"a":1}}', "invalid_json"),
    ('\ufeff{"type":"ping"}', "invalid_json"),
    ("null", "invalid_message"),
    ("[]", "invalid_message"),
    ('""', "invalid_message"),
    ("0", "invalid_message"),
    ("{}", "invalid_message"),
    ('{"type":null}', "invalid_message"),
    ('{"type":["ping"]}', "invalid_message"),
    ('{"type":{"a":1}}', "invalid_message"),
    ('{"type":"__class__"}', "unknown_type"),
    ('{"type":"PING"}', "unknown_type"),
    ('{"type":"' + "x" * 60_000 + '"}', "unknown_type"),
    ('{"type":"ping","id":1.5}', "invalid_message"),
    ('{"type":"ping","id":true}', "invalid_message"),
    ('{"type":"ping","id":null}', "invalid_message"),
    ('{"type":"ping","id":{}}', "invalid_message"),
    ('{"type":"ping","id":"' + "x" * 65 + '"}', "invalid_message"),
    ('{"type":"ping","id":' + "1" * 65 + "}", "invalid_message"),
    ('{"type":"auth"}', "invalid_message"),
    ('{"type":"auth","token":5,"public_key_part":"k"}', "invalid_message"),
    ('{"type":"get_config","bot":5}', "invalid_message"),
]


@pytest.mark.bad_requests
@pytest.mark.parametrize(("frame", "code"), BAD, ids=[frame[:30] for frame, _ in BAD])
def test_bad_messages_have_their_code(frame: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(frame)
    assert caught.value.code == code


@pytest.mark.bad_requests
def test_a_binary_frame_is_refused_even_with_valid_json() -> None:
    with pytest.raises(ProtocolError, match="text frames"):
        decode(b'{"type":"ping"}')


def test_brackets_in_strings_do_not_nest() -> None:
    for string in ("[" * 99, '\\"' + "{" * 99, "\\\\"):
        assert decode('{"type":"ping","a":"' + string + '"}') == Ping()


def test_depth_16_is_not_too_deep() -> None:
    assert decode('{"type":"ping","x":' + "[" * 15 + "]" * 15 + "}") == Ping()


@pytest.mark.bad_requests
def test_a_bad_message_with_a_good_id_is_answered_with_it() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode('{"type":"nonsense","id":9}')
    assert caught.value.id == b"9"


_frames = (
    st.text()
    | st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["type", "id", "token", "bot", "public_key_part"]) | st.text(), inner
            )
        ),
    ).map(lambda value: json.dumps(value, default=str))
)


@pytest.mark.bad_requests
@given(_frames)
def test_decoding_raises_a_protocol_error_or_nothing(frame: str | bytes) -> None:
    try:
        request: Any = decode(frame)
    except ProtocolError as exc:
        encode(Error(exc.message, exc.code, echo(exc.id)))
    else:
        assert isinstance(request, Auth | GetConfig | Ping)


@given(st.from_type(float) | st.decimals() | st.integers() | st.text() | st.none() | st.binary())
def test_any_figure_can_be_encoded(value: Any) -> None:
    stats = make_statistics(
        timestamp=value, balance=value, exchange=value, positions=(Position(value, value, value, value),)
    )
    data = json.loads(encode(StatisticsMessage(statistics_data(stats), "main", "e", 1)))["data"]
    assert data["balance"] is None or isinstance(data["balance"], int | float)

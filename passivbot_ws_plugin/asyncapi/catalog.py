"""Each message: its name in the document, its struct, and an example of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from passivbot_ws_plugin import messages as m

_EPOCH: Final = "9f2c61d0a4b35e77"
_CONFIG: Final = {"live": {"user": "main"}}
_HASH: Final = "b569bd202dbcc66cc3624a65255e9860244f879c8ab371a02af14bd95da8f81a"  # of that

# One login each way of the key "phone" with the password "a long secret of your own".
_TOKEN: Final = "886de776f616d24b674cd333826fd78584cba2e472fb8bc65f2548beb5814731"
_NONCES: Final = "SR7gI3NXWpHVe8I2AUJnYz/vnebOZtSLlIwRpHS8"
_CLIENT_FIRST: Final = "n,,n=phone,r=SR7gI3NXWpHVe8I2AUJn"
_SERVER_FIRST: Final = f"r={_NONCES},s=Y0ea1poJCyWCd+yPum+ZQQ==,i=4096"
_CLIENT_FINAL: Final = f"c=biws,r={_NONCES},p=dQvx/y67qF7ex6+0JDZhve4JTWLLC1t+C+lY7vOob1s="
_SERVER_FINAL: Final = "v=Dnrhq+6A7VjJhtAT2HpFVXUJdKQqYNeNxq5AlUA/+GQ="

_SUBSCRIPTION: Final[Mapping[str, Any]] = {
    "channel": "statistics",
    "bots": ["main"],
    "mode": "delta",
    "max_rate": 2,
    "since": {"main": {"epoch": _EPOCH, "seq": 17}},
}

#: What a client says, as it would.
REQUESTS: Final[Mapping[str, tuple[type[Struct], Mapping[str, Any]]]] = {
    "auth": (m.Auth, {"type": "auth", "token": _TOKEN, "public_key_part": "phone"}),
    "hello": (m.Hello, {"type": "hello", "mechanism": "SCRAM-SHA-256", "data": _CLIENT_FIRST}),
    "auth_proof": (
        m.AuthProof,
        {
            "type": "auth",
            "data": _CLIENT_FINAL,
            "subscribe": [_SUBSCRIPTION, {"channel": "events", "kinds": ["fill"]}],
        },
    ),
    "subscribe": (m.Subscribe, {"type": "subscribe", **_SUBSCRIPTION, "id": 1}),
    "unsubscribe": (m.Unsubscribe, {"type": "unsubscribe", "channel": "events", "id": 2}),
    "list_bots": (m.ListBots, {"type": "list_bots", "id": "bots"}),
    "get_config": (m.GetConfig, {"type": "get_config", "bot": "main", "id": 3}),
    "ping": (m.Ping, {"type": "ping"}),
}


def make_answers() -> dict[str, m.ServerMessage]:
    """What the server says, by its name."""
    position = m.PositionData("BTC/USDT:USDT", "long", 0.1, 25_000.0, 100.0, 26_000.0, 0.25)
    state = m.StatisticsData(
        1_678_886_400_000, 10_000.5, 150.75, 5, 2, [position], "bybit", "USDT", "running", -1.04,
        m.HealthData(1_678_880_000_000, 2, 6, 1, 0, 0, 0, -1.04), "8.1.0",
    )  # fmt: skip
    fill = m.EventData(1_678_886_400_000, "fill", "BTC/USDT:USDT", "long", {"qty": 0.02, "price": 99_500.0})
    patch = {
        "balance": 10_001.5,
        "positions": {"BTC/USDT:USDT|long": {"size": 0.2}, "ETH/USDT:USDT|short": None},
    }
    path = "/bot/long/n_positions"
    answers: list[m.ServerMessage] = [
        m.AuthResult(True, "Authentication successful", _SERVER_FINAL),
        m.Challenge(_SERVER_FIRST),
        m.StatisticsMessage(state, "main", _EPOCH, 17),
        m.StatisticsDelta("main", _EPOCH, 17, 18, m.encode_value(patch)),
        m.EventMessage(fill, "main", _EPOCH, 5),
        m.Gap("main", _EPOCH, 6, 40),
        m.ConfigMessage(m.encode_value(_CONFIG), "main", _HASH, m.echo(b"3")),
        m.ConfigChanged("main", _HASH, [path], {path: 4}),
        m.Bots(
            [m.BotData("main", "running", 1_678_886_400_000, 840, "bybit", True, 17, 5)],
            _EPOCH,
            m.echo(b'"bots"'),
        ),
        m.Subscribed("statistics", _EPOCH, ["main"], "delta", 2.0, id=m.echo(b"1")),
        m.Unsubscribed("events", m.echo(b"2")),
        m.Pong(),
        m.Error("unknown type", "unknown_type"),
    ]
    return {str(type(answer).__struct_config__.tag): answer for answer in answers}

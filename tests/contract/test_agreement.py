"""The schemas of the requests and the code that reads requests agree on whatever a client may send."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any, Final

import pytest
import schemas
from hypothesis import given
from hypothesis import strategies as st

from passivbot_hooks import EVENT_KINDS
from passivbot_ws_plugin.errors import ProtocolError
from passivbot_ws_plugin.messages import ID_MAX_CHARS, REQUESTS, SUBSCRIPTIONS_MAX, decode

pytestmark = pytest.mark.bad_requests

_ABSENT: Final = object()
_ANYTHING: Final = [_ABSENT, None, True, 0, -1, 5, 1.5, 1e300, "", "x", [], [1], {}, {"a": None}]
_NAMES: Final = [["main", ""], ["x" * 256], ["x" * 257], ["\u00e9" * 256], [None], ["x"] * 1000, ["x"] * 1001]
_PLACES: Final = [
    {"epoch": epoch, "seq": seq}
    for epoch in ("e" * 64, "e" * 65, 5)
    for seq in (0, -1, 2**53, 2**53 + 1, True, "1")
]
_SUBSCRIPTION: Final = {"channel": "events", "kinds": ["fill"]}

#: For each member of a request, what is right, and what is so just yet, or just not any more.
_EDGES: Final[dict[str, Sequence[Any]]] = {
    "token": ["0" * 64, ""],
    "public_key_part": ["k"],
    "data": ["d"],
    "mechanism": ["SCRAM-SHA-256", "scram"],
    "channel": ["statistics", "events", "config", "Events"],
    "bots": _NAMES,
    "bot": ["main"],
    "mode": ["full", "delta", "half"],
    "max_rate": [2, 0.0, 1e-9, 1000, 1000.5, 1001, 10**400],
    "since": [{}, *({"main": place} for place in _PLACES), {"main": {"epoch": "e"}}, {"main": None}],
    "kinds": [["fill"], list(EVENT_KINDS), ["no kind"], ["fill", 5], ["fill"] * 1001],
    "symbols": _NAMES,
    "subscribe": [[_SUBSCRIPTION] * SUBSCRIPTIONS_MAX, [_SUBSCRIPTION] * (SUBSCRIPTIONS_MAX + 1)],
    "id": [
        "x" * ID_MAX_CHARS, "x" * (ID_MAX_CHARS + 1), "\U0001f600" * ID_MAX_CHARS,
        10**ID_MAX_CHARS - 1, 10**ID_MAX_CHARS, 1 - 10 ** (ID_MAX_CHARS - 1), -(10 ** (ID_MAX_CHARS - 1)),
    ],
    "unknown": [],
}  # fmt: skip

#: The members of each request, those that it needs first; one of another is one that it does not know.
_MEMBERS: Final = {
    "auth": (["public_key_part"], ["token", "data", "subscribe", "id"]),
    "hello": (["mechanism", "data"], ["id", "token"]),
    "subscribe": (["channel"], ["bots", "mode", "max_rate", "since", "kinds", "symbols", "id", "unknown"]),
    "unsubscribe": (["channel"], ["id", "mode"]),
    "list_bots": ([], ["id", "bots"]),
    "get_config": ([], ["bot", "id"]),
    "ping": ([], ["id", "unknown"]),
}


_CHANNELS: Final = ("statistics", "events", "config")


def agree(request: dict[str, Any]) -> None:
    """Decode it: `watched` says whether it was accepted, or refused, against the contract."""
    present = {name: value for name, value in request.items() if value is not _ABSENT}
    with contextlib.suppress(ProtocolError):
        decode(json.dumps(present))


@pytest.mark.parametrize("type_", REQUESTS)
def test_each_edge_of_each_member(type_: str) -> None:
    needed, optional = _MEMBERS[type_]
    base = {"type": type_, **{name: _EDGES[name][0] for name in needed}}
    for name in (*needed, *optional):
        for edge in (*_EDGES[name], *_ANYTHING):
            for channel in _CHANNELS if "channel" in needed else (_ABSENT,):
                agree({**base, "channel": channel, name: edge})
                # A token's login and a proof's: one needs what the other does not.
                agree({**base, "channel": channel, "token": "0" * 64, name: edge})
                agree({**base, "channel": channel, "data": "d", name: edge})


@st.composite
def requests(draw: st.DrawFn, type_: str) -> dict[str, Any]:
    """A request with any members, that is right but for one of them."""
    needed, optional = _MEMBERS[type_]
    names = [*needed, *draw(st.lists(st.sampled_from(optional), unique=True))]
    request = {name: _EDGES[name][0] for name in names if _EDGES[name]}
    if "channel" in request:
        request["channel"] = draw(st.sampled_from(_CHANNELS))
    if "subscribe" in request:
        items = requests("subscribe") | st.sampled_from(_ANYTHING[1:])
        request["subscribe"] = draw(st.lists(items, max_size=4))
    changed = draw(st.sampled_from([*needed, *optional]))
    request[changed] = draw(st.sampled_from([*_EDGES[changed], *_ANYTHING]))
    return {name: value for name, value in {**request, "type": type_}.items() if value is not _ABSENT}


@pytest.mark.parametrize("type_", ["auth", "subscribe"])
@given(st.data())
def test_members_together(type_: str, data: st.DataObject) -> None:
    agree(data.draw(requests(type_)))


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"ping","id":1.0}',
        '{"type":"ping","id":1e2}',
        '{"type":"subscribe","channel":"events","since":{"main":{"epoch":"e","seq":1.0}}}',
        '{"type":"subscribe","channel":"events","symbols":["\\ud800"]}',
    ],
)
def test_what_only_the_server_can_tell(frame: str) -> None:
    document = json.loads(frame)
    with pytest.raises(ProtocolError):
        decode(frame)
    assert schemas.request_fault(document) is None

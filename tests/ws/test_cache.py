from __future__ import annotations

import json

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.cache import Cache
from passivbot_ws_plugin.messages import statistics_data


def test_a_change_is_a_difference_in_anything_but_the_timestamp() -> None:
    cache = Cache()
    first = cache.put_statistics("main", statistics_data(make_statistics(timestamp=1)))
    assert first is not None
    assert cache.put_statistics("main", statistics_data(make_statistics(timestamp=2))) is None
    second = cache.put_statistics("main", statistics_data(make_statistics(timestamp=3, balance=1.0)))
    assert second is not None
    assert [json.loads(payload)["seq"] for payload in (first, second)] == [1, 2]
    assert json.loads(second)["epoch"] == json.loads(first)["epoch"] == cache.epoch


def test_seq_counts_for_each_bot() -> None:
    cache = Cache()
    for bot in ("a", "b"):
        payload = cache.put_statistics(bot, statistics_data(make_statistics()))
        assert payload is not None
        assert (json.loads(payload)["bot"], json.loads(payload)["seq"]) == (bot, 1)
    assert cache.bots == ("a", "b")


def test_a_snapshot_is_the_very_message_that_was_broadcast() -> None:
    cache = Cache()
    assert cache.is_empty
    assert cache.snapshot("main") is None
    payload = cache.put_statistics("main", statistics_data(make_statistics()))
    assert cache.snapshot("main") is payload
    assert list(cache.snapshots()) == [payload]
    assert not cache.is_empty


def test_each_start_has_its_own_epoch() -> None:
    assert Cache().epoch != Cache().epoch


def test_a_config_is_encoded_once_for_each_policy() -> None:
    cache = Cache()
    assert cache.config("main", include_secrets=True) is None
    assert cache.first_bot() is None
    cache.put_config("main", {"live": {"password": "p"}})
    assert cache.first_bot() == "main"
    plain, masked = (cache.config("main", include_secrets=include) for include in (True, False))
    assert plain is not None
    assert masked is not None
    assert json.loads(bytes(plain)) == {"live": {"password": "p"}}
    assert json.loads(bytes(masked)) == {"live": {"password": "********"}}
    assert cache.config("main", include_secrets=True) is plain
    cache.put_config("main", {"live": {}})
    assert bytes(cache.config("main", include_secrets=True) or b"") == b'{"live":{}}'

from __future__ import annotations

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import event_data, statistics_data


def test_bots_are_known_in_the_order_in_which_they_were_heard_of() -> None:
    cache = Cache()
    assert not cache.has_statistics
    assert cache.first_config() is None
    assert cache.put_event("b", 1, event_data(make_event()))
    assert cache.put_config("a", {"live": {}})
    assert cache.put_statistics("a", statistics_data(make_statistics()))
    assert list(cache.bots) == ["b", "a"]
    assert cache.first_config() == "a"
    assert cache.has_statistics


def test_each_start_has_its_own_epoch() -> None:
    assert Cache().epoch != Cache().epoch

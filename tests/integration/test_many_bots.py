"""``passivbot-hooks run`` over many bots that really run: processes on one side, a socket on the other."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hjson
from clients import Conversation, address_of, conversing
from monitor_files import now_ms, replace
from processes import WAIT_S, Process
from servers import write_config

#: The password of a further key, which may not see the config.
GUEST = "another password of some length"

#: What each run of a bot says once.
LIFECYCLE = ("bot.started", "bot.ready", "bot.stopping", "bot.stopped")


def paper_bot(root: Path, user: str) -> Process:
    """A paper bot with some 20 snapshots a second, and fills among them."""
    return Process.python(
        "passivbot_hooks", "paper", root, "--user", user, "--symbols", "3", "--interval", "0.05"
    )


def run(*arguments: str | Path) -> Process:
    return Process.python("passivbot_hooks", "run", *arguments, "--poll", "0.02")


def config_of(folder: Path, user: str) -> Path:
    keys = {"guest": {"password": GUEST, "scopes": ["statistics", "events"]}}
    return write_config(folder / f"{user}.hjson", {"websocket": {"keys": keys}}, user=user)


def edit(config: Path, n_positions: int) -> dict[str, Any]:
    """As an owner does: by hand, with a remark."""
    document: dict[str, Any] = hjson.loads(config.read_text(), object_pairs_hook=dict)
    document["bot"]["long"]["n_positions"] = n_positions
    replace(config, f"# changed by hand\n{hjson.dumps(document)}\n".encode())
    return document


def bots(client: Conversation) -> dict[str, dict[str, Any]]:
    """The list of the bots, by name."""
    return {bot.pop("bot"): bot for bot in client.ask("list_bots")["data"]}


def wait_for_kinds(client: Conversation, bot: str, *kinds: str) -> None:
    """Hear events of a bot until each of these kinds came, in this order."""
    for kind in kinds:
        client.wait_for("event", bot=bot, kind=kind)


def wait_until_old_news(root: Path, *users: str) -> None:
    """Until each bot's files hold what would be news, if it were not old."""
    for user in users:
        path = root / "fake" / user / "events" / "current.ndjson"
        deadline = time.monotonic() + WAIT_S
        while not path.is_file() or b'"order.filled"' not in path.read_bytes():
            assert time.monotonic() < deadline, f"no fill in {path}"
            time.sleep(0.02)


def assert_nothing_old(client: Conversation, bot: str, since_ms: int) -> None:
    """Each event once, from the first, and each of them happened after that."""
    events = client.events_of(bot)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["data"] for event in events if event["data"]["timestamp"] < since_ms] == []


@contextmanager
def watched(*arguments: str | Path) -> Iterator[tuple[str, int]]:
    """A sidecar; the server's address, and when it had not started yet. It must end well."""
    since_ms = now_ms()
    with run(*arguments) as sidecar:
        yield address_of(sidecar), since_ms
        assert sidecar.end() == 0
    assert "Traceback" not in sidecar.output


def follow_all(client: Conversation, *users: str) -> None:
    """Subscribe to all that is kept and comes; hear fills and states of each."""
    client.ask("subscribe", channel="events", since={})
    client.ask("subscribe", channel="statistics")
    for bot in users:
        first = client.wait_for("statistics", bot=bot, status="running")
        assert first["data"]["active_symbols_count"] == 3
        later = client.wait_for("statistics", bot=bot)
        assert later["seq"] > first["seq"]
        assert later["data"]["timestamp"] > first["data"]["timestamp"]
        wait_for_kinds(client, bot, "fill", "fill")


def test_bots_with_a_config_each(tmp_path: Path) -> None:
    root = tmp_path / "monitor"
    configs = {user: config_of(tmp_path, user) for user in ("one", "two")}
    with paper_bot(root, "one"), paper_bot(root, "two"):
        wait_until_old_news(root, "one", "two")
        with (
            watched(*configs.values(), "--monitor-root", root) as (address, since_ms),
            conversing(address) as client,
            conversing(address, GUEST, "guest") as guest,
        ):
            follow_all(client, *configs)
            listed = bots(client)
            assert list(listed) == ["one", "two"]
            for bot, config in configs.items():
                about = listed[bot]
                assert (about["status"], about["exchange"], about["has_config"]) == ("running", "fake", True)
                assert 0 <= about["age_ms"] < 5_000
                assert about["seq"] > 1
                assert about["event_seq"] > 1
                answer = client.ask("get_config", bot=bot)
                assert (answer["bot"], answer["data"]) == (bot, json.loads(config.read_text()))
            assert guest.ask("get_config", bot="two")["code"] == "forbidden"
            hear_of_an_edit(client, guest, configs["two"])
            assert client.ask("get_config", bot="one")["data"]["bot"]["long"]["n_positions"] == 3
            for bot in configs:
                assert_nothing_old(client, bot, since_ms)


def hear_of_an_edit(client: Conversation, guest: Conversation, config: Path) -> None:
    """The guest, whose key may not see the config, hears where it changed, and not to what."""
    for listener in (client, guest):
        listener.ask("subscribe", channel="config", bots=["two"])
        assert listener.wait_for("config_changed", bot="two")["paths"] is None
    edited = edit(config, 7)
    changed, told = (listener.wait_for("config_changed", bot="two") for listener in (client, guest))
    assert changed["paths"] == told["paths"] == ["/bot/long/n_positions"]
    assert changed["values"] == {"/bot/long/n_positions": 7}
    assert "values" not in told
    answer = client.ask("get_config", bot="two")
    assert (answer["data"], answer["hash"]) == (edited, changed["hash"])


def test_every_bot_of_a_root_and_a_config_for_one(tmp_path: Path) -> None:
    root = tmp_path / "monitor"
    config = config_of(tmp_path, "one")
    with paper_bot(root, "one") as one, paper_bot(root, "two") as two:
        wait_until_old_news(root, "one", "two")
        with (
            watched(config, "--all", "--monitor-root", root) as (address, since_ms),
            conversing(address) as client,
        ):
            follow_all(client, "one", "two")
            has_config = {bot: about["has_config"] for bot, about in bots(client).items()}
            assert has_config == {"one": True, "two": False}
            assert client.ask("get_config", bot="one")["data"] == json.loads(config.read_text())
            assert client.ask("get_config", bot="two")["code"] == "unavailable"
            assert client.ask("get_config", bot="nobody")["code"] == "unavailable"
            with paper_bot(root, "three"):
                hear_of_one_that_comes(client, "three")
                hear_of_one_that_goes(client, "two", two, root)
                assert one.end() == 0
                hear_of_one_that_restarts(client, "one", root)
                status = {bot: about["status"] for bot, about in bots(client).items()}
                assert status == {"one": "stopped", "two": "stopped", "three": "running"}
            for bot in ("one", "two"):
                assert_nothing_old(client, bot, since_ms)


def hear_of_one_that_comes(client: Conversation, bot: str) -> None:
    """All of it is news, from its start on."""
    client.wait_for("statistics", bot=bot, status="running")
    wait_for_kinds(client, bot, "bot.started", "order.placed", "bot.ready", "fill")
    assert client.events_of(bot)[0]["seq"] == 1


def hear_of_one_that_goes(client: Conversation, bot: str, process: Process, root: Path) -> None:
    """Without a word: it counts as running until somebody deletes its folder."""
    process.end(signal.SIGKILL)
    before = bots(client)[bot]
    assert before["status"] == "running"
    shutil.rmtree(root / "fake" / bot)
    client.wait_for("statistics", bot=bot, status="stopped")
    after = bots(client)[bot]
    assert after["status"] == "stopped"
    assert after["timestamp"] >= before["timestamp"]  # still there
    assert after["age_ms"] >= 0


def hear_of_one_that_restarts(client: Conversation, bot: str, root: Path) -> None:
    """It stopped. Of its second run, which has an empty book, all is told, and once."""
    stopped = client.wait_for("statistics", bot=bot, status="stopped")
    wait_for_kinds(client, bot, "bot.stopping", "bot.stopped")
    mark = len(client.events_of(bot))
    with paper_bot(root, bot) as again:
        wait_for_kinds(client, bot, "bot.started", "bot.ready", *["fill"] * 10)
        # It says that it starts before it writes its first snapshot.
        old, now = stopped["data"]["health"], None
        while now is None or now["started_at"] == old["started_at"]:
            now = client.wait_for("statistics", bot=bot, status="running")["data"]["health"]
        assert again.end() == 0
        wait_for_kinds(client, bot, "bot.stopped")
    client.wait_for("statistics", bot=bot, status="stopped")
    health = json.loads((root / "fake" / bot / "state.latest.json").read_text())["health"]
    kinds = Counter(event["data"]["kind"] for event in client.events_of(bot)[mark:])
    assert (kinds["fill"], kinds["order.placed"]) == (health["fills"], health["orders_placed"])
    assert {kinds[kind] for kind in LIFECYCLE} == {1}

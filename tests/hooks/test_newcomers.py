from __future__ import annotations

from pathlib import Path

import pytest
from monitor_files import state, write_state

from passivbot_hooks import newcomers
from passivbot_hooks.newcomers import Newcomers
from passivbot_hooks.sources.monitor.locate import BotDirectory


def bot(root: Path, exchange: str, user: str) -> Path:
    write_state(root / exchange / user, state())
    return root / exchange / user


class Looking:
    """Looks now and keeps the names, as the sidecar does."""

    def __init__(self, *roots: Path, names: tuple[str, ...] = ()) -> None:
        self.newcomers = Newcomers(roots, every_s=0)
        self.names = set(names)
        self.watched: list[BotDirectory] = []

    def __call__(self) -> list[str]:
        found = self.newcomers.poll(
            self.names, lambda path: any(watched.may_be(path) for watched in self.watched)
        )
        self.names |= {name for name, _ in found}
        return [name for name, _ in found]


def test_each_bot_is_found_once(tmp_path: Path) -> None:
    look = Looking(tmp_path)
    assert look() == []
    bot(tmp_path, "bybit", "main")
    bot(tmp_path, "bybit", "second")
    assert look() == ["main", "second"]
    assert look() == []
    bot(tmp_path, "okx", "third")
    assert look() == ["third"]


def test_a_user_on_two_exchanges_is_named_with_its_exchange(tmp_path: Path) -> None:
    look = Looking(tmp_path)
    bot(tmp_path, "bybit", "main")
    bot(tmp_path, "okx", "main")
    assert look() == ["bybit/main", "okx/main"]


def test_a_name_once_given_stays(tmp_path: Path) -> None:
    look = Looking(tmp_path)
    bot(tmp_path, "okx", "main")
    assert look() == ["main"]
    bot(tmp_path, "bybit", "main")
    assert look() == ["bybit/main"]


def test_what_a_config_watches_or_waits_for_is_no_newcomer(tmp_path: Path) -> None:
    look = Looking(tmp_path, names=("main", "second"))
    look.watched = [BotDirectory(tmp_path, "main", "bybit"), BotDirectory(tmp_path, "second")]
    for exchange in ("bybit", "okx"):
        bot(tmp_path, exchange, "main")
    bot(tmp_path, "kucoin", "second")
    assert look() == ["okx/main"]


def test_two_folders_with_the_same_bot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    look = Looking(tmp_path / "a", tmp_path / "b", tmp_path / "a" / ".." / "b")
    bot(tmp_path / "a", "bybit", "main")
    second = bot(tmp_path / "b", "bybit", "main")
    assert [look(), look()] == [["bybit/main"], []]
    assert caplog.messages == [f"{second}: is not watched: a bot 'bybit/main' of another folder is"]


def test_only_directories_that_a_bot_wrote_in_count(tmp_path: Path) -> None:
    (tmp_path / "bybit" / "empty").mkdir(parents=True)
    (tmp_path / "bybit" / "file").touch()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    write_state(tmp_path / "bybit" / "a:b", state())
    (tmp_path / "bybit" / "starting").mkdir()
    (tmp_path / "bybit" / "starting" / "manifest.json").touch()
    assert Looking(tmp_path)() == ["starting"]


def test_a_root_that_cannot_be_looked_at_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert Looking(tmp_path / "loop", tmp_path / "none")() == []


def test_their_number_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(newcomers, "BOTS_MAX", 3)
    for number in range(5):
        bot(tmp_path, "bybit", f"user{number}")
    look = Looking(tmp_path)
    assert [look(), look()] == [["user0", "user1", "user2"], []]
    assert caplog.messages == ["more than 3 bots without a config; the others are not watched"]


def test_it_looks_now_and_then(tmp_path: Path) -> None:
    now = [100.0]
    looking = Newcomers([tmp_path], every_s=2.0, monotonic=lambda: now[0])
    assert looking.poll(set(), lambda path: False) == []
    bot(tmp_path, "bybit", "main")
    now[0] += 1.9
    assert looking.poll(set(), lambda path: False) == []
    now[0] += 0.1
    assert [name for name, _ in looking.poll(set(), lambda path: False)] == ["main"]

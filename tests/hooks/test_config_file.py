from __future__ import annotations

from pathlib import Path

import pytest
from monitor_files import replace

from passivbot_hooks import load_config
from passivbot_hooks.sources.config_file import ConfigFollower

GOOD = b'{"live": {"user": "main", "leverage": 1}}'
OTHER = b'{"live": {"user": "main", "leverage": 2}}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    replace(tmp_path / "live.hjson", GOOD)
    return tmp_path / "live.hjson"


def test_only_a_change_of_the_content_is_told(path: Path) -> None:
    follower = ConfigFollower(load_config(path))
    assert follower.poll() is None
    replace(path, GOOD)  # written again, the same
    assert follower.poll() is None
    replace(path, OTHER)
    config = follower.poll()
    assert config is not None
    assert config.data["live"]["leverage"] == 2
    assert follower.poll() is None


def test_a_change_between_the_first_reading_and_the_first_look_is_told(path: Path) -> None:
    config = load_config(path)
    replace(path, OTHER)
    assert ConfigFollower(config).poll() is not None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{", "not valid HJSON"),
        (b"", "no `live"),
        (b'{"live": {"user": "other"}}', "another bot than 'main'; restart to follow it"),
        (b" " * 2_000_000, "2000000 bytes; more than"),
    ],
)
def test_what_cannot_be_read_keeps_the_last_good_one_and_logs_why_once(
    raw: bytes, said: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    follower = ConfigFollower(load_config(path))
    replace(path, raw)
    assert [follower.poll() for _ in range(3)] == [None, None, None]
    [record] = caplog.records
    assert said in record.getMessage()
    assert record.getMessage().endswith("the last good config stays in force")
    assert str(path) in record.getMessage()
    replace(path, OTHER)
    assert follower.poll() is not None


def test_back_to_the_good_content_is_no_change_and_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    follower = ConfigFollower(load_config(path))
    replace(path, b"{")
    assert follower.poll() is None
    replace(path, GOOD)
    assert [follower.poll() for _ in range(3)] == [None, None, None]
    assert [record.getMessage() for record in caplog.records][1:] == [f"{path}: is good again, as it was"]


def test_a_config_that_is_away_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    follower = ConfigFollower(load_config(path))
    path.unlink()
    assert [follower.poll() for _ in range(3)] == [None, None, None]
    assert len(caplog.records) == 1
    replace(path, OTHER)
    assert follower.poll() is not None


def test_a_config_that_cannot_be_opened(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    follower = ConfigFollower(load_config(path))
    path.unlink()
    path.symlink_to(path)
    assert follower.poll() is None
    assert "cannot be read: Too many levels of symbolic links" in caplog.text

from __future__ import annotations

import sys
from pathlib import Path

import plugins_for_tests as plugins
import pytest
from hosts import candidate

from passivbot_hooks import PluginError
from passivbot_hooks.discovery import discover, hook_implementations, load
from passivbot_hooks.testing import RecordingPlugin


def announce(directory: Path, distribution: str, entry_points: str) -> None:
    """Make a distribution's metadata, as an installer leaves it, in a directory of sys.path."""
    info = directory / f"{distribution}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[passivbot.plugins]\n{entry_points}\n")


def test_plugins_are_found_by_entry_point_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(tmp_path, "one", "sample = module_that_raises:plugin")
    monkeypatch.syspath_prepend(tmp_path)
    found = {candidate.name: candidate for candidate in discover()}
    assert (found["sample"].distribution, found["sample"].version) == ("one", "1.2")
    assert found["websocket"].distribution == "passivbot-ws-plugin"
    assert "module_that_raises" not in sys.modules


def test_a_second_announcement_of_a_name_is_refused_and_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(tmp_path, "one", "sample = plugins_for_tests:recording")
    announce(tmp_path, "two", "sample = plugins_for_tests:recording")
    monkeypatch.syspath_prepend(tmp_path)
    first, second = (found for found in discover() if found.name == "sample")
    assert load(first) is plugins.recording
    with pytest.raises(
        PluginError, match=rf"{second.distribution} announces .* {first.distribution} already"
    ):
        load(second)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_module:plugin", "importing no_such_module:plugin failed: ModuleNotFoundError"),
        ("plugins_for_tests:nothing", "failed: AttributeError"),
        ("exits_at_import:plugin", "failed: SystemExit: 3"),
        ("raises_at_import:plugin", "failed: ZeroDivisionError: at import"),
    ],
)
def test_an_import_that_fails_is_one_clear_error(
    value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exits_at_import.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "raises_at_import.py").write_text("raise ZeroDivisionError('at import')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError) as caught:
        load(candidate("sample", value))
    assert said in caught.value.reason


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        (RecordingPlugin, "RecordingPlugin is a class; announce an instance"),
        (plugins.async_hook, "on_stats_updated is async; hooks are plain functions"),
        (plugins.wrapper, "on_shutdown is a hook wrapper"),
        (plugins.generator, "on_shutdown is a generator"),
        (plugins.misspelled, "on_stat_updated is not a hook; did you mean on_stats_updated?"),
        (plugins.wrong_argument, "hooks take on_config_loaded(bot, config), on_stats_updated(bot, stats)"),
        (plugins.no_hook, "type NoHook without any hook"),
        (plugins.raises_when_looked_at, "is not a plugin: RuntimeError: do not look"),
        (plugins.number, "type int without any hook"),
        (plugins.function, "type function without any hook"),
        (None, "type NoneType without any hook"),
    ],
)
def test_each_kind_of_broken_plugin_has_its_error(plugin: object, said: str) -> None:
    with pytest.raises(PluginError) as caught:
        hook_implementations("sample", plugin)
    assert said in caught.value.reason
    assert "\n" not in str(caught.value)


def test_a_good_plugin_is_taken_with_all_its_hooks() -> None:
    assert set(hook_implementations("sample", RecordingPlugin())) == {
        "on_config_loaded",
        "on_event",
        "on_stats_updated",
        "on_shutdown",
    }

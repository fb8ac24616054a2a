from __future__ import annotations

from typing import Any

import pytest

from passivbot_hooks.toggles import did_you_mean, parse_toggles, plugin_options, type_name


@pytest.mark.parametrize(
    ("value", "enabled", "reason"),
    [
        (True, True, "plugins.websocket is true"),
        (False, False, "plugins.websocket is false"),
        ({}, True, "plugins.websocket is an object of options"),
        ({"path": "x"}, True, "plugins.websocket is an object of options"),
        ({"enabled": False}, False, "plugins.websocket.enabled is false"),
        ({"enabled": True}, True, "plugins.websocket.enabled is true"),
    ],
)
def test_a_toggle_is_a_boolean_or_an_object_of_options(value: object, enabled: bool, reason: str) -> None:
    toggles = parse_toggles({"plugins": {"websocket": value}})
    assert (toggles.get("websocket").enabled, toggles.get("websocket").reason) == (enabled, reason)
    assert toggles.errors == ()


def test_absent_is_on() -> None:
    assert parse_toggles({}).get("websocket").enabled
    assert parse_toggles({"plugins": {"other": False}}).get("websocket").enabled


@pytest.mark.parametrize("value", ["false", 0, 1, None, [], "off"])
def test_a_wrong_toggle_is_off_and_named(value: object) -> None:
    toggles = parse_toggles({"plugins": {"websocket": value}})
    assert not toggles.get("websocket").enabled
    [error] = toggles.errors
    assert error.startswith("plugins.websocket: must be true, false or an object of options, not ")


def test_a_wrong_enabled_is_named_with_its_path() -> None:
    [error] = parse_toggles({"plugins": {"websocket": {"enabled": "no"}}}).errors
    assert error == "plugins.websocket.enabled: must be true or false, not a string"


def test_a_wrong_toggle_says_what_would_be_right() -> None:
    toggle = parse_toggles({"plugins": {"websocket": "true"}}).get("websocket")
    assert toggle.reason == "plugins.websocket must be true, false or an object of options, not a string"


def test_a_broken_section_switches_everything_off() -> None:
    toggles = parse_toggles({"plugins": ["websocket"]})
    assert not toggles.get("websocket").enabled
    assert toggles.errors == ("plugins: must be an object of plugin names, not a list",)


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    toggles = parse_toggles({"plugins": {"websoket": True, "websocket": True}})
    assert toggles.unknown(["websocket", "file_logger"]) == [
        "plugins.websoket: no plugin of that name is installed; did you mean websocket?"
    ]


def test_did_you_mean_lists_what_there_is_when_nothing_is_near() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == "; there is a, b"
    assert did_you_mean("zzz", []) == ""


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1.5, "a number"),
        ("", "a string"),
        ({}, "an object"),
        ([], "a list"),
    ],
)
def test_type_names_are_hjsons(value: Any, name: str) -> None:
    assert type_name(value) == name


@pytest.mark.parametrize(
    "section", [None, [], {}, {"mine": True}, {"mine": ["path"]}, {"other": {"path": "x"}}]
)
def test_a_plugin_that_is_not_given_an_object_has_no_options(section: Any) -> None:
    assert plugin_options({"plugins": section}, "mine") == plugin_options({}, "mine") == {}


def test_a_plugins_options_are_its_object_without_its_toggle() -> None:
    section = {"mine": {"enabled": True, "path": "x"}, "other": {"path": "y"}}
    assert plugin_options({"plugins": section}, "mine") == {"path": "x"}


def test_a_misspelled_section_switches_everything_off_and_says_so() -> None:
    toggles = parse_toggles({"live": {}, "plugin": {"websocket": False}})
    assert not toggles.get("websocket").enabled
    assert toggles.errors == ("plugin: is not read; did you mean plugins?",)


def test_a_section_within_live_switches_everything_off_and_says_so() -> None:
    toggles = parse_toggles({"live": {"plugins": {"websocket": {"auth": {"token": "deny"}}}}})
    assert not toggles.get("websocket").enabled
    assert toggles.errors == ("live.plugins: is not read; plugins stands beside live, not in it",)


def test_a_section_within_live_beside_the_right_one_is_said_to_be_unread() -> None:
    toggles = parse_toggles({"live": {"plugins": {"websocket": False}}, "plugins": {"other": False}})
    assert toggles.get("websocket").enabled
    assert not toggles.get("other").enabled
    assert toggles.errors == ("live.plugins: is not read; plugins stands beside live, not in it",)

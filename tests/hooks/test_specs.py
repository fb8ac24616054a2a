"""Policy: what every hook owes to those who implement it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from passivbot_hooks import PluginHost, specs

HOOKS = {name: function for name, function in vars(specs).items() if name.startswith("on_")}
DOCS = Path(__file__).parents[2] / "docs" / "hooks.md"


def test_these_are_the_hooks() -> None:
    assert set(HOOKS) == {"on_config_loaded", "on_event", "on_stats_updated", "on_shutdown"}


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_is_documented_with_its_arguments_and_its_version(name: str) -> None:
    doc = inspect.getdoc(HOOKS[name]) or ""
    assert "versionadded::" in doc
    for argument in inspect.signature(HOOKS[name]).parameters:
        assert f"    {argument}: " in doc
    assert f"`{name}" in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", HOOKS)
def test_the_host_has_a_method_for_each_hook_with_the_same_arguments(name: str) -> None:
    taken = set(inspect.signature(getattr(PluginHost, name)).parameters) - {"self", "timeout_s"}
    assert taken == set(inspect.signature(HOOKS[name]).parameters)

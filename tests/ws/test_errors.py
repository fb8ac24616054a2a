"""What the packages raise on purpose is of their own trees, so that one `except` has it all."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from passivbot_hooks import HooksError
from passivbot_ws_plugin.errors import WebSocketPluginError


@pytest.mark.parametrize("base", [HooksError, WebSocketPluginError])
def test_every_error_of_a_package_is_below_its_base(base: type[Exception]) -> None:
    package = importlib.import_module(base.__module__.partition(".")[0])
    found = set[type[Exception]]()
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        members = vars(importlib.import_module(module.name)).values()
        found |= {item for item in members if isinstance(item, type) and issubclass(item, Exception)}
    own = {error for error in found if error.__module__.startswith(f"{package.__name__}.")}
    assert len(own) > 3
    assert {error for error in own if not issubclass(error, base)} == set()

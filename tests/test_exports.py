"""What the packages export is imported when it is asked for: a name without a home would show to nobody."""

from __future__ import annotations

from types import ModuleType

import pytest

import passivbot_hooks
import passivbot_ws_plugin

PACKAGES = [passivbot_hooks, passivbot_ws_plugin]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_each_exported_name_is_there(package: ModuleType) -> None:
    assert set(package.__all__) == set(package._HOMES)
    for name in package.__all__:
        assert getattr(package, name) is not None


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_another_one_is_not(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing

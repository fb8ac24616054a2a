"""What docs/security.md promises."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from processes import ROOT

from passivbot_ws_plugin.settings.options import Limits

PAGE: Final = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_the_limits_are_those_in_force() -> None:
    """Each row of the table: the names first, their defaults last."""
    table = PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0]
    documented: dict[str, float] = {}
    for row in re.findall(r"^\| (`.*) \|$", table, re.MULTILINE):
        names, *_, defaults = row.split(" | ")
        documented |= zip(re.findall(r"\w+", names), map(float, defaults.split(", ")), strict=True)
    assert documented == msgspec.structs.asdict(Limits())


def test_the_tests_that_it_names_are_there() -> None:
    names = set(re.findall(r"`((?:tests/[\w/]+/)?test_\w+\.py|tests/[\w/]+(?:\.py)?)`", PAGE))
    assert len(names) > 20
    missing = [name for name in names if not any((ROOT / at / name).exists() for at in ("", "tests/hostile"))]
    assert not missing

"""The documentation's links lead somewhere, its Python runs, or would, and no line of the log is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest
from processes import ROOT

import passivbot_ws_plugin
from passivbot_hooks.testing import RecordingPlugin

#: Those that are here: the installed wheels are tested beside `docs` and `examples` alone.
PAGES: Final = [
    page
    for pattern in ("*.md", "docs/*.md", "hookspecs/*.md", "examples/*.md", "examples/*/*.md")
    for page in sorted(ROOT.glob(pattern))
]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def python_of(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a ``#`` in a link may name: the headings, as GitHub spells them there."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]*)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_its_python_is_python(page: Path) -> None:
    for code in python_of(page):
        compile(code, name(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def test_each_line_of_the_log_that_warns_is_explained() -> None:
    said: set[str] = set()
    for source in Path(passivbot_ws_plugin.__file__).parent.rglob("*.py"):
        code = source.read_text(encoding="utf-8")
        said |= set(re.findall(r'\b_log\.(?:warning|error|exception)\(\s*"([\w.]+)"', code))
    assert len(said) > 25
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert {event for event in said if not re.search(rf"`{re.escape(event)}\b", operations)} == set()


def test_a_bot_of_your_own_fires_the_hooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugin = RecordingPlugin()
    [code] = [code for code in python_of(ROOT / "docs" / "hooks.md") if "PluginHost" in code]
    (tmp_path / "live.hjson").write_text('{live: {user: "main"}}', encoding="utf-8")
    monkeypatch.setattr("passivbot_hooks.host.discover", list)
    exec(code.replace("host.load(", "host.register(plugin, 'recording'); host.load("), {"plugin": plugin})
    assert plugin.hooks()[0] == "on_config_loaded"
    assert plugin.hooks()[-1] == "on_shutdown"
    assert [event.kind for event in plugin.events()] == ["order.placed"] * 2
    assert plugin.statistics()[-1].balance == 1001.5

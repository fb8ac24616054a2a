"""Fixtures for all tests, and the rule that CI skips nothing without a reason on record."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import disks
import hypothesis
import pytest
import watched

from passivbot_ws_plugin.server.event_loop import new_event_loop

# Noisy machines: how long an example takes says nothing here.
hypothesis.settings.register_profile(
    "ours", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ours")

#: Tests that may be skipped in CI: a line each, the test's id prefix and the reason.
ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")


def _allowed() -> tuple[str, ...]:
    lines = ALLOWED_SKIPS.read_text(encoding="utf-8").splitlines()
    return tuple(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if os.environ.get("CI") and report.skipped and not item.nodeid.startswith(_allowed()):  # type: ignore[attr-defined]
        report.outcome = "failed"  # type: ignore[attr-defined]
        report.longrepr = f"skipped in CI and not in {ALLOWED_SKIPS.name}: {report.longrepr}"  # type: ignore[attr-defined]
    return report


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[watched.Elsewhere]:
    elsewhere = watched.Elsewhere(tmp_path_factory.mktemp("contract") / "faults")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in elsewhere.environment().items():
            patch.setenv(name, value)
        yield elsewhere


@pytest.fixture(autouse=True)
def _contract(request: pytest.FixtureRequest, elsewhere: watched.Elsewhere) -> Iterator[None]:
    """Whatever a test makes a server say or hear, here and in other processes, is as the contract says."""
    expects_refusals = request.node.get_closest_marker("bad_requests") is not None
    with watched.watched(expects_refusals=expects_refusals):
        yield
    watched.complain(elsewhere.take(), expects_refusals=expects_refusals)


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server writes by default, it writes below where it runs: not into the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let files grow again right after a test that had a full disk: pytest's own output may be one."""
    try:
        return (yield)
    finally:
        disks.SmallFiles.lift()


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """The loop that the server would take: the same tests hold for each."""
    return {"as the server": new_event_loop}

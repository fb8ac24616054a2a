from __future__ import annotations

import asyncio
import importlib.util
import sys
from contextlib import closing

import pytest

from passivbot_ws_plugin.server.event_loop import VARIABLE, new_event_loop
from passivbot_ws_plugin.server.worker import Worker


def kind() -> type[asyncio.AbstractEventLoop]:
    with closing(new_event_loop()) as loop:
        return type(loop)


def standard() -> type[asyncio.AbstractEventLoop]:
    with closing(asyncio.new_event_loop()) as loop:
        return type(loop)


def test_it_is_uvloops_where_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    is_installed = importlib.util.find_spec("uvloop") is not None
    assert (kind() is not standard()) is kind().__module__.startswith("uvloop") is is_installed


def test_it_is_the_standard_one_where_uvloop_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert kind() is standard()


def test_it_is_the_standard_one_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "asyncio")
    assert kind() is standard()


def test_the_server_runs_on_it() -> None:
    worker = Worker()
    worker.start()
    try:
        assert type(worker._ready.result()) is kind()
    finally:
        assert worker.stop(5.0)


async def test_these_tests_run_on_it() -> None:
    assert type(asyncio.get_running_loop()) is kind()

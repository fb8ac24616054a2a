from __future__ import annotations

import logging

import pytest
import structlog

from passivbot_ws_plugin.log import get_logger


def test_keys_are_text_and_reach_the_hosts_handlers(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("some.name").warning("server.off", reason="100% sure", none=None)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("some.name", logging.WARNING)
    assert record.getMessage() == "event=server.off reason=100% sure none=None"


def test_a_traceback_is_written_once(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ZeroDivisionError("once")
    except ZeroDivisionError as exc:
        get_logger("some.name").exception("worker.crashed")
        get_logger("some.name").error("worker.crashed", exc_info=exc)
    assert caplog.text.count("ZeroDivisionError: once") == 2


def test_nothing_global_is_configured() -> None:
    get_logger("some.name").info("x")
    assert not structlog.is_configured()

from __future__ import annotations

import logging
import shlex

import pytest
import structlog

from passivbot_ws_plugin.log import get_logger


def test_keys_are_text_and_reach_the_hosts_handlers(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("some.name").warning("server.off", reason="100% sure", none=None)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("some.name", logging.WARNING)
    assert record.getMessage() == 'event=server.off reason="100% sure" none='


def test_values_do_not_run_together(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("some.name").error(
        "x.y", address="ws://[::1]:1", reason='say "a=b"', consequence="it stays off\nx=1"
    )
    [message] = [record.getMessage() for record in caplog.records]
    assert shlex.split(message.replace("\\n", "|")) == [
        "event=x.y", "address=ws://[::1]:1", 'reason=say "a=b"', "consequence=it stays off|x=1"
    ]  # fmt: skip


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

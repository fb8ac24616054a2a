from __future__ import annotations

import asyncio
import errno
import logging

import pytest

from passivbot_ws_plugin.server.loop_errors import LoopErrors


async def test_a_shortage_is_said_once_in_a_while_and_a_bug_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    handler, loop = LoopErrors(lambda: now[0]), asyncio.get_running_loop()
    shortage = {"message": "out of system resource", "exception": OSError(24, "Too many open files")}
    for _ in range(100):
        handler(loop, shortage)
    assert caplog.text.count("Too many open files") == 1
    assert "Traceback" not in caplog.text
    now[0] = 10.0
    handler(loop, shortage)
    assert caplog.text.count("Too many open files") == 2
    handler(loop, {"message": "a bug", "exception": ZeroDivisionError("in a callback")})
    assert "ZeroDivisionError: in a callback" in caplog.text
    handler(loop, {"message": "no exception"})
    assert "no exception" in caplog.text


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_what_the_system_is_short_of(number: int, caplog: pytest.LogCaptureFixture) -> None:
    LoopErrors()(asyncio.get_running_loop(), {"message": "x", "exception": OSError(number, "short")})
    assert "event=loop.short_of message=x reason=short" in caplog.text


@pytest.mark.parametrize("exc", [OSError(errno.EIO, "no shortage"), OSError("no shortage")])
async def test_another_error_of_the_system_s_has_its_traceback(
    exc: OSError, caplog: pytest.LogCaptureFixture
) -> None:
    LoopErrors()(asyncio.get_running_loop(), {"message": "x", "exception": exc})
    assert "event=loop.failed" in caplog.text
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[1] is exc


async def test_the_end_of_a_connection_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    exc = OSError(errno.ETIMEDOUT, "Connection timed out")
    LoopErrors()(asyncio.get_running_loop(), {"message": "x", "exception": exc, "transport": object()})
    assert not caplog.records


async def test_a_server_stopped_while_short_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def _start_serving() -> None:
        """As asyncio's own is named."""

    loop = asyncio.get_running_loop()
    handle = loop.call_later(0, _start_serving)
    LoopErrors()(loop, {"message": "x", "exception": ValueError("closed"), "handle": handle})
    assert not caplog.records

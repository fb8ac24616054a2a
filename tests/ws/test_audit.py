from __future__ import annotations

import json
import logging

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passivbot_ws_plugin.audit import LOGGER_NAME, PEER_TEXT_MAX, Audit, Visitor

VISITOR = Visitor("c0ffee00", "127.0.0.1", 5, None, None, "/")


def record(caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    [line] = [entry.getMessage() for entry in caplog.records if entry.name == LOGGER_NAME]
    assert "\n" not in line
    assert line.isascii()
    assert line.isprintable()
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_a_record_says_who_what_when_and_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Audit().record(
        "auth.success", VISITOR, reason="token accepted", latency_s=0.0123, key="k", key_is_ours=True,
        bots=("main", "other"),
    )  # fmt: skip
    entry = record(caplog)
    assert list(entry)[:2] == ["ts", "event"]
    assert entry["event"] == "auth.success"
    assert (entry["peer"], entry["port"], entry["key"]) == ("127.0.0.1", 5, "k")
    assert (entry["latency_ms"], entry["bot"]) == (12, "main, other")
    assert str(entry["ts"]).endswith("Z")


def test_a_key_that_is_not_ours_is_a_short_keyed_hash(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    for key in ("my password, by mistake", "my password, by mistake", "other"):
        audit.record("auth.failure", VISITOR, reason="unknown", latency_s=0, key=key)
    keys = [json.loads(entry.getMessage())["key"] for entry in caplog.records]
    assert "password" not in caplog.text
    assert keys[0] == keys[1] != keys[2]
    assert keys[0].startswith("hash:")


@given(st.text(max_size=400), st.text(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_a_peer_says_can_forge_a_line(
    caplog: pytest.LogCaptureFixture, origin: str, path: str
) -> None:
    caplog.clear()
    visitor = Visitor("c", "127.0.0.1", 5, origin, '\r\n{"event": "auth.success"}\x1b[2K\u202e\ud800', path)
    Audit().record("auth.failure", visitor, reason="wrong token", latency_s=0)
    entry = record(caplog)
    assert entry["event"] == "auth.failure"
    assert entry["origin"] == origin[:PEER_TEXT_MAX]


def test_no_global_logging_setting_is_touched() -> None:
    before = (logging.getLogger().level, list(logging.getLogger().handlers), structlog.is_configured())
    Audit().record("auth.failure", VISITOR, reason="wrong token", latency_s=0)
    assert (
        logging.getLogger().level,
        list(logging.getLogger().handlers),
        structlog.is_configured(),
    ) == before


def test_a_hosts_structlog_settings_do_not_reach_it(caplog: pytest.LogCaptureFixture) -> None:
    structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])
    try:
        Audit().record("auth.failure", VISITOR, reason="wrong token", latency_s=0)
    finally:
        structlog.reset_defaults()
    assert record(caplog)["reason"] == "wrong token"

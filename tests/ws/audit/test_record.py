from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passivbot_ws_plugin.audit import LOGGER_NAME, TEXT_MAX_BYTES, Audit, AuditEvent, Visitor
from passivbot_ws_plugin.audit.chain import to_json
from passivbot_ws_plugin.audit.file import AuditFile
from passivbot_ws_plugin.audit.flood import LINES_BURST, LINES_PER_S, WAIT_MAX_S
from passivbot_ws_plugin.audit.record import cut
from passivbot_ws_plugin.audit.verify import verify
from passivbot_ws_plugin.settings.options import AuditOptions

VISITOR = Visitor("c0ffee00", "127.0.0.1", 5, None, None, "/")

#: What docs/security.md promises of every line, with its line break.
LINE_MAX_BYTES = 2048

#: Texts of which many characters are an escape of 2, 6 or 12 bytes, or a surrogate.
TEXTS = st.text(st.sampled_from('a"\\\n\x00\x7f\x80\u202e\ud800\U0001f600') | st.characters(), max_size=400)


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
    for number, key in enumerate(("my password, by mistake", "my password, by mistake", "other")):
        visitor = replace(VISITOR, peer=f"127.0.0.{number}")
        audit.record("auth.failure", visitor, reason="unknown", latency_s=0, key=key)
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
    assert entry["origin"] == cut(origin)


@given(TEXTS)
def test_a_text_is_cut_as_it_is_written_and_never_within_an_escape(text: str) -> None:
    kept = cut(text)
    written = to_json(kept)[1:-1]
    assert len(written) <= TEXT_MAX_BYTES
    assert to_json(text)[1:].startswith(written)
    if kept != text:
        assert text.startswith(kept)
        assert len(written + to_json(text[len(kept)])[1:-1]) > TEXT_MAX_BYTES  # no more of it would fit


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a" * 201, "a" * 200),
        ("\x80" * 200, "\x80" * 33),
        ("\U0001f600" * 200, "\U0001f600" * 16),
        ("a" * 189 + "\U0001f600b", "a" * 189),
        ("a" * 188 + "\U0001f600", "a" * 188 + "\U0001f600"),
        ('"' * 101, '"' * 100),
    ],
)
def test_an_escape_counts_as_what_it_is(text: str, kept: str) -> None:
    assert cut(text) == kept


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


class Clock:
    """Both clocks, set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def audit(path: Path, clock: Clock) -> Iterator[Audit]:
    audit = Audit(AuditFile(path, max_bytes=10_000_000, keep=2), clock=clock, wall_clock=clock)
    yield audit
    audit.close()


def on_file(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def fail(
    audit: Audit, peer: str = "127.0.0.1", event: AuditEvent = "auth.failure", reason: str = "wrong"
) -> bool:
    return audit.record(event, replace(VISITOR, peer=peer), reason=reason, latency_s=0)


def test_the_fields_and_their_order(audit: Audit, path: Path) -> None:
    visitor = Visitor("c", "::1", 5, "https://a.example", "curl", "/x", tls=True)
    for _ in range(3):
        assert audit.record(
            "auth.failure", visitor, reason="wrong token", latency_s=0.5, key="k", key_is_ours=True,
            bots=("main",), method="scram", failures=3,
        )  # fmt: skip
    audit.close()
    first, second = on_file(path)
    names = [
        "ts", "event", "seq", "conn", "peer", "port", "origin", "user_agent", "path", "tls", "method", "key",
        "reason", "failures", "latency_ms", "bot", "version",
    ]  # fmt: skip
    assert list(first) == [*names, "prev", "mac"]
    assert list(second) == [*names, "count", "prev", "mac"]
    expected = {
        "ts": "1970-01-01T00:01:40.000Z", "event": "auth.failure", "seq": 1, "conn": "c", "peer": "::1",
        "port": 5, "origin": "https://a.example", "user_agent": "curl", "path": "/x", "tls": True,
        "method": "scram", "key": "k", "reason": "wrong token", "failures": 3, "latency_ms": 500,
        "bot": "main",
    }  # fmt: skip
    assert {name: first[name] for name in expected} == expected
    assert second["count"] == 2


def test_the_rest_of_a_flood_is_one_line_a_second_later(audit: Audit, clock: Clock, path: Path) -> None:
    for number in range(50):
        assert fail(audit, reason=f"attempt {number}")
    assert len(on_file(path)) == 1
    clock.now = 101.0
    audit.flush()
    assert [(entry.get("count"), entry["reason"]) for entry in on_file(path)] == [
        (None, "attempt 0"),
        (49, "attempt 49"),
    ]
    clock.now = 103.0
    audit.flush()
    assert len(on_file(path)) == 2


def test_one_that_was_counted_alone_has_no_count(audit: Audit, path: Path) -> None:
    fail(audit, reason="first")
    fail(audit, reason="second")
    audit.close()
    assert [(entry["reason"], "count" in entry) for entry in on_file(path)] == [
        ("first", False),
        ("second", False),
    ]


def test_successes_and_revocations_are_always_written(audit: Audit, path: Path) -> None:
    for _ in range(5):
        fail(audit, event="auth.success")
        fail(audit, event="auth.revoked")
    assert len(on_file(path)) == 10


def test_what_is_beyond_all_lines_is_counted_and_successes_are_written(
    audit: Audit, clock: Clock, path: Path
) -> None:
    for number in range(2 * LINES_BURST):
        fail(audit, f"10.0.{number >> 8}.{number & 255}")
    fail(audit, "10.1.0.0", "auth.success")
    fail(audit, "10.1.0.0", "auth.revoked")
    fail(audit, "10.1.0.0", "auth.timeout")
    clock.now += 0.5
    audit.flush()
    entries = on_file(path)
    assert [entry["event"] for entry in entries[LINES_BURST:]] == [
        "auth.success", "auth.revoked", "auth.failure", "auth.timeout",
    ]  # fmt: skip
    assert [(entry["peer"], entry["port"], entry.get("count")) for entry in entries[LINES_BURST:]] == [
        ("10.1.0.0", 5, None), ("10.1.0.0", 5, None), ("many", 0, LINES_BURST), ("many", 0, None),
    ]  # fmt: skip
    assert verify(path).fault is None


def test_no_network_rotates_the_record_away_in_two_days(audit: Audit, clock: Clock, path: Path) -> None:
    """Of a /48, an attempt of every event each 100 ms, with all that makes a line long."""
    hostile = '"\x80\U0001f600' * 40
    events: tuple[AuditEvent, ...] = (
        "auth.failure", "auth.timeout", "auth.throttled", "auth.disconnect", "connection.refused",
    )  # fmt: skip
    attempts, began = 0, clock.now
    for number in range(1_500):
        clock.now = began + number / 10
        visitor = Visitor("c0ffee00", f"2001:db8:0:{number:x}::1", 65_535, hostile, hostile, hostile)
        for event in events:
            audit.record(event, visitor, reason=hostile, latency_s=10, key=hostile, method="token")
            attempts += 1
        if not number % 10:
            audit.flush()
    audit.close()
    entries = on_file(path)
    assert sum(entry.get("count", 1) for entry in entries) == attempts  # type: ignore[misc]
    assert max(map(len, path.read_bytes().splitlines(keepends=True))) <= LINE_MAX_BYTES
    assert LINES_BURST < len(entries) < LINES_BURST + 100
    lines = len(entries) + 2 * 86_400 * (LINES_PER_S + len(events) / WAIT_MAX_S)
    assert lines * LINE_MAX_BYTES < AuditOptions().max_bytes * (AuditOptions().keep + 1)


def test_a_household_of_ipv6_addresses_is_one_flood(audit: Audit, path: Path) -> None:
    for number in range(1, 10):
        fail(audit, peer=f"2001:db8::{number}")
    fail(audit, peer="2001:db8:0:1::1")
    audit.close()
    found = [(entry["peer"], entry.get("count")) for entry in on_file(path)]
    assert found == [("2001:db8::1", None), ("2001:db8:0:1::1", None), ("2001:db8::9", 8)]


def test_no_setting_of_the_host_silences_the_file(audit: Audit, path: Path) -> None:
    class Hostile(dict[str, object]):
        def __init__(self, *arguments: object) -> None:
            raise AssertionError("the host's context class")

    logger = logging.getLogger(LOGGER_NAME)
    structlog.configure(
        processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        context_class=Hostile,
    )
    logging.disable(logging.CRITICAL)
    logger.disabled = True
    try:
        assert fail(audit)
        assert fail(audit, event="auth.success")
    finally:
        structlog.reset_defaults()
        logging.disable(logging.NOTSET)
        logger.disabled = False
    assert len(on_file(path)) == 2


def test_every_record_goes_to_both(audit: Audit, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fail(audit)
    fail(audit, event="auth.success")
    logged = [json.loads(entry.getMessage()) for entry in caplog.records if entry.name == LOGGER_NAME]
    chained = [
        {name: value for name, value in entry.items() if name not in {"seq", "prev", "mac"}}
        for entry in on_file(path)
    ]
    assert logged == chained
    assert [entry.levelno for entry in caplog.records] == [logging.WARNING, logging.INFO]


def test_a_file_that_cannot_be_opened_is_a_failure_until_it_can(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path.mkdir()
    audit = Audit(AuditFile(path, max_bytes=10_000, keep=2), clock=clock)
    assert audit.failure is None  # not tried yet
    assert not audit.open()
    assert audit.failure == f"{path}: Is a directory"
    assert not fail(audit)
    for _ in range(3):
        assert not fail(audit)  # counted, and no better off
    clock.now += 1
    audit.flush()
    path.rmdir()
    clock.now += 2
    assert fail(audit)
    assert audit.failure is None
    assert f"event=audit.writable_again path={path} lost=4" in caplog.text
    audit.close()
    assert len(on_file(path)) == 1


def test_a_second_writer_is_a_failure_that_says_what_to_do(audit: Audit, path: Path) -> None:
    assert audit.open()
    second = Audit(AuditFile(path, max_bytes=10_000, keep=2))
    assert not second.open()
    assert second.failure is not None
    assert "set another plugins.websocket.audit.path" in second.failure
    second.close()


@given(TEXTS, TEXTS, TEXTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_a_peer_says_can_break_the_chain(
    audit: Audit, path: Path, a: str, b: str, c: str
) -> None:
    hostile = '\r\n{"event":"auth.success"}\x1b[2K\u202e\ud800\x7f'
    visitor = Visitor("c", "127.0.0.1", 5, a + hostile, hostile + b, c)
    assert audit.record("auth.success", visitor, reason=a, latency_s=0, key=c)
    report = verify(path)
    assert report.fault is None
    assert report.records == len(path.read_bytes().splitlines())
    last = path.read_bytes().splitlines()[-1].decode("ascii")
    assert last.isprintable()
    assert to_json(json.loads(last)["user_agent"]) == to_json(cut(hostile + b))
    assert len(last) < LINE_MAX_BYTES


def test_after_close_nothing_is_written_and_the_file_stays_free_for_another(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(AuditFile(path, max_bytes=100_000, keep=1))
    assert audit.record("auth.success", VISITOR, reason="x", latency_s=0)
    audit.close()
    assert not audit.record("auth.success", VISITOR, reason="late", latency_s=0)
    with AuditFile(path, max_bytes=100_000, keep=1):
        pass
    assert path.read_text().count("\n") == 1

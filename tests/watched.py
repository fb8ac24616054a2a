"""Every message of every test is held to the contract: at the server's end, whoever the client is.

`watched` checks what a server in this process encodes and decodes. `Elsewhere` is for the servers in the
processes that tests start: each Python there loads ``in_other_processes/sitecustomize.py``, which does the
same and writes down what it finds. So it makes no difference whether a client is ours in Python or in
JavaScript, the published one, or a page in a browser. The tests' clients check what they receive besides
(`schemas.check`); servers that a test makes up check what they are told (`schemas.check_request`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import schemas
from msgspec import Struct

from passivbot_ws_plugin.errors import ErrorCode, ProtocolError
from passivbot_ws_plugin.messages import (
    Request,
    decode_subscription,
    from_client,
    from_server,
    strict_json,
)

#: What a fault begins with that is none where a test's client is wrong on purpose (``bad_requests``).
REFUSED: Final = "refused: "

#: Names the file that other processes write faults to.
VARIABLE: Final = "PASSIVBOT_CONTRACT_FAULTS"

_encoder: Final = from_server._encoder
_read: Final = from_client._read

#: What is replaced. Not `encode` and `decode`: every module has a name of its own for those.
_REPLACED: Final = (
    (from_server, "_encoder"),
    (from_client, "_read"),
    (from_client, "ProtocolError"),
    (strict_json, "ProtocolError"),
)

Report = Callable[[str], None]


def watch(report: Report) -> None:
    """Check all that `messages` encodes and decodes from now on.

    It is told and not raised: the server catches what is raised within it, as it should.
    """
    refusal = _make_refusal(report)
    ours = WatchedEncoder(report), lambda document: _watched_read(document, report), refusal, refusal
    for (module, name), value in zip(_REPLACED, ours, strict=True):
        vars(module)[name] = value


@contextmanager
def watched(*, expects_refusals: bool = False) -> Iterator[None]:
    """Check them meanwhile; what was found is found out at the end.

    Args:
        expects_refusals: Whether clients may say what the server refuses.
    """
    faults: list[str] = []
    before = [vars(module)[name] for module, name in _REPLACED]
    watch(faults.append)
    try:
        yield
    finally:
        for (module, name), value in zip(_REPLACED, before, strict=True):
            vars(module)[name] = value
    complain(faults, expects_refusals=expects_refusals)


def complain(faults: list[str], *, expects_refusals: bool = False) -> None:
    """Fail if there is any fault."""
    counted = [fault for fault in faults if not (expects_refusals and fault.startswith(REFUSED))]
    assert not counted, "against the contract:\n" + "\n".join(counted)


class Elsewhere:
    """What is found in the processes that tests start.

    Args:
        path: A file for it.
    """

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path = path
        self._taken = 0

    def environment(self) -> Mapping[str, str]:
        """What the processes are to have in theirs."""
        ours = Path(__file__).with_name("in_other_processes")
        paths = [str(ours), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(paths), VARIABLE: str(self._path)}

    def take(self) -> list[str]:
        """What was found since the last call."""
        lines = self._path.read_text(encoding="ascii").splitlines()
        lines, self._taken = lines[self._taken :], len(lines)
        return [json.loads(line) for line in lines]


def write_down(fault: str) -> None:
    """Tell the tests what was found in another process; a line at a time, so none mixes with another's."""
    with Path(os.environ[VARIABLE]).open("a", encoding="ascii") as file:
        file.write(json.dumps(fault) + "\n")


class WatchedEncoder:
    """The encoder, whose messages are checked."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def encode(self, value: object) -> bytes:
        raw = _encoder.encode(value)
        if isinstance(value, Struct):
            wrong = schemas.fault(json.loads(raw))
            if wrong is not None:
                self._report(f"sent: {wrong}")
        return raw


def _make_refusal(report: Report) -> type[ProtocolError]:
    """The error that is raised at what a client says, if that is no message."""

    class WatchedError(ProtocolError):
        def __init__(self, code: ErrorCode, message: str, *, id: bytes | None = None) -> None:  # noqa: A002
            super().__init__(code, message, id=id)
            report(f"{REFUSED}{code}: {message}")

    return WatchedError


def _watched_read(document: object, report: Report) -> Request:
    """Read a request: what is accepted is valid, and what is refused for its shape is not."""
    type_ = document.get("type") if isinstance(document, dict) else None
    validators = schemas.RECEIVED.get(type_, []) if isinstance(type_, str) else []
    try:
        request = _read(document)
    except ProtocolError as exc:
        is_refused = exc.code == "invalid_message" and validators and not schemas.is_beyond_schemas(document)
        if is_refused and schemas.fault_of(validators, document) is None:
            report(f"refused, though it is valid: {document}: {exc.message}")
        raise
    assert isinstance(document, dict)
    if type_ == "auth" and document.get("subscribe"):  # of these a login may have wrong ones
        document = {**document, "subscribe": list(_accepted(document["subscribe"], report))}
    wrong = schemas.fault_of(validators, document)
    if wrong is not None:
        report(f"accepted: {wrong}")
    return request


def _accepted(subscriptions: list[Any], report: Report) -> Iterator[Any]:
    """Those of an ``auth``'s subscriptions that are accepted when their turn comes."""
    for document in subscriptions:
        try:
            decode_subscription(document)
        except ProtocolError as exc:
            if (
                not schemas.is_beyond_schemas(document)
                and schemas.fault_of([schemas.SUBSCRIPTION], document) is None
            ):
                report(f"refused, though it is valid: {document}: {exc.message}")
        else:
            yield document

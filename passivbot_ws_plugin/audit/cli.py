"""The command ``passivbot-ws audit``: check the log, show its last lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from passivbot_hooks.command_line import add_command, given_path, number_from, stop_on_signals

from .store import AuditFileError, open_to_read
from .tail import Table, Tail, is_record
from .verify import verify

_AUDIT_HELP = """\
Read the audit log: who logged in, who tried to, and whether somebody changed the record of it.

The log's name is `plugins.websocket.audit.path` in CONFIG; without it, logs/websocket_audit.jsonl.
"""

_VERIFY_HELP = """\
Check that no line of FILE was edited, removed, reordered or cut off since it was written.

Each line carries a mac over itself and the line before; FILE.key, beside it, is the key, and
FILE.head says which line is the last. FILE.1, FILE.2 and so on are the older files: check each.
"""

_VERIFY_EXAMPLES = """\
examples:
  passivbot-ws audit verify logs/websocket_audit.jsonl
  passivbot-ws audit verify logs/websocket_audit.jsonl.1

Exit codes: 0 the chain holds; 1 it does not, and the output names the first bad line; 2 FILE or
its key cannot be read.
"""

_TAIL_HELP = """\
Show the last lines of FILE as a table, and with --follow each new one as it comes.

`count` is how many attempts of one address a line stands for, where it is more than one, and
`failures` how often that address had failed lately. `many` for the peer: in a flood, all those for
which there was no line. A key that is not one of yours shows as a hash: the same hash is the same key.
"""

_TAIL_EXAMPLES = """\
examples:
  passivbot-ws audit tail
  passivbot-ws audit tail --follow
  passivbot-ws audit tail -n 1000 | grep auth.failure

Ctrl-C ends it. Exit codes: 0 ended as asked, 2 FILE cannot be read, or is no audit log.
"""

_AUDIT_LOG = Path("logs/websocket_audit.jsonl")

#: How often a log that is followed is looked at, seconds.
_TAIL_POLL_S = 0.25

#: So many of the last lines say whether it is a log: a few of a true one may be damaged.
_JUDGED_LINES = 100


def add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``passivbot-ws``."""
    audit = add_command(commands, "audit", "read the audit log, or check it", _AUDIT_HELP)
    audit.set_defaults(command=_audit)
    subcommands = audit.add_subparsers(title="commands", metavar="COMMAND", required=True)

    check = add_command(subcommands, "verify", "whether its chain holds", _VERIFY_HELP, _VERIFY_EXAMPLES)
    check.set_defaults(audit_command=_verify)
    check.add_argument(
        "file", metavar="FILE", type=given_path, nargs="?", default=_AUDIT_LOG,
        help="the log, or one of its older files (default: %(default)s)",
    )  # fmt: skip

    tail = add_command(subcommands, "tail", "its last lines as a table", _TAIL_HELP, _TAIL_EXAMPLES)
    tail.set_defaults(audit_command=_tail)
    tail.add_argument(
        "file", metavar="FILE", type=given_path, nargs="?", default=_AUDIT_LOG,
        help="the log (default: %(default)s)",
    )  # fmt: skip
    tail.add_argument(
        "-f", "--follow", action="store_true", help="go on with each new line, through rotations"
    )
    tail.add_argument(
        "-n",
        metavar="LINES",
        dest="lines",
        type=number_from(1, 1_000_000, int),
        default=20,
        help="how many (default: %(default)s)",
    )


def _audit(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.audit_command(arguments)
    except BrokenPipeError:
        raise  # our own output's
    except OSError as exc:
        reason = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
        if isinstance(exc, FileNotFoundError) and arguments.file == _AUDIT_LOG:
            reason = f"no {_AUDIT_LOG} here; run this where the sidecar runs, or give FILE"
        print(f"passivbot-ws: {reason}", file=sys.stderr)
        return 2
    return code


def _verify(arguments: argparse.Namespace) -> int:
    open_to_read(arguments.file).close()  # what is wrong with the file itself first, not with its key
    report = verify(arguments.file)
    if report.fault is not None:
        print(f"{arguments.file}: {report.fault}")
        return 1
    begins = "" if report.is_anchored or report.first is None else f", begins with record {report.first.seq}"
    records = "1 record" if report.records == 1 else f"{report.records} records"
    print(f"{arguments.file}: {records}{begins}, chain holds")
    return 0


def _tail(arguments: argparse.Namespace) -> int:
    table = Table()
    with stop_on_signals() as stop, Tail(arguments.file) as tail:
        lines = tail.last(max(arguments.lines, _JUDGED_LINES))
        if lines and not any(map(is_record, lines)):
            raise AuditFileError(f"{arguments.file}: none of its last lines is a record; is it an audit log?")
        rows = table.rows(lines[-arguments.lines :])
        print(table.header())
        _print_rows(rows)
        while arguments.follow and not stop.wait(_TAIL_POLL_S):
            _print_rows(table.rows(tail.poll()))
    return 0


def _print_rows(rows: Sequence[str]) -> None:
    for row in rows:
        print(row)
    sys.stdout.flush()

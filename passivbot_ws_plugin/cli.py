"""The command ``passivbot-ws``: a demo, the message a client must send, the contract, and the audit log."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from passivbot_hooks import HooksError, load_config
from passivbot_hooks.cli import configure_logging, number_from, stop_on_signals

from .asyncapi import pretty_json
from .audit.tail import Table, Tail
from .audit.verify import verify
from .auth import make_token
from .demo import Demo, is_free
from .errors import SettingsError
from .plugin import plugin
from .settings import DEFAULT_PORT, parse_settings

_AUTH_MESSAGE_HELP = """\
Print the `auth` message that a client must send, from the password and the key part in CONFIG.

The token in it is as good as the password: whoever has it can log in. Keep it out of chats and URLs.
"""

_ASYNCAPI_HELP = """\
Print the contract of the protocol, an AsyncAPI 3.0.0 document: each message as a JSON Schema, for
generators of clients and of documentation. The server has the same at GET /asyncapi.json.
"""

_DEMO_HELP = """\
Serve a paper bot: a random walk on no exchange, watched as a real bot is and served as a
real bot is. It needs nothing, keeps nothing, and runs until Ctrl-C.
"""

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

`count` is how many attempts of one address a line stands for, where it is more than one;
`failures` how often that address had failed lately. A key that is not one of yours shows as a
hash: the same hash is the same key.
"""

_TAIL_EXAMPLES = """\
examples:
  passivbot-ws audit tail
  passivbot-ws audit tail --follow
  passivbot-ws audit tail -n 1000 | grep auth.failure

Ctrl-C ends it. Exit codes: 0 ended as asked, 2 FILE cannot be read.
"""

_AUDIT_LOG = Path("logs/websocket_audit.jsonl")

#: How often a log that is followed is looked at, seconds.
_TAIL_POLL_S = 0.25


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except (HooksError, SettingsError) as exc:
        print(f"passivbot-ws: {exc}", file=sys.stderr)
        return 2
    return code


def _token(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config)
    try:
        settings = parse_settings(config.data)
    except SettingsError as exc:
        raise SettingsError(f"{config.path}: {exc.path}", exc.reason) from exc
    published = settings.credentials[0]
    token = make_token(published.password, published.key)
    print(json.dumps({"type": "auth", "token": token, "public_key_part": published.key}))
    return 0


def _asyncapi(_arguments: argparse.Namespace) -> int:
    print(pretty_json(), end="")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.port and not is_free(arguments.port):
        print(f"passivbot-ws: port {arguments.port} is taken; give another --port", file=sys.stderr)
        return 2
    configure_logging(verbose=arguments.verbose)
    is_default_free = arguments.port is not None or is_free(DEFAULT_PORT)
    with stop_on_signals() as stop, tempfile.TemporaryDirectory(prefix="passivbot-ws-demo-") as directory:
        demo = Demo(Path(directory), arguments.port, plugin)
        listened = demo.run(stop, lambda address: _print_welcome(demo, address, is_port_free=is_default_free))
    if not listened:
        print("passivbot-ws: the server did not start; the log above says why", file=sys.stderr)
        return 1
    print("demo ended", flush=True)
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.audit_command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as exc:
        reason = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
        print(f"passivbot-ws: {reason}", file=sys.stderr)
        return 2
    return code


def _verify(arguments: argparse.Namespace) -> int:
    arguments.file.stat()  # the file's own absence first, not that of its key
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
        rows = table.rows(tail.last(arguments.lines))
        print(table.header())
        _print_rows(rows)
        while arguments.follow and not stop.wait(_TAIL_POLL_S):
            _print_rows(table.rows(tail.poll()))
    return 0


def _print_rows(rows: Sequence[str]) -> None:
    for row in rows:
        print(row)
    sys.stdout.flush()


def _print_welcome(demo: Demo, address: str, *, is_port_free: bool) -> None:
    note = "" if is_port_free else f"\nPort {DEFAULT_PORT} is taken, so it has another one."
    credentials = f"{address} '{demo.password}' {demo.key_part}"
    print(
        f"""
A paper bot is being served: a random walk, no exchange, no money.{note}

  address          {address}
  password         {demo.password}
  public key part  {demo.key_part}

Watch it from the checkout's root, in another terminal:

  {sys.executable} examples/python_client.py {credentials}
  npm install --omit=dev --prefix examples/js-client && node examples/js-client/cli.mjs {credentials}
  {sys.executable} -m http.server --bind 127.0.0.1 --directory examples/js-client 8000
      and open http://127.0.0.1:8000/page.html

Ctrl-C ends it.
""",
        flush=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="passivbot-ws",
        description="The WebSocket plugin's own commands. The sidecar is: passivbot-hooks run CONFIG",
    )
    parser.add_argument("--version", action="version", version=version("passivbot-ws-plugin"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    token = commands.add_parser(
        "token", help="print the auth message that a client must send", description=_AUTH_MESSAGE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    token.set_defaults(command=_token)
    token.add_argument("config", metavar="CONFIG", type=Path, help="a bot's HJSON config file")

    asyncapi = commands.add_parser(
        "asyncapi", help="print the protocol as an AsyncAPI document", description=_ASYNCAPI_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    asyncapi.set_defaults(command=_asyncapi)

    demo = commands.add_parser(
        "demo", help="serve a paper bot, for a look", description=_DEMO_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    demo.set_defaults(command=_demo)
    demo.add_argument(
        "--port",
        type=number_from(0, 65_535, int),
        help="the port to serve on (default: 8765, or any free one if that is taken)",
    )
    demo.add_argument("--verbose", action="store_true", help="log more, with tracebacks")
    _add_audit(commands.add_parser(
        "audit", help="read the audit log, or check it", description=_AUDIT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ))  # fmt: skip
    return parser


def _add_audit(audit: argparse.ArgumentParser) -> None:
    audit.set_defaults(command=_audit)
    commands = audit.add_subparsers(title="commands", metavar="COMMAND", required=True)

    check = commands.add_parser(
        "verify", help="whether its chain holds", description=_VERIFY_HELP, epilog=_VERIFY_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    check.set_defaults(audit_command=_verify)
    check.add_argument("file", metavar="FILE", type=Path, help="the log, or one of its older files")

    tail = commands.add_parser(
        "tail", help="its last lines as a table", description=_TAIL_HELP, epilog=_TAIL_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    tail.set_defaults(audit_command=_tail)
    tail.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", default=_AUDIT_LOG,
        help="the log (default: %(default)s)",
    )  # fmt: skip
    tail.add_argument("--follow", action="store_true", help="go on with each new line, through rotations")
    tail.add_argument(
        "-n",
        metavar="LINES",
        dest="lines",
        type=number_from(1, 1_000_000, int),
        default=20,
        help="how many (default: %(default)s)",
    )

"""The command ``passivbot-ws``: a demo, and what to know of a config, the protocol and the audit log."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from passivbot_hooks import HooksError, did_you_mean, load_config
from passivbot_hooks.command_line import (
    add_command,
    configure_logging,
    given_path,
    number_from,
    reader_may_leave,
    stop_on_signals,
)
from passivbot_hooks.discovery import discover
from passivbot_hooks.toggles import parse_toggles

from .access.auth import make_token
from .asyncapi import pretty_json
from .audit.cli import add_audit
from .demo import Demo, why_not
from .errors import SettingsError
from .plugin import plugin
from .server.certificate import Certificate
from .settings.credentials import Credential
from .settings.parsing import DEFAULT_PORT, Settings, make_address, parse_settings
from .settings.paths import expanded

_AUTH_MESSAGE_HELP = """\
Print the `auth` message that a client must send, from the password and the key part in CONFIG.

The token in it is as good as the password: whoever has it can log in. Keep it out of chats and URLs.
What `passivbot-hooks run` would warn of in the settings is said here too, on stderr.
"""

_CHECK_HELP = """\
Say what the server would make of CONFIG, without running: its address, its keys, the file of its
record, and a warning for each setting that is hardly what was meant.

Not looked at: whether the address is free, and whether the record can be written.

Exit codes: 0 it would serve, 2 it would stay off, and one line says why.
"""

_ASYNCAPI_HELP = """\
Print the contract of the protocol, an AsyncAPI 3.0.0 document: each message as a JSON Schema, for
generators of clients and of documentation. The server has the same at GET /asyncapi.json.
"""

_DEMO_HELP = """\
Serve a paper bot: a random walk on no exchange, watched as a real bot is and served as a
real bot is. It needs nothing, keeps nothing, and runs until Ctrl-C.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    with reader_may_leave():
        arguments = _parser().parse_args(argv)
        try:
            code: int = arguments.command(arguments)
        except (HooksError, SettingsError) as exc:
            print(f"passivbot-ws: {exc}", file=sys.stderr)
            return 2
        return code
    return 0


def _token(arguments: argparse.Namespace) -> int:
    with _told_of(arguments.config):
        settings = parse_settings(load_config(arguments.config).data)
        credential = _credential(settings, arguments.key)
        if settings.options.auth.token == "deny":
            raise SettingsError(
                "plugins.websocket.auth.token",
                "is deny: the server takes no such message; log in by SCRAM-SHA-256, or set it to allow",
            )
    for warning in settings.warnings:
        print(f"passivbot-ws: {arguments.config}: {warning}", file=sys.stderr)
    token = make_token(credential.password, credential.key)
    print(json.dumps({"type": "auth", "token": token, "public_key_part": credential.key}))
    return 0


@contextmanager
def _told_of(config: Path) -> Iterator[None]:
    """Name the config in what is wrong with its settings."""
    try:
        yield
    except SettingsError as exc:
        raise SettingsError(f"{config}: {exc.path}", exc.reason) from exc


def _check(arguments: argparse.Namespace) -> int:
    with _told_of(arguments.config):
        loaded = load_config(arguments.config)
        config = loaded.data
        toggles = parse_toggles(config)
        toggle = toggles.get("websocket")
        if not toggle.enabled:
            raise SettingsError("plugins.websocket", f"switches the server off: {toggle.reason}")
        settings = parse_settings(config)
        if settings.options.tls is not None:
            Certificate(settings.options.tls)
        record = Path(expanded(settings.options.audit.path, "plugins.websocket.audit.path"))
    for warning in (*toggles.unknown([candidate.name for candidate in discover()]), *settings.warnings):
        print(f"warning: {warning}")
    if loaded.user is None:
        print("warning: live.user: is missing; without it, passivbot-hooks run needs --bot EXCHANGE/USER")
    where = make_address(settings.host, settings.port, settings.options)
    print(f"address: {where}" + (" (0: any free port; the log says which)" if settings.port == 0 else ""))
    print(f"keys:    {', '.join(credential.key for credential in settings.credentials)}")
    print(f"record:  {record}" + ("" if record.is_absolute() else ", below where the sidecar runs"))
    return 0


def _credential(settings: Settings, key: str | None) -> Credential:
    """The one of that key part; by default the published one."""
    known = {credential.key: credential for credential in settings.credentials}
    if key is None:
        return settings.credentials[0]
    if key not in known:
        raise SettingsError("plugins.websocket.keys", f"has no {key!r}{did_you_mean(key, known)}")
    return known[key]


def _asyncapi(_arguments: argparse.Namespace) -> int:
    print(pretty_json(), end="")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.port and (why := why_not(arguments.port)):
        print(f"passivbot-ws: port {arguments.port} {why}; give another --port", file=sys.stderr)
        return 2
    configure_logging(verbose=arguments.verbose)
    with stop_on_signals() as stop, tempfile.TemporaryDirectory(prefix="passivbot-ws-demo-") as directory:
        demo = Demo(Path(directory), arguments.port, plugin)
        failure = demo.run(stop, lambda address: _print_welcome(demo, address))
    if failure:
        print(f"passivbot-ws: {failure}", file=sys.stderr)
        return 1
    print("demo ended", flush=True)
    return 0


def _print_welcome(demo: Demo, address: str) -> None:
    note = f"\nPort {DEFAULT_PORT} is taken, so it has another one." if demo.is_elsewhere else ""
    python = shlex.quote(sys.executable)
    credentials = shlex.join((address, demo.password, demo.key_part))
    print(
        f"""
A paper bot is being served: a random walk, no exchange, no money.{note}

  address          {address}
  password         {demo.password}
  public key part  {demo.key_part}

Watch it from the checkout's root, in another terminal:

  {python} examples/python_client.py {credentials}
  npm install --omit=dev --prefix examples/js-client && node examples/js-client/cli.mjs {credentials}
  {python} -m http.server --bind 127.0.0.1 --directory examples/js-client 8000
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

    summary = "print the auth message that a client must send"
    token = add_command(commands, "token", summary, _AUTH_MESSAGE_HELP)
    token.set_defaults(command=_token)
    token.add_argument("config", metavar="CONFIG", type=given_path, help="a bot's HJSON config file")
    token.add_argument(
        "--key", metavar="NAME", help="one of plugins.websocket.keys (default: the published key)"
    )

    check = add_command(commands, "check", "say what the server makes of a config", _CHECK_HELP)
    check.set_defaults(command=_check)
    check.add_argument("config", metavar="CONFIG", type=given_path, help="a bot's HJSON config file")

    summary = "print the protocol as an AsyncAPI document"
    asyncapi = add_command(commands, "asyncapi", summary, _ASYNCAPI_HELP)
    asyncapi.set_defaults(command=_asyncapi)

    demo = add_command(commands, "demo", "serve a paper bot, for a look", _DEMO_HELP)
    demo.set_defaults(command=_demo)
    demo.add_argument(
        "--port",
        type=number_from(0, 65_535, int),
        help="the port to serve on (default: 8765, or any free one if that is taken)",
    )
    demo.add_argument("--verbose", action="store_true", help="log more, with tracebacks")
    add_audit(commands)
    return parser

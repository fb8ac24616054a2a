"""The command ``passivbot-hooks``: run the sidecar, list plugins, run a paper bot.

argparse, from the standard library: this distribution depends on pluggy and hjson alone.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from .command_line import (
    add_command,
    configure_logging,
    given_path,
    number_from,
    reader_may_leave,
    stop_on_signals,
)
from .config import is_name, load_config
from .errors import HooksError, PluginError
from .host import PluginHost, PluginRecord
from .newcomers import Newcomers
from .paper import PaperBot, claimed
from .sidecar import POLL_S, Sidecar, watched_bots
from .sources.monitor.locate import missing

_log = logging.getLogger("passivbot_hooks")

_RUN_HELP = """\
Watch bots that run unmodified, and fire the hooks of the installed plugins.

Each CONFIG is the HJSON file that a Passivbot was started with. Its bot is the directory
<root>/<exchange>/<live.user> below the monitor root. The bot need not run yet. The `plugins`
section of a CONFIG says which plugins hear of its bot. Edits of a CONFIG, of its toggles too,
are noticed while this runs.

With --all, every other bot below the monitor root is watched too, new ones as they appear. They have
no CONFIG: a plugin hears of them if any CONFIG has it on.
"""

_RUN_EXAMPLES = """\
examples:
  passivbot-hooks run configs/live.hjson
  passivbot-hooks run configs/live.hjson --monitor-root ~/passivbot/monitor
  passivbot-hooks run configs/live.hjson --bot bybit/main     # main is on two exchanges
  passivbot-hooks run configs/live.hjson --all                # and every other bot of that monitor root

Ctrl-C or SIGTERM ends it. Logs go to stderr. Exit codes: 0 ended as asked, 2 cannot start.
"""

_PLUGINS_HELP = """\
Show every installed plugin, whether CONFIG switches it on, and what is wrong with the broken ones.

Plugins that are on are imported, to see whether they load; none of their hooks is called, so
what is wrong with their options shows when they run. For the WebSocket server's, there is
`passivbot-ws check CONFIG`.
"""

_PAPER_HELP = """\
Run a paper bot: it trades a random walk, on no exchange and with no money, and writes the
monitor files that a Passivbot writes, under DIR/<exchange>/<user>. For demos and tests. It does not
start where another paper bot writes, or where a bot that is not of paper ever wrote.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    with reader_may_leave():
        arguments = _parser().parse_args(argv)
        configure_logging(verbose=arguments.verbose)
        try:
            code: int = arguments.command(arguments)
        except HooksError as exc:
            print(f"passivbot-hooks: {exc}", file=sys.stderr)
            return 2
        return code
    return 0


def _run(arguments: argparse.Namespace) -> int:
    with stop_on_signals() as stop:
        configs = [load_config(path) for path in arguments.config]
        bots = watched_bots(configs, root=arguments.monitor_root, chosen=arguments.bot)
        for bot in bots:
            where = bot.directory
            root = where.root.absolute()
            _log.info("bot %r: watching %s/%s/%s", bot.name, root, where.exchange or "*", where.user)
            if where.find() is None:
                _log.warning(
                    "bot %r: %s yet; a bot makes it when it first runs, a Passivbot from v7.9 on. If yours "
                    "runs already, give --monitor-root DIR or --bot EXCHANGE/USER",
                    bot.name, missing(where),
                )  # fmt: skip
        newcomers = None
        if arguments.all:
            roots = {bot.directory.root for bot in bots}
            newcomers = Newcomers(roots)
            _log.info("watching every other bot below %s", ", ".join(str(root.absolute()) for root in roots))
        Sidecar(PluginHost(), bots, newcomers=newcomers, poll_s=arguments.poll).run(stop)
    _log.info("ended")
    return 0


def _plugins(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config)
    host = PluginHost()  # not shut down: nothing of a plugin runs here but its import
    log = logging.getLogger(PluginHost.__module__)
    log.addFilter(_is_not_in_table)
    try:
        host.load({config.user or "?": config.data})
    finally:
        log.removeFilter(_is_not_in_table)
    print(_table(host.records))
    return 1 if any(record.state == "failed" for record in host.records) else 0


def _is_not_in_table(record: logging.LogRecord) -> bool:
    """Whether a line of the host's says something else than why a plugin failed."""
    return not (isinstance(record.args, tuple) and any(isinstance(arg, PluginError) for arg in record.args))


def _table(records: Sequence[PluginRecord]) -> str:
    if not records:
        return "no plugin is installed in this environment; pip install one there"
    rows = [("PLUGIN", "DISTRIBUTION", "STATE", "WHY")]
    rows += [(r.name, f"{r.distribution} {r.version}", r.state, r.reason) for r in records]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]))
        for row in rows
    )


def _paper(arguments: argparse.Namespace) -> int:
    with stop_on_signals() as stop, ExitStack() as held:
        try:
            held.enter_context(claimed(arguments.dir / arguments.exchange / arguments.user))
            bot = PaperBot(
                arguments.dir,
                exchange=arguments.exchange,
                user=arguments.user,
                symbols=arguments.symbols,
                seed=arguments.seed,
            )
        except OSError as exc:
            _say_not_written(exc, arguments.dir)
            return 2
        print(
            f"paper bot: {arguments.symbols} symbols of a random walk, no exchange and no money.\n"
            f"writing {bot.publisher.path} every {arguments.interval:g} s; Ctrl-C ends it",
            flush=True,
        )
        try:
            bot.run(stop, interval_s=arguments.interval)
        except OSError as exc:
            _say_not_written(exc, arguments.dir)
            return 1
    return 0


def _say_not_written(exc: OSError, directory: Path) -> None:
    print(f"passivbot-hooks: cannot write {exc.filename or directory}: {exc.strerror}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="passivbot-hooks",
        description="Hooks for trading bots: watch a running Passivbot and tell plugins about it.",
    )
    parser.add_argument("--version", action="version", version=version("passivbot-hooks"))
    parser.set_defaults(verbose=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = _command(commands, "run", "watch bots and fire the hooks", _RUN_HELP, _RUN_EXAMPLES)
    run.set_defaults(command=_run)
    run.add_argument(
        "config", metavar="CONFIG", type=given_path, nargs="+",
        help="a bot's HJSON config file; one is needed with --all too, for the plugins' settings",
    )  # fmt: skip
    run.add_argument(
        "--monitor-root", metavar="DIR", type=given_path,
        help="where the bots write (default: the config's monitor.root_dir, else ./monitor)",
    )  # fmt: skip
    run.add_argument(
        "--bot", metavar="EXCHANGE/USER", action="append", default=[],
        help="which bot, where one user is on several exchanges; once for each such config",
    )  # fmt: skip
    run.add_argument(
        "--all", action="store_true", help="also watch every other bot below the monitor root",
    )  # fmt: skip
    run.add_argument(
        "--poll", metavar="SECONDS", type=number_from(0.01, 60), default=POLL_S,
        help="time between two looks at the files (default: %(default)s)",
    )  # fmt: skip

    plugins = _command(commands, "plugins", "list the plugins and why each is on or off", _PLUGINS_HELP)
    plugins.set_defaults(command=_plugins)
    plugins.add_argument("config", metavar="CONFIG", type=given_path, help="a bot's HJSON config file")

    paper = _command(commands, "paper", "run a paper bot that writes monitor files", _PAPER_HELP)
    paper.set_defaults(command=_paper)
    paper.add_argument("dir", metavar="DIR", type=given_path, help="the monitor root to write under")
    paper.add_argument("--exchange", type=_name, default="fake", help="(default: %(default)s)")
    paper.add_argument("--user", type=_name, default="main", help="(default: %(default)s)")
    paper.add_argument(
        "--symbols",
        type=number_from(1, 10_000, int),
        default=20,
        help="how many to trade (default: %(default)s)",
    )
    paper.add_argument(
        "--interval", metavar="SECONDS", type=number_from(0.01, 3600), default=1.0,
        help="time between two snapshots (default: %(default)s)",
    )  # fmt: skip
    paper.add_argument(
        "--seed", metavar="NUMBER", type=number_from(0, 4_294_967_295, int), help="walk the same walk again"
    )
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    description: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    parser = add_command(commands, name, summary, description, epilog)
    parser.add_argument("--verbose", action="store_true", help="log more, with tracebacks")
    return parser


def _name(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError("must be the name of one directory, not a path")
    return text

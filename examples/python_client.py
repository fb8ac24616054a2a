"""Watch bots from a terminal, by the Python client; --help says how."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime
from getpass import getpass

from passivbot_ws_plugin.client import (
    Channel,
    Client,
    ClientError,
    EventData,
    EventUpdate,
    GapUpdate,
    Live,
    Lost,
    RequestError,
    StatisticsData,
    StatisticsUpdate,
    connect,
)

PASSWORD_VARIABLE = "PASSIVBOT_WS_PASSWORD"


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Watch bots from a terminal; Ctrl-C ends it.")
    parser.add_argument(
        "address", metavar="ADDRESS", help="where the bot is served, such as ws://127.0.0.1:8765"
    )
    parser.add_argument(
        "password", metavar="PASSWORD",
        help="its websocket_password; other users of this machine can see it, so give a dash (-) in its "
        f"place, and it is taken from the environment ({PASSWORD_VARIABLE}), or asked for",
    )  # fmt: skip
    parser.add_argument("key_part", metavar="KEY_PART", help="its websocket_public_key_part")
    parser.add_argument(
        "--events", action="store_true",
        help="print what happens at the bots, too; that alone, where the key may see nothing else",
    )  # fmt: skip
    return parser


async def watch(client: Client, address: str) -> None:
    is_shown = False  # whether there is something above that can be old
    async for update in client:
        match update:
            case StatisticsUpdate(bot=bot, data=data):
                print(plain(f"{bot} {data.status}: {figures(data)}"), flush=True)
                is_shown = True
            case EventUpdate(bot=bot, data=event):
                print(f"{bot} {happening(event)}", flush=True)
            case GapUpdate(bot=bot, first=first, last=last):
                print(f"{bot}: events {first} to {last or 'unknown'} are lost", flush=True)
            case Live():
                print("connected", flush=True)
            case Lost(reason=reason, retry_in_s=retry_in_s):
                old = "; what is above is old" if is_shown else ""
                print(
                    f"not connected to {address}: {reason}{old}; trying again in {retry_in_s:.1f} s",
                    flush=True,
                )


def figures(data: StatisticsData) -> str:
    orders = "?" if data.open_orders_count is None else data.open_orders_count
    balance = f"{amount(data.balance)} {data.quote or ''}".rstrip()
    return (
        f"balance {balance}, upnl {amount(data.upnl)}, positions {len(data.positions)}, open orders {orders}"
    )


def happening(event: EventData) -> str:
    when = datetime.fromtimestamp(event.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    details = (f"{name}={detail(value)}" for name, value in event.details.items())
    return plain(" ".join(part for part in (when, event.kind, event.symbol, event.side, *details) if part))


def plain(text: str) -> str:
    """Nothing in it moves the cursor, begins a line or turns the text around."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def amount(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}"


def detail(value: object) -> str:
    """Without the digits that only a float has: 0.01998, not 0.019979999999999998."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.8g}"
    return str(value)


def main() -> int:
    command = parser()
    arguments = command.parse_args()
    password = arguments.password
    channels: list[Channel] = ["statistics", "events"] if arguments.events else ["statistics"]
    try:
        if password == "-":
            password = os.environ.get(PASSWORD_VARIABLE) or getpass()
        client = connect(arguments.address, key=arguments.key_part, password=password, subscriptions=channels)
    except ValueError as error:
        command.error(str(error))
    except EOFError:
        command.error("there is no password: give it, or set PASSIVBOT_WS_PASSWORD")
    except KeyboardInterrupt:
        return 0
    try:
        try:
            asyncio.run(watch(client, arguments.address))
        except RequestError as error:
            if error.channel is None or not arguments.events:
                hint = "; --events shows what happens, where it may see that" if error.channel else ""
                print(f"{error.message}{hint}", file=sys.stderr)
                return 1
            print(error.message, file=sys.stderr, flush=True)
            channels.remove(error.channel)
            client = connect(
                arguments.address, key=arguments.key_part, password=password, subscriptions=channels
            )
            asyncio.run(watch(client, arguments.address))
    except ClientError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # the reader left, as `head` does; nothing is left to be flushed at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())

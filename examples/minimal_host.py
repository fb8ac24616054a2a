"""A bot of your own that fires the hooks itself: python minimal_host.py CONFIG

It trades nothing: its one position rides a random walk. What a bot that is not Passivbot
needs of the framework is in `main`. Ctrl-C ends it.
"""

import logging
import random
import signal
import sys
import time
from pathlib import Path

from passivbot_hooks import HooksError, PluginHost, Position, Statistics, load_config

ENTRY_PRICE = 100_000.0
SIZE = 0.05


def main(path: Path) -> None:
    config = load_config(path)
    bot = config.user or "random-walk"
    price = ENTRY_PRICE
    # Leaving the block fires on_shutdown, for whatever reason it is left.
    with PluginHost() as host:
        host.load({bot: config.data})  # the plugins that are installed and that the config has on
        host.on_config_loaded(bot=bot, config=config.data)
        while True:
            price += random.gauss(0, 50)
            # From a trading loop too: it stores a reference, waits for nobody and never raises.
            host.on_stats_updated(bot=bot, stats=snapshot(price))
            time.sleep(1)  # the pace of this bot's trading loop; nothing waits for it


def snapshot(price: float) -> Statistics:
    upnl = SIZE * (price - ENTRY_PRICE)
    position = Position("BTC/USDT:USDT", "long", SIZE, ENTRY_PRICE, upnl=upnl, last_price=price)
    return Statistics(
        timestamp=time.time_ns() // 1_000_000,
        balance=10_000.0,
        upnl=upnl,
        open_orders_count=0,
        active_symbols_count=1,
        positions=(position,),
        exchange="random-walk",
        quote="USDT",
        status="running",
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    logging.basicConfig(level=logging.INFO)  # to stderr; the framework configures no logging
    for number in (signal.SIGINT, signal.SIGTERM):  # a `kill` ends it as Ctrl-C does
        signal.signal(number, signal.default_int_handler)
    try:
        main(Path(sys.argv[1]))
    except HooksError as exc:
        sys.exit(str(exc))
    except KeyboardInterrupt:
        pass

"""Watch a bot: python python_client.py ws://127.0.0.1:8765 PASSWORD KEY_PART"""

import asyncio
import sys

from passivbot_ws_plugin.client import (
    ClientError,
    EventUpdate,
    GapUpdate,
    Live,
    Lost,
    StatisticsUpdate,
    connect,
)


async def main(address: str, password: str, key_part: str) -> None:
    client = connect(address, key=key_part, password=password, subscriptions=["statistics", "events"])
    async for update in client:
        match update:
            case StatisticsUpdate(bot=bot, data=data):
                figures = f"balance {data.balance} {data.quote}, upnl {data.upnl}"
                print(f"{bot} {data.status}: {figures}, {data.open_orders_count} orders", flush=True)
            case EventUpdate(bot=bot, data=event):
                print(f"{bot} {event.kind} {event.symbol or ''} {event.details}", flush=True)
            case GapUpdate(bot=bot, first=first, last=last):
                print(f"{bot}: events {first} to {last or 'unknown'} are lost", flush=True)
            case Live():
                print("connected", flush=True)
            case Lost(reason=reason, retry_in_s=retry_in_s):
                print(f"{reason}; what is above is old; again in {retry_in_s:.1f} s", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:4]))
    except (ClientError, TypeError, ValueError) as error:
        sys.exit(f"{error}\n{__doc__}")
    except KeyboardInterrupt:
        pass

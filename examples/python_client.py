"""Watch a bot: python python_client.py ws://127.0.0.1:8765 PASSWORD KEY_PART"""

import hashlib
import json
import sys

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect


def main(address: str, password: str, key_part: str) -> None:
    token = hashlib.sha256((password + key_part).encode()).hexdigest()
    with connect(address, proxy=None) as websocket:
        websocket.send(json.dumps({"type": "auth", "token": token, "public_key_part": key_part}))
        for message in map(json.loads, websocket):
            line = "{message}"
            if message["type"] == "statistics":
                line = "{bot} {status}: balance {balance} {quote}, upnl {upnl}, {open_orders_count} orders"
            print(line.format(**message, **message.get("data", {})), flush=True)
        sys.exit(f"closed: {websocket.close_code} {websocket.close_reason}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except (OSError, TypeError, WebSocketException) as error:
        sys.exit(f"{error}\n{__doc__}")
    except KeyboardInterrupt:
        pass

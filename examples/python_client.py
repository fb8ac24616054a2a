"""Watch a bot from a terminal: python python_client.py ws://127.0.0.1:8765 PASSWORD KEY_PART

Needs the package websockets, and nothing else.
"""

import hashlib
import json
import sys

from websockets.sync.client import connect


def main(address: str, password: str, key_part: str) -> None:
    token = hashlib.sha256((password + key_part).encode()).hexdigest()
    with connect(address, proxy=None) as websocket:
        websocket.send(json.dumps({"type": "auth", "token": token, "public_key_part": key_part}))
        result = json.loads(websocket.recv())
        if not result["success"]:
            sys.exit(result["message"])
        for text in websocket:
            message = json.loads(text)
            if message["type"] != "statistics":
                print(message)
                continue
            data = message["data"]
            print(
                f"{message['bot']} {data['status']}: balance {data['balance']} {data['quote']}, "
                f"upnl {data['upnl']}, {len(data['positions'])} positions, "
                f"{data['open_orders_count']} open orders",
                flush=True,
            )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
    except TypeError:
        sys.exit(__doc__)

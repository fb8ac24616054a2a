"""One good client in a process of its own, so that what it measures is the server and not the siege.

``python -m soak.watch ADDRESS PASSWORD``; it prints its figures when it is told to end.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from soak.clients import Figures, good


async def main(address: str, password: str) -> None:
    """Watch until SIGINT."""
    figures = Figures()
    task = asyncio.create_task(good(address, password, figures, source="127.0.0.9", measure=True))
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
    print("watching", flush=True)
    await asyncio.gather(task, return_exceptions=True)
    latencies = sorted(figures.latencies_ms)
    print(
        "figures",
        json.dumps(
            {
                "updates": len(latencies),
                "p50_ms": round(latencies[len(latencies) // 2], 1),
                "p99_ms": round(latencies[int(len(latencies) * 0.99)], 1),
                "reconnects": figures.reconnects,
                "errors": figures.errors,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

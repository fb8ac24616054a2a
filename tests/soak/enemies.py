"""The enemies, in a process of their own, so that what is measured is the server and not the siege.

``python -m soak.enemies ADDRESS PASSWORD SECONDS KIND...``; it prints what it counted at its end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine

from soak.clients import Figures, addresses, bad_login, deaf, dying, rude, slow

Enemy = Callable[[str, str, asyncio.Event], Coroutine[None, None, None]]

KINDS: dict[str, Enemy] = {"deaf": deaf, "slow": slow, "rude": rude, "dying": dying}

#: How many of each kind at once.
NUMBERS = dict.fromkeys(KINDS, 50)

#: Wrong passwords at once.
BAD_LOGINS = 1_000


async def attack(address: str, password: str, seconds: float, kinds: list[str]) -> Figures:
    """A thousand wrong passwords at once, again and again, and these enemies, until the time is over."""
    stop, attempts, deadline = asyncio.Event(), Figures(), time.monotonic() + seconds
    enemies = [
        asyncio.create_task(KINDS[kind](address, password, stop))
        for kind in kinds
        for _ in range(NUMBERS[kind])
    ]
    sources = addresses("bad login")
    while (remaining := deadline - time.monotonic()) > 0:
        print(f"  {attempts.attempts} wrong passwords, {remaining:.0f} s to go", flush=True)
        await asyncio.gather(*(bad_login(address, next(sources), attempts) for _ in range(BAD_LOGINS)))
        await asyncio.sleep(min(5, max(0, deadline - time.monotonic())))
    stop.set()
    await asyncio.wait(enemies, timeout=30)
    for task in enemies:
        task.cancel()
    await asyncio.gather(*enemies, return_exceptions=True)
    return attempts


async def main(address: str, password: str, seconds: str, *kinds: str) -> None:
    """Attack, and say how it went."""
    counted = await attack(address, password, float(seconds), list(kinds))
    figures = {"attempts": counted.attempts, "refused": counted.refused, "errors": counted.errors}
    print("attempts", json.dumps(figures), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""The soak: ``make soak MINUTES=60``, or ``python -m soak --minutes 2`` in ``tests``.

A sidecar serves a bot that writes five times a second, to good clients, while deaf, slow, rude and
dying ones and a thousand wrong passwords at once do their worst, the bot is restarted and the config is
edited to nonsense and back. At the end it prints its figures, and fails if anything grew, anything
was missed, a traceback was logged, or the audit chain does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from processes import Process
from servers import PASSWORD, write_config

from soak.clients import Figures, addresses, good, recorded
from soak.enemies import NUMBERS
from soak.source import Source, edit_config

#: How many good clients.
GOOD = 100

#: By how much a thing may be more at the end than after the warm-up. Memory settles: buffers of the
#: allocator and of the kernel's copies stay; a leak of one connection's worth a connection does not hide.
GROWTH_MAX = {"tasks": 2, "threads": 1, "descriptors": 3, "resident_kib": 24_576}


#: A good client's 99th percentile under siege, over its quiet value.
LATENCY_RATIO_MAX = 2.0


def census(server: Process) -> dict[str, int]:
    """What is alive in the server now."""
    server.send(signal.SIGUSR1)
    line = server.wait_for_line("census ", timeout_s=30)
    parsed: dict[str, int] = json.loads(line.removeprefix("census "))
    return parsed


async def soak(minutes: float, directory: Path) -> list[str]:
    """Run it all; what went wrong."""
    # The limits are the defaults, but for waits that would make a short soak miss the end of them, and
    # for what so many clients need.
    limits = {"buffer_soft_s": 3, "handshake_s": 2, "auth_s": 4, "connections": 512}
    audit = {"path": str(directory / "audit.jsonl"), "max_bytes": 65_536_000}
    config = write_config(directory / "live.hjson", {"websocket": {"limits": limits, "audit": audit}})
    script = Path(__file__).with_name("server.py")
    command: list[str | Path] = [
        sys.executable,
        script,
        config,
        "--monitor-root",
        directory / "monitor",
    ]
    with Process(*command, cwd=directory) as server:
        address = server.wait_for_line("server.listening").rpartition("address=")[2]
        problems, figures = await besiege(minutes, address, directory, config, server)
        started = time.monotonic()
        code = server.end(signal.SIGTERM)
        figures["end_s"] = round(time.monotonic() - started, 2)
    if code != 0:
        problems.append(f"the server ended with {code}")
    if figures["end_s"] > 5:
        problems.append("the server took more than 5 s to end")
    if "Traceback" in server.output:
        problems.append("the log holds a traceback")
    verdict = subprocess.run(
        [sys.executable, "-m", "passivbot_ws_plugin", "audit", "verify", directory / "audit.jsonl"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    figures["audit"] = (verdict.stdout + verdict.stderr).strip().replace(str(directory), "")
    if verdict.returncode != 0:
        problems.append("the audit chain does not hold")
    figures["recorded"] = records = recorded(directory)
    if records["deaf"]["auth.success: accepted"] < NUMBERS["deaf"]:
        problems.append("not all that never read had logged in")
    if not records["bad login"]["auth.failure: wrong token"]:
        problems.append("no wrong password was ever heard")
    print(json.dumps(figures, indent=2), flush=True)
    return problems


def watch(address: str) -> Process:
    """A good client in a process of its own."""
    watcher = Process(sys.executable, "-m", "soak.watch", address, PASSWORD, cwd=Path(__file__).parents[1])
    watcher.wait_for_line("watching")
    return watcher


def figures_of(watcher: Process) -> dict[str, Any]:
    """What it measured; this ends it."""
    with watcher:
        watcher.send(signal.SIGINT)
        line = watcher.wait_for_line("figures ")
    parsed: dict[str, Any] = json.loads(line.removeprefix("figures "))
    return parsed


async def besiege(
    minutes: float, address: str, directory: Path, config: Path, server: Process
) -> tuple[list[str], dict[str, Any]]:
    """A quiet part, then the siege; what went wrong, and the figures."""
    stop, source, watched = asyncio.Event(), Source(directory / "monitor"), Figures()
    quiet_s = max(15.0, minutes * 60 * 0.2)
    bot = asyncio.create_task(source.run(stop, restart_every_s=max(20.0, minutes * 6)))
    homes = addresses("good")
    watching = []
    for _ in range(GOOD):  # one after the other: together they are more than may be about to log in
        watching.append(asyncio.create_task(good(address, PASSWORD, watched, source=next(homes))))
        await asyncio.sleep(0.02)
    watcher = watch(address)
    await asyncio.sleep(quiet_s)
    quiet, before = figures_of(watcher), census(server)
    print(f"quiet: {quiet} {before}", flush=True)

    rest_s = minutes * 60 - quiet_s
    attempts = Figures()
    watcher = watch(address)
    await attack(address, attempts, ["deaf"], rest_s * 0.45)
    siege = figures_of(watcher)
    print(f"1,000 wrong passwords at once and {NUMBERS['deaf']} that never read: {siege}", flush=True)

    editing = asyncio.create_task(edit_config(config, stop, every_s=5))
    watcher = watch(address)
    await attack(address, attempts, ["deaf", "slow", "rude", "dying"], rest_s * 0.55)
    everything = figures_of(watcher)
    await asyncio.sleep(6)  # longer than any deadline that a bad client may have left behind
    after = census(server)
    stop.set()
    for task in (*watching, bot, editing):
        task.cancel()
    await asyncio.gather(*watching, bot, editing, return_exceptions=True)

    problems = [*watched.errors, *quiet["errors"], *siege["errors"], *everything["errors"], *attempts.errors]
    problems += [
        f"{name} grew from {before[name]} to {after[name]}"
        for name, allowed in GROWTH_MAX.items()
        if after[name] - before[name] > allowed
    ]
    ratio = siege["p99_ms"] / quiet["p99_ms"]
    if ratio > LATENCY_RATIO_MAX:
        problems.append(f"a good client's p99 latency grew {ratio:.2f} times under siege")
    reconnects = watched.reconnects + siege["reconnects"] + everything["reconnects"]
    if reconnects:
        problems.append(f"good clients had to reconnect {reconnects} times")
    figures = {
        "minutes": minutes,
        "machine": f"{os.cpu_count()} cores, Python {sys.version.split()[0]}",
        "states_written": source.written,
        "bot_restarts": source.restarts,
        "clients": {"good": GOOD + 1, **NUMBERS},
        "updates_received": watched.updates,
        "missed": watched.gaps,
        "wrong_passwords": attempts.attempts,
        "turned_away_before_the_handshake": attempts.refused,
        "quiet": quiet,
        "siege": siege,
        "everything": everything,
        "p99_ratio": round(ratio, 2),
        "before": before,
        "after": after,
    }
    return problems, figures


async def attack(address: str, attempts: Figures, kinds: list[str], seconds: float) -> None:
    """Let these enemies loose; what they counted is added to the attempts."""
    command = [sys.executable, "-m", "soak.enemies", address, PASSWORD, str(seconds), *kinds]
    # Behind all others: on a network they would not have this machine's processors.
    with Process("nice", "-n", "5", *command, cwd=Path(__file__).parents[1]) as enemies:
        line = await asyncio.to_thread(enemies.wait_for_line, "attempts ", timeout_s=seconds + 120)
    counted = json.loads(line.removeprefix("attempts "))
    attempts.attempts += counted["attempts"]
    attempts.refused += counted["refused"]
    attempts.errors += counted["errors"]


def main() -> int:
    """Run the soak; 0 if all held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=2.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="passivbot-ws-soak-") as directory:
        problems = asyncio.run(soak(arguments.minutes, Path(directory)))
    for problem in problems[:20]:
        print(f"PROBLEM: {problem}")
    print("the soak held" if not problems else f"the soak found {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

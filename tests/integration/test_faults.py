"""What breaks around a sidecar that runs: the disk, the descriptors, its clients, the signal to end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from clients import address_of
from monitor_files import now_ms, side, state, write_state
from processes import Process
from raw import frame, raw
from servers import auth_message, closed, logged_in, receive, write_config
from websockets.exceptions import InvalidMessage

from passivbot_ws_plugin.audit.verify import verify

#: ``passivbot-hooks run`` with few descriptors.
SCARCE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
from passivbot_hooks.cli import main
sys.exit(main(["run", *sys.argv[1:]]))
"""


def big_state() -> dict[str, Any]:
    positions = {f"COIN{n}/USDT:USDT": {"long": side(1.0, 2.0, upnl=1.0)} for n in range(2_000)}
    document = state(timestamp=now_ms(), positions=positions)
    document["account"]["balance_raw"] = time.time()
    return document


def recorded(folder: Path) -> list[str]:
    """The events of the audit record of a sidecar that ran there; its chain holds."""
    path = folder / "logs" / "websocket_audit.jsonl"
    assert verify(path).fault is None
    return [json.loads(line)["event"] for line in path.read_bytes().splitlines()]


async def test_sigterm_with_a_client_that_never_reads(tmp_path: Path) -> None:
    bot = tmp_path / "fake" / "main"
    write_state(bot, big_state())
    # The client is to be behind, and not cut off yet, when the signal comes.
    limits = {"buffer_hard_bytes": 67_108_864, "buffer_soft_s": 3600}
    config = write_config(tmp_path / "live.hjson", {"websocket": {"limits": limits}})
    with Process.python(
        "passivbot_hooks", "run", config, "--monitor-root", tmp_path, "--poll", "0.02"
    ) as sidecar:
        address = address_of(sidecar)
        async with raw(address) as deaf, logged_in(address) as good:
            await deaf.log_in(auth_message())
            deaf.pause_reading()
            message: dict[str, Any] = {}
            for _ in range(30):  # some 10 MB: more than the buffers between take
                write_state(bot, big_state())
                message = await receive(good)
            assert message["seq"] > 20
            started = time.monotonic()
            assert await asyncio.to_thread(sidecar.end) == 0
            assert time.monotonic() - started < 5
            assert await closed(good) == (1012, "the server is going away")
    assert "Traceback" not in sidecar.output
    assert recorded(tmp_path) == ["auth.success"] * 2


async def test_descriptors_exhausted_and_free_again(tmp_path: Path) -> None:
    bot = tmp_path / "fake" / "main"
    write_state(bot, state())
    config = write_config(tmp_path / "live.hjson")
    command = (sys.executable, "-c", SCARCE, config, "--monitor-root", tmp_path, "--poll", "0.02")
    with Process(*command) as sidecar:
        address = address_of(sidecar)
        async with logged_in(address) as good:
            assert (await receive(good))["seq"] == 1
            async with asyncio.TaskGroup() as group:
                hung_up = asyncio.Event()
                holds = (hold(address, f"127.0.0.{n}", hung_up) for n in range(2, 52))
                strangers = [group.create_task(each) for each in holds]
                # asyncio says so; uvloop hangs up, and it is who cannot open a file that says so then.
                said = group.create_task(asyncio.to_thread(sidecar.wait_for_line, "Too many open files"))
                shed = group.create_task(hung_up.wait())
                await asyncio.wait([said, shed], return_when=asyncio.FIRST_COMPLETED)
                await good.send('{"type":"ping"}')
                assert (await receive(good))["type"] == "pong"
                document = state()
                document["account"]["balance_raw"] = 77.0
                write_state(bot, document)  # cannot be opened now
                await said
                for task in (*strangers, shed):
                    task.cancel()
            assert (await receive(good))["data"]["balance"] == 77.0
            async with asyncio.timeout(15):
                while True:
                    try:
                        async with logged_in(address):
                            break
                    except (OSError, EOFError, InvalidMessage):  # there are none free yet
                        await asyncio.sleep(0)
        assert await asyncio.to_thread(sidecar.end) == 0
    assert "Traceback" not in sidecar.output


#: Plugins beside ours. What they do to themselves is to reach nobody else.
HOSTILE = """
import sys, threading
from passivbot_hooks import hookimpl

class Raises:
    @hookimpl
    def on_stats_updated(self):
        raise BaseException("hostile")

class Exits:
    @hookimpl
    def on_stats_updated(self):
        sys.exit(7)

class Blocks:
    @hookimpl
    def on_stats_updated(self):
        threading.Event().wait()

class BlocksAtTheEnd:
    @hookimpl
    def on_shutdown(self):
        threading.Event().wait()

raises, exits, blocks, blocks_at_the_end = Raises(), Exits(), Blocks(), BlocksAtTheEnd()
"""


async def test_plugins_that_raise_exit_and_block_beside_it(tmp_path: Path) -> None:
    write_state(tmp_path / "fake" / "main", state())
    names = ("raises", "exits", "blocks", "blocks_at_the_end")
    metadata = tmp_path / "hostile-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1\n")
    entries = "".join(f"{name} = hostile:{name}\n" for name in names)
    (metadata / "entry_points.txt").write_text(f"[passivbot.plugins]\n{entries}")
    (tmp_path / "hostile.py").write_text(HOSTILE)
    config = write_config(tmp_path / "live.hjson", dict.fromkeys(names, True))
    command = ("run", config, "--monitor-root", tmp_path, "--poll", "0.02")
    paths = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    environment = {**os.environ, "PYTHONPATH": paths}
    with Process.python("passivbot_hooks", *command, env=environment) as sidecar:
        async with logged_in(address_of(sidecar)) as client:
            seq = (await receive(client))["seq"]
            for number in range(5):
                document = state()
                document["account"]["balance_raw"] = float(number)
                write_state(tmp_path / "fake" / "main", document)
                message = await receive(client)
                assert (message["seq"], message["data"]["balance"]) == (seq := seq + 1, number)
            started = time.monotonic()
            assert await asyncio.to_thread(sidecar.end) == 0
            assert time.monotonic() - started < 5
            assert await closed(client) == (1012, "the server is going away")
    for name in ("raises", "exits"):
        assert re.search(f"plugin '{name}': .*switched off until the next start", sidecar.output)
    assert "plugin 'blocks_at_the_end': did not shut down" in sidecar.output
    assert recorded(tmp_path) == ["auth.success"]


async def hold(address: str, source: str, ended: asyncio.Event) -> None:
    """A connection that says nothing, for as long as it may."""
    async with raw(address, source=source) as client:
        await client.ended()
        ended.set()
        await asyncio.Event().wait()


async def test_half_a_frame_does_not_hold_up_the_end(tmp_path: Path) -> None:
    config = write_config(tmp_path / "live.hjson")
    with Process.python("passivbot_hooks", "run", config, "--monitor-root", tmp_path) as sidecar:
        async with raw(address_of(sidecar)) as client:
            await client.log_in(auth_message())
            await client.send(frame(1, b"x" * 100)[:50])
            started = time.monotonic()
            assert await asyncio.to_thread(sidecar.end) == 0
            assert time.monotonic() - started < 5
    assert "Traceback" not in sidecar.output
    assert recorded(tmp_path) == ["auth.success"]

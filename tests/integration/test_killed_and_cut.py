"""Server, bots and network are killed, cut and stalled; both clients end up with what the bots' files say.

The bots change little at a time (`quiet_bot`): so of each bot and each run of the server a client needs
one whole state, ever. ``KILL_SEED`` does again what a seed did, as far as a machine does the same twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals
from typing import Any, Final

import pytest
from clients import address_of
from cutting_proxy import Cut, CuttingProxy, cutting_proxy
from js_watcher import needs_node
from monitor_files import published_figures, shown
from processes import WAIT_S, Process
from resuming_clients import Account, js_client, python_client
from servers import free_port, logged_in, receive, write_config

pytestmark = [*needs_node, pytest.mark.timeout(180)]

BOTS: Final = ("one", "two")
QUIET_BOT: Final = Path(__file__).parents[1] / "quiet_bot.py"

#: What a bot's file holds that is to be told once, and the name of what tells one from another.
NEWS: Final = {
    "bot.start": "bot.started", "bot.ready": "bot.ready", "bot.stop": "bot.stopping",
    "bot.stopped": "bot.stopped", "order.opened": "order.placed", "order.filled": "fill",
}  # fmt: skip
IDS: Final = {"order.placed": "order_id", "fill": "fill_id"}


class World:
    """A sidecar and its bots, as processes that can be killed and started again.

    Attributes:
        epochs: How often the sidecar was started.
        address: The server's.
    """

    def __init__(self, folder: Path) -> None:
        self.epochs = 0
        self.address = ""
        self._root = folder / "monitor"
        self._config = write_config(folder / "one.hjson", user="one", websocket_port=free_port())
        self._processes: dict[str, Process] = {}

    def path(self, bot: str) -> Path:
        return self._root / "fake" / bot

    async def start(self, name: str, seed: str = "") -> None:
        if name in BOTS:
            self._processes[name] = bot = Process(sys.executable, QUIET_BOT, self._root, name, seed)
            await asyncio.to_thread(bot.wait_for_line, "runs")
            return
        self._processes[name] = sidecar = Process.python(
            "passivbot_hooks", "run", self._config, "--all", "--monitor-root", self._root, "--poll", "0.02"
        )
        self.epochs += 1
        self.address = await asyncio.to_thread(address_of, sidecar)

    def send(self, name: str, number: Signals) -> None:
        self._processes[name].send(number)

    async def end(self, name: str, number: Signals = SIGKILL) -> None:
        process = self._processes.pop(name)
        code = await asyncio.to_thread(process.end, number)
        assert code == (-SIGKILL if number is SIGKILL else 0), process.output
        assert "Traceback" not in process.output

    async def kill(self) -> None:
        for name in tuple(self._processes):
            await self.end(name)


@asynccontextmanager
async def a_world(folder: Path, seed: str) -> AsyncIterator[World]:
    world = World(folder)
    try:
        for bot in BOTS:
            await world.start(bot, f"{seed} {bot}")
        await world.start("sidecar")
        yield world
    finally:
        await world.kill()


class Weather:
    """What is done to the network, and to the processes."""

    def __init__(self, seed: str, world: World) -> None:
        self.proxies: list[CuttingProxy] = []
        self.is_calm = False
        self._source = random.Random(seed)
        self._world = world

    def plan(self, number: int) -> Cut:
        """Of each connection: it may be cut within the login, within a state, or later, or not."""
        if self.is_calm or self._source.random() < 0.5:
            return Cut()
        way = self._source.choice(("from_server", "from_client"))
        return Cut(
            **{way: self._source.choice((self._source.randrange(1_200), self._source.randrange(20_000)))}
        )

    async def pause(self, longest_s: float) -> None:
        await asyncio.sleep(self._source.uniform(0.0, longest_s))

    async def cut(self) -> None:
        self._source.choice(self.proxies).cut()
        await self.pause(0.3)

    async def stall(self) -> None:
        proxy = self._source.choice(self.proxies)
        proxy.stall()
        await self.pause(0.6)
        proxy.resume()

    async def stall_until_given_up(self) -> None:
        proxy = self._source.choice(self.proxies)
        connections = proxy.connections
        proxy.stall()
        async with asyncio.timeout(WAIT_S):
            while proxy.connections == connections:
                await self.pause(0.1)
        proxy.resume()

    async def kill_sidecar(self) -> None:
        await self._restart("sidecar")

    async def kill_bot(self) -> None:
        await self._restart(self._source.choice(BOTS))

    async def sleep_through_a_restart(self) -> None:
        """The sidecar stands still, as where the machine sleeps or has other things to do."""
        self._world.send("sidecar", SIGSTOP)
        await self.pause(0.2)
        await self.kill_bot()
        self._world.send("sidecar", SIGCONT)

    async def _restart(self, name: str) -> None:
        await self._world.end(name)
        await self.pause(0.2)
        await self._world.start(name, str(self._source.random()))
        await self.pause(0.5)

    async def rage(self, **times: int) -> None:
        """Do each of these so often, in any order."""
        deeds = [name for name, number in times.items() for _ in range(number)]
        self._source.shuffle(deeds)
        for deed in deeds:
            await getattr(self, deed)()
        self.is_calm = True


@pytest.fixture
def seed() -> str:
    chosen = os.environ.get("KILL_SEED") or str(random.randrange(10**6))
    print(f"KILL_SEED={chosen}")  # noqa: T201  shown where the test fails
    return chosen


async def test_a_network_that_cuts_and_stalls_costs_no_whole_state(tmp_path: Path, seed: str) -> None:
    async with a_world(tmp_path, seed) as world:
        weather = Weather(seed, world)
        async with followed(world, weather) as accounts:
            await weather.rage(cut=24, stall=6, stall_until_given_up=1)
            await assert_all_is_told(world, accounts)
        assert sum(proxy.connections for proxy in weather.proxies) > 24
        for account in accounts:
            assert account.gaps == []
            assert account.deltas > 50


async def test_whatever_is_killed_both_clients_have_the_truth_in_the_end(tmp_path: Path, seed: str) -> None:
    async with a_world(tmp_path, seed) as world:
        weather = Weather(seed, world)
        async with followed(world, weather) as accounts:
            await weather.rage(kill_sidecar=2, kill_bot=2, sleep_through_a_restart=2, cut=8, stall=3)
            await assert_all_is_told(world, accounts)
        for account in accounts:
            # One for each bot where the server was another one, at most: what nobody knows the number of.
            assert 0 < len(account.gaps) <= len(BOTS) * (world.epochs - 1)
            assert {gap["last"] for gap in account.gaps} == {None}


@asynccontextmanager
async def followed(world: World, weather: Weather) -> AsyncIterator[list[Account]]:
    """Both clients, each through a proxy of its own; each has a place among the events that it can lose."""
    async with (
        cutting_proxy(world.address, weather.plan) as one,
        cutting_proxy(world.address, weather.plan) as other,
        python_client(one.address) as python,
        js_client(other.address) as javascript,
    ):
        for account in (python, javascript):
            await account.until(lambda: bool(account.events))  # noqa: B023  awaited here
        weather.proxies = [one, other]
        yield [python, javascript]


async def assert_all_is_told(world: World, accounts: list[Account]) -> None:
    """End the bots; then each client has the last state, as a fresh one gets it and as the file says."""
    for bot in BOTS:
        await world.end(bot, SIGTERM)
    documents = {bot: json.loads((world.path(bot) / "state.latest.json").read_text()) for bot in BOTS}
    async with logged_in(world.address) as fresh:
        latest: dict[str, Any] = {}
        while set(latest) < set(BOTS) or any(
            (state["data"]["status"], shown(state["data"])) != ("stopped", published_figures(documents[bot]))
            for bot, state in latest.items()
        ):
            message = await receive(fresh)
            latest[message["bot"]] = message
    for account in accounts:
        for bot, state in latest.items():
            place = state["epoch"], state["seq"]
            await account.until(lambda: account.states[bot][:2] == place)  # noqa: B023  awaited here
            assert account.states[bot][2] == state["data"]
            await account.until(lambda: last_event(account, bot) == "bot.stopped")  # noqa: B023  likewise
            assert_events(account.events[bot], world.path(bot) / "events" / "current.ndjson")
        again = {place: number for place, number in account.wholes.items() if number > 1}
        assert again == {}, "a state was sent whole again"


def last_event(account: Account, bot: str) -> str | None:
    runs = list(account.events.get(bot, {}).values())
    return runs[-1][-1][1]["kind"] if runs else None


def assert_events(runs: dict[str, list[tuple[int, Any]]], path: Path) -> None:
    """Within each run of the server all that the file got since it began, and nothing twice, ever."""
    written = [
        (NEWS[event["kind"]], event["payload"].get("id"))
        for event in map(json.loads, path.read_text().splitlines())
        if event["kind"] in NEWS
    ]
    end = 0
    for number, events in enumerate(runs.values()):
        seqs = [seq for seq, _ in events]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        assert number == 0 or seqs[0] == 1
        told = [(data["kind"], data["details"].get(IDS.get(data["kind"], ""))) for _, data in events]
        start = next((at for at in range(end, len(written)) if written[at : at + len(told)] == told), None)
        assert start is not None, f"told was {told}, written {written[end:]}"
        end = start + len(told)
    assert end == len(written)

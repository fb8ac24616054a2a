"""Plugins, good and broken in each way, that the tests announce by entry points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from passivbot_hooks import Statistics, hookimpl
from passivbot_hooks.testing import RecordingPlugin

recording = RecordingPlugin()


class AsyncHook:
    @hookimpl
    async def on_stats_updated(self, bot: str) -> None: ...


class Wrapper:
    @hookimpl(wrapper=True)
    def on_shutdown(self) -> Iterator[None]:
        yield


class Generator:
    @hookimpl
    def on_shutdown(self) -> Iterator[None]:
        yield


class Misspelled:
    @hookimpl
    def on_stat_updated(self, bot: str) -> None: ...


class WrongArgument:
    @hookimpl
    def on_stats_updated(self, bott: str) -> None: ...


class NoHook:
    def on_stats_updated(self, bot: str, stats: Statistics) -> None: ...


class RaisesWhenLookedAt:
    def __dir__(self) -> NoReturn:
        raise RuntimeError("do not look")


class Fails:
    """Fails in the way it is told, at each hook."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure
        self.calls = 0

    @hookimpl
    def on_stats_updated(self) -> None:
        self.calls += 1
        raise self.failure


failing = Fails(ValueError("no"))
async_hook = AsyncHook()
wrapper = Wrapper()
generator = Generator()
misspelled = Misspelled()
wrong_argument = WrongArgument()
no_hook = NoHook()
raises_when_looked_at = RaisesWhenLookedAt()
number = 5


def function() -> None: ...

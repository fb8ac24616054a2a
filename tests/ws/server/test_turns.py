"""What many clients ask at once is no long turn of the loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from servers import logged_in, receive, serving

from passivbot_ws_plugin.streaming.session import Answer, Session

CLIENTS = 20
EACH = 3


async def test_one_message_is_answered_in_each_turn_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, turn, heard = asyncio.get_running_loop(), 0, Counter[int]()
    heard_by_session = Session.receive

    def count() -> None:
        nonlocal turn
        turn += 1
        if heard.total() < CLIENTS * EACH:
            loop.call_soon(count)

    def receive_counted(session: Session, frame: str | bytes) -> Answer:
        heard[turn] += 1
        return heard_by_session(session, frame)

    async with serving() as (_, address), AsyncExitStack() as exits:
        clients = [await exits.enter_async_context(logged_in(address)) for _ in range(CLIENTS)]
        for client in clients:
            assert (await receive(client))["code"] == "unavailable"  # there is no bot
        monkeypatch.setattr(Session, "receive", receive_counted)
        count()
        for client in clients:  # which does not wait: all is there when the server looks
            for number in range(EACH):
                await client.send(f'{{"type":"ping","id":{number}}}')
        for client in clients:
            assert [(await receive(client))["id"] for _ in range(EACH)] == list(range(EACH))
    assert heard.total() == CLIENTS * EACH
    assert set(heard.values()) == {1}

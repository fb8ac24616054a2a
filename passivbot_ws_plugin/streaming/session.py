"""What one client that logged in may do next. No I/O: frames in, answers out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from passivbot_ws_plugin.access.auth import Principal
from passivbot_ws_plugin.errors import ErrorCode, ProtocolError
from passivbot_ws_plugin.history.cache import BotHistory, Cache
from passivbot_ws_plugin.history.config import View
from passivbot_ws_plugin.messages import (
    BotData,
    Bots,
    Channel,
    ConfigMessage,
    Error,
    GetConfig,
    ListBots,
    Ping,
    Pong,
    Request,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    decode,
    decode_subscription,
    echo,
    encode,
    glance_at_id,
)
from passivbot_ws_plugin.rate import TokenBucket, cost

from .feeds import ConfigFeed, EventFeed, Feed, StatisticsFeed

#: So many past events that a subscription looks for, if it is not the first to events, are one message more.
BACKLOG_UNIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of a request.

    Attributes:
        payload: What to send; None: nothing.
        channel: The channel whose subscription changes, if any does.
        feed: The subscription to it from then on; None: none.
        is_last: Whether the connection is to be closed after it with 4400.
    """

    payload: bytes | None
    channel: Channel | None = None
    feed: Feed | None = None
    is_last: bool = False


class Session:
    """The conversation with one client that logged in.

    Args:
        principal: Who it is.
        cache: What is known of the bots.
        include_secrets: Whether a config is sent to this client as it is; asked each time, because
            the owner may change it meanwhile.
        bad_messages_max: At which bad message the conversation ends.
        rate: How fast it may speak.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        principal: Principal,
        cache: Cache,
        *,
        include_secrets: Callable[[], bool],
        bad_messages_max: int,
        rate: TokenBucket,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._principal = principal
        self._cache = cache
        self._include_secrets = include_secrets
        self._bad_messages_max = bad_messages_max
        self._bad_messages = 0
        self._had_events = False  # whether there was a subscription to events yet
        self._rate = rate
        self._wall_clock = wall_clock

    def begin(self, subscriptions: Sequence[object] | None) -> Iterator[Answer]:
        """What comes right after the login.

        Args:
            subscriptions: Those that the login asked for; None: what every client is published.
        """
        if subscriptions is None:
            yield self._publish()
            return
        channels = set()
        for document in subscriptions:
            try:
                request = decode_subscription(document)
                if request.channel in channels:  # each is work, and only the last would count
                    raise ProtocolError(
                        "invalid_message", f"{request.channel} stands here twice", id=request.id
                    )
                channels.add(request.channel)
                yield self._subscribe(request)
            except ProtocolError as exc:
                yield self._refuse_bad(exc)

    def receive(self, frame: str | bytes) -> Answer:
        """Answer a frame."""
        try:
            # Before it is parsed, which is the work that is limited, and grows with the length.
            if not self._rate.take(cost(frame)):
                # The few of these that it may send are read for their id, if they are short.
                raise _too_many_messages(glance_at_id(frame))
            return self._answer(decode(frame))
        except ProtocolError as exc:
            return self._refuse_bad(exc)

    def _refuse_bad(self, exc: ProtocolError) -> Answer:
        self._bad_messages += 1
        payload = encode(Error(exc.message, exc.code, echo(exc.id)))
        return Answer(payload, is_last=self._bad_messages >= self._bad_messages_max)

    def _answer(self, request: Request) -> Answer:
        match request:
            case Ping():
                return Answer(encode(Pong(echo(request.id))))
            case Subscribe():
                return self._subscribe(request)
            case Unsubscribe():
                return Answer(encode(Unsubscribed(request.channel, echo(request.id))), request.channel)
            case GetConfig():
                return Answer(self._config(request))
            case ListBots():
                return Answer(encode(Bots(self._bots(), self._cache.epoch, echo(request.id))))
            case _:
                raise ProtocolError("invalid_message", "already authenticated", id=request.id)

    def _publish(self) -> Answer:
        """What every client gets that asks for nothing: all statistics, whole."""
        if not self._principal.may("statistics"):
            return Answer(encode(Error("this key may not see the statistics", "forbidden")))
        feed = StatisticsFeed(self._cache, Subscribe("statistics"))
        return Answer(None if self._cache.has_statistics else _NO_STATISTICS, "statistics", feed)

    def _subscribe(self, request: Subscribe) -> Answer:
        channel = request.channel
        # That a config changed, and where, is no secret among those who may log in.
        if channel != "config" and not self._principal.may(channel):
            return Answer(_refuse("forbidden", f"this key may not see the {channel}", request.id))
        feed: Feed
        answer = Subscribed(channel, self._cache.epoch, request.bots, id=echo(request.id))
        match channel:
            case "statistics":
                feed = StatisticsFeed(self._cache, request)
                answer = replace(answer, mode=request.mode or "full", max_rate=request.max_rate)
            case "events":
                feed = EventFeed(self._cache, request)
                # The first is owed to who comes back, however many bots there are. With the message itself no
                # more than there can be, or it could never be had.
                price = min(feed.backlog // BACKLOG_UNIT, self._rate.burst - 1) if self._had_events else 0
                if not self._rate.take(price):
                    raise _too_many_messages(request.id)
                self._had_events = True
                answer = replace(answer, kinds=request.kinds, symbols=request.symbols, since=feed.begins)
            case "config":
                feed = ConfigFeed(self._cache, request, self._view)
        return Answer(encode(answer), channel, feed)

    def _view(self) -> View:
        if not self._principal.may("config"):
            return "paths"
        return "plain" if self._include_secrets() else "masked"

    def _config(self, request: GetConfig) -> bytes:
        if not self._principal.may("config"):
            return _refuse("forbidden", "this key may not see the config", request.id)
        name = self._cache.first_config() if request.bot is None else request.bot
        if name is None:
            return _refuse("unavailable", "no config is known yet", request.id)
        bot = self._cache.bots.get(name)
        found = None if bot is None else bot.config.encoded(self._view())
        if found is None:
            which = "no such bot is known" if bot is None else "no config was given of that bot"
            return _refuse("unavailable", which, request.id)
        return encode(ConfigMessage(found[0], name, found[1], echo(request.id)))

    def _bots(self) -> list[BotData]:
        now_ms = int(self._wall_clock() * 1000)
        return [_bot_data(name, history, now_ms) for name, history in self._cache.bots.items()]


_NO_STATISTICS: Final = encode(
    Error("no statistics yet; they are sent as soon as the bot writes some", "unavailable")
)


def _too_many_messages(request_id: bytes | None) -> ProtocolError:
    return ProtocolError("rate_limited", "too many messages; send fewer", id=request_id)


def _refuse(code: ErrorCode, message: str, request_id: bytes | None) -> bytes:
    return encode(Error(message, code, echo(request_id)))


def _bot_data(name: str, history: BotHistory, now_ms: int) -> BotData:
    data, timestamp = history.statistics.data, history.statistics.timestamp
    return BotData(
        bot=name,
        status=None if data is None else data.status,
        timestamp=timestamp,
        # Never negative, though the bot's clock may be ahead of ours.
        age_ms=None if timestamp is None else max(0, now_ms - timestamp),
        exchange=None if data is None else data.exchange,
        has_config=history.config.version > 0,
        seq=history.statistics.seq,
        event_seq=history.events.seq,
    )

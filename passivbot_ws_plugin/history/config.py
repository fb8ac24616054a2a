"""One bot's config, and what changed in it lately."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw

from passivbot_ws_plugin.merge_patch import is_same
from passivbot_ws_plugin.messages import ConfigChanged, encode, encode_value
from passivbot_ws_plugin.prepared import Prepared
from passivbot_ws_plugin.redaction import mask_secrets

#: How many changes are kept.
CHANGES_MAX: Final = 32

#: How much of a config a client may see: all, all but the secrets, or that it changed and where.
View = Literal["plain", "masked", "paths"]


class _Shown:
    """A config as some may see it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    @cached_property
    def encoded(self) -> Raw:
        return encode_value(self.config)

    @cached_property
    def hash(self) -> str:
        # Canonical, for a client to compute it too: sorted keys, no blanks.
        return hashlib.sha256(msgspec.json.encode(self.config, order="sorted")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Change:
    version: int
    paths: frozenset[str]


class ConfigHistory:
    """The config of one bot.

    Attributes:
        version: Counts its changes, from 1; 0: there is none.
    """

    def __init__(self, bot: str) -> None:
        self.version = 0
        self._bot = bot
        self._plain = self._masked = _Shown({})
        self._changes: deque[_Change] = deque(maxlen=CHANGES_MAX)
        self._updates: dict[tuple[int, View], Prepared] = {}

    def put(self, config: Mapping[str, Any]) -> bool:
        """Keep a config, made of values that JSON can say; whether it is a change."""
        if self.version:
            paths = frozenset(changed_paths(self._plain.config, config))
            if not paths:
                return False
            self._changes.append(_Change(self.version + 1, paths))
        self.version += 1
        self._plain, self._masked = _Shown(config), _Shown(mask_secrets(config))
        self._updates = {}
        return True

    def encoded(self, view: View) -> tuple[Raw, str] | None:
        """The config as JSON and its hash, as a client may see it; None if there is none."""
        if not self.version or view == "paths":
            return None
        shown = self._shown(view)
        return shown.encoded, shown.hash

    def update(self, place: int, view: View) -> Prepared | None:
        """The ``config_changed`` that brings a client from a version to now; None if it is there.

        Args:
            place: The version that it was told of last; 0: none.
            view: What it may see.
        """
        if place == self.version:
            return None
        if (place, view) not in self._updates:
            self._updates[place, view] = Prepared(encode(self._change(place, view)), is_secret=True)
        return self._updates[place, view]

    def _change(self, place: int, view: View) -> ConfigChanged:
        shown = self._shown(view)
        changes = [change for change in self._changes if change.version > place]
        is_known = place > 0 and len(changes) == self.version - place
        if not is_known:
            return ConfigChanged(self._bot, shown.hash, None)
        paths = sorted(frozenset().union(*(change.paths for change in changes)))
        values = UNSET if view == "paths" else dict(_values(shown.config, paths))
        return ConfigChanged(self._bot, shown.hash, paths, values)

    def _shown(self, view: View) -> _Shown:
        return self._plain if view == "plain" else self._masked


def changed_paths(old: object, new: object, at: str = "") -> Iterator[str]:
    """The JSON pointers (RFC 6901) of what differs between two documents: the deepest members.

    A list that differs is one path, whatever differs in it.
    """
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        if not is_same(old, new):
            yield at
        return
    for key in old.keys() | new.keys():
        path = f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if key in old and key in new:
            yield from changed_paths(old[key], new[key], path)
        else:
            yield path


def _values(config: Mapping[str, Any], paths: list[str]) -> Iterator[tuple[str, Any]]:
    for path in paths:
        value: Any = config
        for part in path.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, Mapping) or key not in value:
                break  # it is gone
            value = value[key]
        else:
            yield path, value

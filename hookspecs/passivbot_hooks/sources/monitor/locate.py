"""Which directory under a monitor root is a bot's: ``<root>/<exchange>/<user>``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from passivbot_hooks.config import is_name
from passivbot_hooks.errors import BotNotFoundError

#: Entries of one directory that are looked at; a root with more is something else.
_ENTRIES_MAX: Final = 4_096

#: Bots that a message names.
_NAMED_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class BotDirectory:
    """Where to look for one bot.

    Attributes:
        root: The monitor root.
        user: The account's name, the config's ``live.user``.
        exchange: The exchange's name, or None: whichever exchange has that user.
    """

    root: Path
    user: str
    exchange: str | None = None

    def find(self) -> Path | None:
        """The bot's directory, or None while there is none.

        Raises:
            BotNotFoundError: Several exchanges have that user.
        """
        if self.exchange is not None:
            path = self.root / self.exchange / self.user
            return path if _is_dir(path) else None
        found = find_bots(self.root, self.user)
        if len(found) > 1:
            choices = " or ".join(f"--bot {path.parent.name}/{path.name}" for path in found)
            raise BotNotFoundError(
                f"{self.root} holds user {self.user!r} on {len(found)} exchanges; say which: {choices}"
            )
        return found[0] if found else None

    def may_be(self, path: Path) -> bool:
        """Whether this is, or may become, the directory of this bot."""
        return (
            path.name == self.user
            and self.exchange in (None, path.parent.name)
            and real_path(path.parents[1]) == real_path(self.root)
        )


def real_path(path: Path) -> Path:
    """The one path of what may be written in several ways; unlike `Path.resolve` it never raises."""
    return Path(os.path.realpath(path))


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # nobody may look there
        return False


def find_bots(root: Path, user: str) -> Sequence[Path]:
    """The directories of a user under a root, one for each exchange, by name; none if unreadable."""
    try:
        return sorted(exchange / user for exchange in root.iterdir() if (exchange / user).is_dir())
    except OSError:  # no root yet: the bot has never run
        return []


def missing(directory: BotDirectory) -> str:
    """What a root lacks while a bot's directory is not there, and which others are, for its owner."""
    root = directory.root.absolute()
    if not _is_dir(root):
        return f"no directory {root}"
    wanted = (
        f"user {directory.user!r}" if directory.exchange is None else f"{directory.exchange}/{directory.user}"
    )
    found = find_bots(root, directory.user) or list(islice(all_bots(root), _NAMED_MAX + 1))
    names = [f"{path.parent.name}/{path.name}" for path in found[:_NAMED_MAX]]
    there = f" (there is {', '.join(names)}{', ...' if len(found) > _NAMED_MAX else ''})" if names else ""
    return f"no {wanted} in {root}{there}"


def all_bots(root: Path) -> Iterator[Path]:
    """The directories under a root in which a Passivbot wrote, in order; none if unreadable."""
    for exchange in _directories(root):
        for path in _directories(exchange):
            if _is_file(path / "manifest.json") or _is_file(path / "state.latest.json"):
                yield path


def _directories(parent: Path) -> Sequence[Path]:
    try:
        return sorted(
            path for path in islice(parent.iterdir(), _ENTRIES_MAX) if is_name(path.name) and path.is_dir()
        )
    except OSError:
        return []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # nobody may look there
        return False

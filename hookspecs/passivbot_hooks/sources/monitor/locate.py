"""Which directory under a monitor root is a bot's: ``<root>/<exchange>/<user>``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from passivbot_hooks.errors import BotNotFoundError


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

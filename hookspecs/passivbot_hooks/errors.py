"""What can go wrong, as a tree.

::

    HooksError                  everything this package raises on purpose
    ├── ConfigError             a config file that cannot be read or used
    ├── PluginError             a plugin that cannot be loaded or registered
    ├── BotNotFoundError        no single monitor directory fits a bot
    ├── OccupiedError           a directory that a paper bot may not write
    └── UnusableFileError       a watched file whose content cannot be trusted

Every message says what is wrong, where, and what would be right.
"""

from __future__ import annotations

from pathlib import Path


class HooksError(Exception):
    """Base of the errors that this package raises on purpose."""


class ConfigError(HooksError):
    """A bot's config file cannot be read, parsed or used.

    Attributes:
        path: The file.
        reason: What is wrong and what would be right.
        line: The line of a syntax error, from 1, where the parser knows it.
    """

    def __init__(self, path: Path | str, reason: str, *, line: int | None = None) -> None:
        self.path = Path(path)
        self.reason = reason
        self.line = line
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {reason}")


class PluginError(HooksError):
    """A plugin cannot be loaded or registered.

    Attributes:
        name: The plugin's entry-point name, the one used in the toggles.
        reason: What is wrong and what would be right.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"plugin {name!r}: {reason}")


class BotNotFoundError(HooksError):
    """Several monitor directories fit a bot, or none ever can."""


class OccupiedError(HooksError):
    """Another bot writes, or wrote, where a paper bot was told to."""


class UnusableFileError(HooksError):
    """A watched file's content cannot be trusted.

    Attributes:
        reason: What is wrong, with the path of the key inside the file.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

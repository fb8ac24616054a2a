"""The paths that settings name: where they are, and what is said of one that cannot be read."""

from __future__ import annotations

from pathlib import Path

from passivbot_ws_plugin.errors import SettingsError


def expanded(path: str, setting: str) -> str:
    """The path with the home folder in place of ``~``.

    Args:
        path: As it is written in the config.
        setting: Where it is written.

    Raises:
        SettingsError: It begins with the home folder of nobody.
    """
    try:
        return str(Path(path).expanduser())
    except RuntimeError as exc:  # ~nobody
        raise SettingsError(setting, f"{path!r} is no path") from exc


def unreadable(path: str, exc: OSError) -> str:
    """What is said of a file that the settings name and that cannot be read."""
    where = (
        "" if Path(path).is_absolute() else " (a relative path begins in the folder where the command runs)"
    )
    return f"the file {path}{where} cannot be read: {exc.strerror}"

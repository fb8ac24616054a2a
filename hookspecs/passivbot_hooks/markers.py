"""The pluggy markers. A plugin needs ``hookimpl`` and nothing else."""

from __future__ import annotations

from typing import Final

import pluggy

#: pluggy's project name; ``hookimpl`` works only with a host of the same one.
PROJECT_NAME: Final = "passivbot"

#: The entry-point group under which distributions announce their plugins.
ENTRY_POINT_GROUP: Final = "passivbot.plugins"

hookspec: Final = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl: Final = pluggy.HookimplMarker(PROJECT_NAME)

"""Has a server in any Python that a test starts watched; see `watched`.

Python imports a module of this name by itself, before the program. What it costs is paid only where
there is a server.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: It is imported wherever there is a server, and after the messages.
_SERVER = "passivbot_ws_plugin.server.server"


class _AtTheServersImport:
    """Finds no module, but hears which one is looked for."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == _SERVER:
            sys.meta_path.remove(self)
            sys.path.append(str(Path(__file__).parents[1]))
            import watched

            watched.watch(watched.write_down)


if "PASSIVBOT_CONTRACT_FAULTS" in os.environ:
    sys.meta_path.insert(0, _AtTheServersImport())

"""``python -m passivbot_ws_plugin``."""

import sys

from .cli import main

sys.exit(main())

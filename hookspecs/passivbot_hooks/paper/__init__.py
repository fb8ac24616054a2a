"""A paper bot: trades a random walk, writes the monitor files that a Passivbot writes.

For demos and tests. It is honest about being one: its exchange is ``fake`` unless told
otherwise, and its version begins with ``paper``.
"""

from __future__ import annotations

from .bot import PaperBot
from .claim import claimed
from .market import PaperMarket
from .publisher import MonitorPublisher

__all__ = ["MonitorPublisher", "PaperBot", "PaperMarket", "claimed"]

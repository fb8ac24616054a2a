"""The monitor source: reads the files that every Passivbot since v7.9 writes.

Another process than the bot's, which opens nothing but files for reading: nothing that
happens here can reach the trading loop.
"""

from __future__ import annotations

from .follower import MonitorFollower
from .state import MonitorState, parse_state

__all__ = ["MonitorFollower", "MonitorState", "parse_state"]

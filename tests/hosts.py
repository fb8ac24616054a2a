"""Plugins for a host, as its discovery would find them, and what became of them."""

from __future__ import annotations

from importlib.metadata import EntryPoint

from passivbot_hooks import PluginHost
from passivbot_hooks.discovery import Candidate


def candidate(name: str, value: str, rival: str | None = None) -> Candidate:
    return Candidate(name, f"dist-{name}", "1", EntryPoint(name, value, "passivbot.plugins"), rival)


def states(host: PluginHost) -> dict[str, str]:
    return {record.name: record.state for record in host.records}

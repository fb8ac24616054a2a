"""Which plugins a config switches on or off, read before any of them is imported.

.. code-block:: none

    plugins: {
      websocket: true            // on; so is a plugin that is not named at all
      file_logger: false         // off: never imported
      other: { enabled: false, ... }   // off, with its options kept for another day
    }
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Toggle:
    """Whether a plugin is on, and why.

    Attributes:
        enabled: Whether it is on.
        reason: Why, in words for its owner.
    """

    enabled: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Toggles:
    """The ``plugins`` section of one config.

    Attributes:
        named: The toggles of the plugins that the section names.
        default: The toggle of every other plugin.
        errors: What is wrong in the section, each with the path of its key. A wrong
            toggle leaves its plugin off: an owner who tried to switch something must not
            get the opposite.
    """

    named: Mapping[str, Toggle] = field(default_factory=dict)
    default: Toggle = Toggle(True, "not named in the config")
    errors: tuple[str, ...] = ()

    def get(self, name: str) -> Toggle:
        """The toggle of a plugin, by its entry-point name."""
        return self.named.get(name, self.default)

    def unknown(self, known: Collection[str]) -> list[str]:
        """A sentence for each plugin that is named here but was not discovered."""
        return [
            f"plugins.{name}: no plugin of that name is installed" + did_you_mean(name, known)
            for name in self.named
            if name not in known
        ]


def parse_toggles(config: Mapping[str, Any]) -> Toggles:
    """Read the ``plugins`` section of a config; never raises."""
    section = config.get("plugins", {})
    live = config.get("live")
    errors: list[str] = []
    if isinstance(live, Mapping) and "plugins" in live:
        errors.append("live.plugins: is not read; plugins stands beside live, not in it")
    if "plugins" not in config:
        near = difflib.get_close_matches("plugins", [str(key) for key in config], n=1, cutoff=0.8)
        if near:
            return Toggles(
                default=Toggle(False, f"the config says {near[0]}, not plugins"),
                errors=(f"{near[0]}: is not read; did you mean plugins?",),
            )
        if errors:
            return Toggles(
                default=Toggle(False, "plugins stands in live, not beside it"), errors=tuple(errors)
            )
    if not isinstance(section, Mapping):
        fault = f"must be an object of plugin names, not {type_name(section)}"
        return Toggles(default=Toggle(False, f"plugins {fault}"), errors=(f"plugins: {fault}",))
    named: dict[str, Toggle] = {}
    for key, value in section.items():
        name = str(key)
        path, enabled, right = f"plugins.{name}", value, "true, false or an object of options"
        if isinstance(value, Mapping):
            if "enabled" not in value:
                named[name] = Toggle(True, f"{path} is an object of options")
                continue
            path, enabled, right = f"{path}.enabled", value["enabled"], "true or false"
        if isinstance(enabled, bool):
            named[name] = Toggle(enabled, f"{path} is {str(enabled).lower()}")
        else:
            fault = f"must be {right}, not {type_name(enabled)}"
            errors.append(f"{path}: {fault}")
            named[name] = Toggle(False, f"{path} {fault}")
    return Toggles(named=named, errors=tuple(errors))


def plugin_options(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A plugin's own options: its object in the ``plugins`` section, without ``enabled``.

    Empty where the plugin is switched by a plain true or false, or not named at all.
    """
    section = config.get("plugins")
    options = section.get(name) if isinstance(section, Mapping) else None
    if not isinstance(options, Mapping):
        return {}
    return {key: value for key, value in options.items() if key != "enabled"}


def did_you_mean(name: str, known: Collection[str]) -> str:
    """``"; did you mean X?"`` for the nearest known name, or what is known, or nothing."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there is {', '.join(sorted(known))}" if known else ""


def type_name(value: object) -> str:
    """The type of a parsed value, in HJSON's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case Mapping():
            return "an object"
        case _:
            return "a list"

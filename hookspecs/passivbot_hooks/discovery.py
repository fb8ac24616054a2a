"""Finding plugins by entry point, and refusing the broken ones with a reason.

A plugin's distribution announces an object (an instance, or a module of functions)::

    [project.entry-points."passivbot.plugins"]
    file_logger = "my_package:plugin"

`discover` only reads the metadata of what is installed; nothing of a plugin is imported
until `load` is called for it.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import pluggy
from pluggy import HookImpl

from . import specs
from .errors import PluginError
from .markers import ENTRY_POINT_GROUP, PROJECT_NAME
from .toggles import did_you_mean

#: What a plugin can throw at us: any exception, `sys.exit()` in a hook or at import, and a
#: cancelled task's result, which asyncio keeps apart from the other exceptions too.
PLUGIN_FAILURES: Final = (Exception, SystemExit, asyncio.CancelledError)

_HOOKS: Final = {name: function for name, function in vars(specs).items() if name.startswith("on_")}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An announced plugin, not imported yet.

    Attributes:
        name: The entry point's name, which the toggles use.
        distribution: The distribution that announces it, or ``"?"``.
        version: That distribution's version.
        entry_point: Where its object is.
        rival: The distribution that announced the same name first, if any.
    """

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint
    rival: str | None = None


def discover(group: str = ENTRY_POINT_GROUP) -> list[Candidate]:
    """All announced plugins, by name; the rivals of a name in the order of ``sys.path``."""
    found: list[Candidate] = []
    first: dict[str, str] = {}
    for entry_point in entry_points(group=group):
        dist = entry_point.dist
        distribution, version = (dist.name, dist.version) if dist else ("?", "?")
        rival = first.get(entry_point.name)
        first.setdefault(entry_point.name, distribution)
        found.append(Candidate(entry_point.name, distribution, version, entry_point, rival))
    return sorted(found, key=lambda candidate: candidate.name)


def load(candidate: Candidate) -> object:
    """Import a plugin's object.

    Raises:
        PluginError: Its name is taken, or the import failed, in whatever way.
    """
    if candidate.rival is not None:
        raise PluginError(
            candidate.name,
            f"{candidate.distribution} announces a name that {candidate.rival} already has; "
            "uninstall one of the two or rename its entry point",
        )
    try:
        return candidate.entry_point.load()
    except PLUGIN_FAILURES as exc:
        raise PluginError(
            candidate.name, f"importing {candidate.entry_point.value} failed: {describe(exc)}"
        ) from exc


def hook_implementations(name: str, plugin: object) -> dict[str, HookImpl]:
    """The hooks that a plugin implements, by hook name, each checked against its spec.

    Raises:
        PluginError: The object is no plugin, or one of its hooks can never work as written.
    """
    if inspect.isclass(plugin):
        raise PluginError(name, f"{plugin.__name__} is a class; announce an instance of it")
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(specs)
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as exc:
        raise PluginError(name, f"{' '.join(str(exc).split())}; hooks take {_signatures()}") from exc
    # An object whose attributes raise when looked at raises here, with anything.
    except PLUGIN_FAILURES as exc:
        raise PluginError(name, f"is not a plugin: {describe(exc)}") from exc
    implementations: dict[str, HookImpl] = {}
    for caller in manager.get_hookcallers(plugin) or []:
        if not caller.has_spec():
            raise PluginError(name, f"{caller.name} is not a hook{did_you_mean(caller.name, _HOOKS)}")
        for implementation in caller.get_hookimpls():
            _refuse_unusable(name, caller.name, implementation)
            implementations[caller.name] = implementation
    if not implementations:
        kind = type(plugin).__name__
        raise PluginError(
            name,
            f"an object of type {kind} without any hook; announce an instance or a module "
            "with functions marked by passivbot_hooks.hookimpl",
        )
    return implementations


def _refuse_unusable(name: str, hook: str, implementation: HookImpl) -> None:
    function = implementation.function
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(
            name,
            f"{hook} is async; hooks are plain functions: write `def {hook}(...)` "
            "and hand the work to a loop of your own",
        )
    if implementation.hookwrapper or implementation.wrapper:
        raise PluginError(
            name, f"{hook} is a hook wrapper; each plugin is called on its own, so wrap nothing"
        )
    if inspect.isgeneratorfunction(function):
        raise PluginError(name, f"{hook} is a generator, so its body would never run; take out `yield`")


def _signatures() -> str:
    return ", ".join(f"{hook}({', '.join(inspect.signature(f).parameters)})" for hook, f in _HOOKS.items())


def describe(exc: BaseException) -> str:
    """An exception in one line: its type and its message."""
    try:
        text = " ".join(str(exc).split())
    except Exception:  # noqa: BLE001  a plugin's own exception may fail even at this
        text = ""
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__

"""``sam2 plugins``: which plugins there are, what they add, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from sam2_core.cli.console import output
from sam2_core.hooks import SPECIFICATION_VERSION, Plugins, get_plugins
from sam2_core.hooks.specification import HOOK_OF_KIND, NOTIFICATIONS


class Action(StrEnum):
    """What to do with plugins."""

    LIST = "list"


def plugins(
    action: Annotated[Action, typer.Argument(help="list: show all of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, tracebacks included.")] = False,
) -> None:
    """List plugins, what each adds, those that were left out, and those that failed.

    A plugin that fails is switched off and the rest goes on; its traceback is shown here. Exits with 1 if one failed.
    """
    report = describe(get_plugins())
    if as_json:
        output.print(json.dumps(report, indent=2), markup=False)
    else:
        _print(report)
    if report["failures"]:
        raise typer.Exit(1)


def describe(known: Plugins) -> dict[str, Any]:
    """Put everything known of plugins into plain dicts and lists, as ``--json`` prints them."""
    # asking what each adds is what may make one fail, so it comes first
    adds: dict[str, dict[str, list[str]]] = {}
    for kind, hook in HOOK_OF_KIND.items():
        for name, registered in known.contributions(kind).items():
            adds.setdefault(registered.plugin.name, {}).setdefault(hook, []).append(name)
    return {
        "specification": SPECIFICATION_VERSION,
        "plugins": [
            {
                "name": one.name,
                "distribution": one.distribution,
                "version": one.version,
                "adds": adds.get(one.name, {}),
                "listens": [hook for hook in NOTIFICATIONS if one in known.listeners(hook)],
            }
            for one in known.loaded
        ],
        "left_out": [
            {"name": found.name, "distribution": found.distribution, "version": found.version, "reason": reason}
            for found, reason in known.refused
        ],
        "failures": [dataclasses.asdict(failure) for failure in known.failures],
    }


def _print(report: dict[str, Any]) -> None:
    table = Table("plugin", "from", "adds", box=None, pad_edge=False)
    for one in report["plugins"]:
        parts = [f"{_words(hook)}: {', '.join(names)}" for hook, names in one["adds"].items()]
        heard = [f"listens: {', '.join(_words(hook) for hook in one['listens'])}"] if one["listens"] else []
        added = "; ".join([*parts, *heard])
        table.add_row(one["name"], f"{one['distribution']} {one['version']}".strip() or "this process", added or "-")
    output.print(table)
    for one in report["left_out"]:
        output.print(f"left out: {one['name']} ({one['distribution']} {one['version']}), {one['reason']}", markup=False)
    for one in report["failures"]:
        source = f" ({one['distribution']} {one['version']})" if one["distribution"] else ""
        output.print(
            f"\nfailed: {one['plugin']}{source} in phase {one['phase']}, {one['where']}", style="red", markup=False
        )
        output.print(one["traceback"].rstrip(), markup=False)


def _words(hook: str) -> str:
    return hook.removeprefix("sam2_").replace("_", " ")

"""Finding installed plugins by their entry points."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

from sam2_core.hooks.markers import ENTRY_POINT_GROUP
from sam2_core.hooks.selection import OWN_DISTRIBUTION

_PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@dataclass(frozen=True)
class FoundPlugin:
    """A plugin that is installed, not loaded yet.

    Attributes
    ----------
    name : str
        That of its entry point.
    distribution, version : str
        What it was installed with.
    entry_point : EntryPoint
        Loads it.
    """

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint


def find_plugins(group: str = ENTRY_POINT_GROUP) -> Iterator[FoundPlugin]:
    """List installed plugins by name; of a distribution that is on the path twice, the first one counts.

    The built-in ones of a checkout are those that its pyproject.toml names: what an editable installation recorded is
    as old as the installation.
    """
    seen: set[str] = set()
    found: list[FoundPlugin] = []
    checkout = _entry_points_of_checkout(group)
    for distribution in distributions():
        # a broken installation may have no name at all, which is no reason to stop
        name = str(distribution.metadata["Name"] or "")
        if not name or name in seen:
            continue
        seen.add(name)
        is_checkout = name == OWN_DISTRIBUTION and checkout
        found += [
            FoundPlugin(entry_point.name, name, distribution.version, entry_point)
            for entry_point in (checkout if is_checkout else distribution.entry_points)
            if entry_point.group == group
        ]
    yield from sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))


def _entry_points_of_checkout(group: str) -> list[EntryPoint]:
    """Those that the pyproject.toml beside this package names; none where it was installed from a wheel."""
    if not _PYPROJECT.is_file():
        return []
    project = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8")).get("project", {})
    if project.get("name") != OWN_DISTRIBUTION:
        return []
    named = project.get("entry-points", {}).get(group, {})
    return [EntryPoint(name, value, group) for name, value in named.items()]

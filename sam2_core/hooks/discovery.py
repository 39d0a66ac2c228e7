"""Finding installed plugins by their entry points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions

from sam2_core.hooks.markers import ENTRY_POINT_GROUP


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
    """List installed plugins by name; of a distribution that is on the path twice, the first one counts."""
    seen: set[str] = set()
    found: list[FoundPlugin] = []
    for distribution in distributions():
        # a broken installation may have no name at all, which is no reason to stop
        name = str(distribution.metadata["Name"] or "")
        if not name or name in seen:
            continue
        seen.add(name)
        found += [
            FoundPlugin(entry_point.name, name, distribution.version, entry_point)
            for entry_point in distribution.entry_points
            if entry_point.group == group
        ]
    yield from sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))

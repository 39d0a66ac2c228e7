"""Tracking with several hypotheses as a plugin of sam2-lab."""

from __future__ import annotations

from sam2_core.hooks import Propagator, hookimpl
from sam2_memory_tree.propagator import memory_tree


@hookimpl
def sam2_propagators() -> list[Propagator]:
    """Add the propagator."""
    return [
        Propagator(
            "memory-tree",
            "several hypotheses, the best over many frames; slower, for objects that are easily lost",
            propagate=memory_tree,
        )
    ]

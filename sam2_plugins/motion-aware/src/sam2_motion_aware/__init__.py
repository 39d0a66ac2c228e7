"""Motion-aware tracking as a plugin of sam2-lab."""

from __future__ import annotations

from sam2_core.hooks import Propagator, hookimpl
from sam2_motion_aware.propagator import motion_aware


@hookimpl
def sam2_propagators() -> list[Propagator]:
    """Add the propagator."""
    return [
        Propagator(
            "motion-aware",
            "masks and memories chosen with a Kalman filter of the box; for objects that meet or are hidden",
            propagate=motion_aware,
        )
    ]

"""Pictures with known truth, drawn when they are asked for: nothing is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam2_core.training.generator import StackKind

SEED = 2


def picture() -> list[tuple[Any, dict[str, Any], str]]:
    """Cells on one picture (y, x)."""
    drawn, _ = _drawn(1, "z")
    return [(drawn[0], {"name": "drawn cells", "axis_labels": ("y", "x")}, "image")]


def z_stack() -> list[tuple[Any, dict[str, Any], str]]:
    """Nuclei in a stack (z, y, x)."""
    drawn, _ = _drawn(16, "z")
    return [(drawn, {"name": "drawn nuclei", "axis_labels": ("z", "y", "x"), "scale": (2.0, 1.0, 1.0)}, "image")]


def time_lapse() -> list[tuple[Any, dict[str, Any], str]]:
    """Moving cells (t, y, x)."""
    drawn, _ = _drawn(16, "time")
    return [(drawn, {"name": "drawn time-lapse", "axis_labels": ("t", "y", "x")}, "image")]


def volumes() -> list[tuple[Any, dict[str, Any], str]]:
    """Nuclei in z-stacks over time (t, z, y, x): those of one stack, which drift together."""
    import numpy as np

    drawn, _ = _drawn(8, "z")
    film = np.stack([np.roll(drawn, (2 * time, 3 * time), (1, 2)) for time in range(4)])
    described = {"name": "drawn volumes", "axis_labels": ("t", "z", "y", "x"), "scale": (1.0, 2.0, 1.0, 1.0)}
    return [(film, described, "image")]


def _drawn(frames: int, kind: StackKind) -> tuple[Any, Any]:
    import numpy as np

    from sam2_core.training.generator import draw_stack, medium_nuclei

    size = (224, 224)
    population = medium_nuclei(np.random.default_rng(SEED), size, radius=14.0)
    stack = draw_stack(SEED, frames=frames, size=size, kind=kind, population=population)
    return stack.image, stack.labels

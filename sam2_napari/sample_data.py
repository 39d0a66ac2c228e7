"""Pictures with known truth, drawn when they are asked for: nothing is downloaded."""

from __future__ import annotations

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]


def picture() -> list[LayerData]:
    """Nuclei on one picture (y, x)."""
    ((image, _, kind),) = z_stack()
    return [(image[len(image) // 2], {"name": "drawn cells", "axis_labels": ("y", "x")}, kind)]


def z_stack() -> list[LayerData]:
    """Nuclei in a stack (z, y, x)."""
    return _drawn("nuclei", "drawn nuclei")


def time_lapse() -> list[LayerData]:
    """Moving cells (t, y, x)."""
    return _drawn("time-lapse", "drawn time-lapse")


def divisions() -> list[LayerData]:
    """Cells that divide, die and come in (t, y, x)."""
    return _drawn("divisions", "drawn divisions")


def volumes() -> list[LayerData]:
    """Nuclei in z-stacks over time (t, z, y, x): those of one stack, which drift together."""
    import numpy as np

    ((image, described, kind),) = z_stack()
    film = np.stack([np.roll(image[::2], (2 * time, 3 * time), (1, 2)) for time in range(4)])
    axes = {"axis_labels": ("t", *described["axis_labels"]), "scale": (1.0, 2 * described["scale"][0], 1.0, 1.0)}
    return [(film, {"name": "drawn volumes", **axes}, kind)]


def organelles() -> list[LayerData]:
    """Mitochondria as an electron microscope shows them (z, y, x)."""
    return _drawn("organelles", "drawn organelles")


def filaments() -> list[LayerData]:
    """Thin filaments that creep (t, y, x)."""
    return _drawn("filaments", "drawn filaments")


def _drawn(sample: str, name: str) -> list[LayerData]:
    from sam2_core.training.generator import draw_sample

    scene = draw_sample(sample)
    return [(scene.drawn.image, {"name": name, "axis_labels": tuple(scene.axes), "scale": scene.scale}, "image")]

"""Scenes to try the widget on: ``annotate(sample("divisions"))``."""

from __future__ import annotations

from sam2_core.volumes import Volume, open_volume


def sample(name: str = "nuclei") -> Volume:
    """Draw a scene with cells; nothing is downloaded.

    Parameters
    ----------
    name : str
        "nuclei" or "organelles" in slices (z, y, x); "time-lapse", "divisions" or "filaments" over time (t, y, x).

    Returns
    -------
    Volume
        224 pixels wide, uint8, the same each time.

    Raises
    ------
    InvalidInputError
        There is no such scene; the error lists them.
    """
    from sam2_core.training.generator import draw_sample

    drawn = draw_sample(name)
    return open_volume(drawn.drawn.image, axes=drawn.axes, scale=drawn.scale)

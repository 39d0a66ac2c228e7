"""StackGeometry: what has to be known of a stack to understand positions that other programs wrote."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StackGeometry:
    """A stack's axes and scale.

    Attributes
    ----------
    axis : str
        What the frames are counted along: "z", "t" or "frame".
    spacing : tuple of float
        Distance between frames, rows and columns, in `unit`; 1.0 where it is not known.
    unit : str
        Such as "micrometer"; empty where the spacing is not known.
    """

    axis: str = "frame"
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    unit: str = ""

    @property
    def is_scaled(self) -> bool:
        """Whether a position in units and one in pixels differ."""
        return self.spacing[1:] != (1.0, 1.0)

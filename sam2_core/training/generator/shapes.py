"""Outlines of drawn cells, and how a set of outlines becomes a label map.

An outline is star-shaped or a bent capsule; each pixel gets a *depth* in it (1 in the middle, 0 on the edge, negative
outside). Where outlines overlap, the pixel goes to the cell in which it lies deeper, so that touching cells share a
smooth border whatever the order they are drawn in, and the border moves smoothly from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
LabelArray = NDArray[np.uint16]


@dataclass(frozen=True)
class Outline:
    """One cell's outline in one frame.

    Attributes
    ----------
    label
        The cell's number, 1 or more; the same in every frame of a stack.
    centre
        (y, x) in pixels.
    radii
        Half axes (along, across) in pixels. For a rod, half its length and half its width.
    angle
        Direction of the long axis in radians, from x towards y.
    waves
        (K, 2) amplitude (fraction of the radius) and phase (radians) of the K lowest waves on the outline, from wave 2.
    rod
        True for a capsule, False for a wavy ellipse.
    bend
        Sag of a rod's ends against its middle, as a fraction of its half length.
    glow
        Light of the cell relative to that of its neighbours: condensed chromatin is several times as bright.
    parent
        Number of the cell that it came from by division; 0 for none.
    """

    label: int
    centre: tuple[float, float]
    radii: tuple[float, float]
    angle: float
    waves: FloatArray
    rod: bool = False
    bend: float = 0.0
    glow: float = 1.0
    parent: int = 0

    def scaled(self, factor: float) -> Outline:
        """The same outline, `factor` times as large."""
        return replace(self, radii=(self.radii[0] * factor, self.radii[1] * factor))

    @property
    def reach(self) -> float:
        """Distance in pixels from the centre that no point of the outline lies beyond."""
        along, across = (max(radius, 0.3) for radius in self.radii)
        if self.rod:
            # The ends sag with the square of their distance; a capsule thicker than long is as long as thick.
            longest = max(along, across)
            return longest + abs(self.bend) * longest**2 / along + across
        return max(along, across) * (1.0 + float(np.abs(self.waves[:, 0]).sum()))


@dataclass(frozen=True)
class DrawnLabels:
    """A label map and, for each pixel, how deep it lies in its cell and in a cell that this one covers.

    Attributes
    ----------
    labels
        (y, x) uint16, 0 is background.
    depth
        (y, x) float32 in [0, 1]: 0 on a cell's edge and in the background, 1 in a cell's middle.
    covered, covered_depth
        The same of the cell in which a pixel lies second deepest: 0 where outlines do not overlap.
    """

    labels: LabelArray
    depth: FloatArray
    covered: LabelArray
    covered_depth: FloatArray


def outline_depth(outline: Outline, y: FloatArray, x: FloatArray) -> FloatArray:
    """Depth of points in one outline.

    Parameters
    ----------
    outline
        The cell.
    y, x
        Pixel coordinates, broadcastable against each other.

    Returns
    -------
    ndarray
        float32, 1 at the middle, 0 on the outline, negative outside.
    """
    dy, dx = y - np.float32(outline.centre[0]), x - np.float32(outline.centre[1])
    cosine, sine = np.float32(np.cos(outline.angle)), np.float32(np.sin(outline.angle))
    along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
    half_length, half_width = (np.float32(max(radius, 0.3)) for radius in outline.radii)
    if outline.rod:
        sag = np.float32(outline.bend) * along * along / half_length
        straight = np.maximum(half_length - half_width, np.float32(0.0))
        beyond = np.maximum(np.abs(along) - straight, 0)
        return np.asarray(1 - np.hypot(beyond, across - sag) / half_width, dtype=np.float32)
    u, v = along / half_length, across / half_width
    radius = np.hypot(u, v)
    direction = np.arctan2(v, u)
    edge = np.ones_like(radius)
    for wave, (amplitude, phase) in enumerate(outline.waves, start=2):
        edge += amplitude * np.cos(wave * direction + phase)
    return np.asarray(1 - radius / np.maximum(edge, np.float32(0.2)), dtype=np.float32)


def draw_labels(outlines: list[Outline], size: tuple[int, int]) -> DrawnLabels:
    """Rasterise outlines; overlaps go to the cell in which the pixel lies deeper.

    Parameters
    ----------
    outlines
        The cells of one frame, in any order; labels must differ.
    size
        (height, width) in pixels.

    Returns
    -------
    DrawnLabels
        Label maps and depths, each (y, x).
    """
    height, width = size
    labels = np.zeros(size, dtype=np.uint16)
    depth = np.zeros(size, dtype=np.float32)
    covered, covered_depth = np.zeros_like(labels), np.zeros_like(depth)
    for outline in outlines:
        reach = outline.reach + 1.0
        top, bottom = max(int(outline.centre[0] - reach), 0), min(int(outline.centre[0] + reach) + 2, height)
        left, right = max(int(outline.centre[1] - reach), 0), min(int(outline.centre[1] + reach) + 2, width)
        if top >= bottom or left >= right:
            continue
        window = (slice(top, bottom), slice(left, right))
        y = np.arange(top, bottom, dtype=np.float32)[:, None]
        x = np.arange(left, right, dtype=np.float32)[None, :]
        here = outline_depth(outline, y, x)
        # Strictly deeper wins; equal depth goes to the smaller label so that the order of the list does not matter.
        deeper = _beats(here, outline.label, depth[window], labels[window])
        second = np.where(deeper, depth[window], here)
        second_label = np.where(deeper, labels[window], np.uint16(outline.label))
        lower = _beats(second, second_label, covered_depth[window], covered[window])
        covered[window][lower] = second_label[lower]
        covered_depth[window][lower] = second[lower]
        labels[window][deeper] = outline.label
        depth[window][deeper] = here[deeper]
    return DrawnLabels(labels, depth, covered, covered_depth)


def _beats(
    depth: FloatArray, label: LabelArray | int, other_depth: FloatArray, other_label: LabelArray
) -> NDArray[np.bool_]:
    """Whether a pixel (y, x) that lies in a cell belongs to it rather than to another."""
    return (depth > other_depth) | ((depth == other_depth) & (depth > 0) & (label < other_label))

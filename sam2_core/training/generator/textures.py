"""From labels and depth to grey values: the look of several microscopes, roughly.

Everything a camera adds is here: brightness that differs between cells, texture inside them, haze, shading, blur in the
plane and along z, photon and read noise, and the stretch between two percentiles that a viewer applies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2_core.training.generator.shapes import DrawnLabels, FloatArray

Look = Literal["stained", "membrane", "phase", "electron"]
LOOKS: tuple[Look, ...] = get_args(Look)


@dataclass(frozen=True)
class Appearance:
    """How a scene is lit, stained and recorded.

    Attributes
    ----------
    look
        "stained": bright bodies on dark. "membrane": bright rims. "phase": dark bodies with a bright halo on grey.
        "electron": dark, textured bodies on light, textured ground.
    dimmest
        Brightness of the dimmest cell, the brightest being 1.
    dome
        0 for flat cells, 1 for cells that are brightest in the middle.
    texture, texture_scale
        Strength of the texture in the cells and its grain in pixels.
    ground, ground_scale
        Strength of the background's texture and its grain in pixels.
    shading
        Strength of uneven light across the frame.
    haze
        Part of the light that comes from out of focus.
    blur, blur_z
        Standard deviation of the blur in the plane in pixels, along z in slices.
    photons
        Photons at full brightness: fewer are noisier.
    read_noise
        Standard deviation of the camera's noise, full brightness being 1.
    specks
        Bright points that are no cells, per frame.
    skew
        Standard deviation of the logarithm of a further factor of each cell's brightness: a few are far brighter than
        the others, which a viewer then shows dim.
    defocused
        Fraction of the cells that are out of focus. Stained cells only.
    translucency
        Part of the light of a covered cell that shows through the one above it. Stained cells only.
    bleaching
        Part of the light that is lost from the first time point to the last.
    lamellae
        Strength of parallel sheets within the bodies, as in mitochondria. Electron microscopes only.
    """

    look: Look
    dimmest: float
    dome: float
    texture: float
    texture_scale: float
    ground: float
    ground_scale: float
    shading: float
    haze: float
    blur: float
    blur_z: float
    photons: float
    read_noise: float
    specks: int
    skew: float = 0.0
    defocused: float = 0.0
    translucency: float = 0.0
    bleaching: float = 0.0
    lamellae: float = 0.0


def random_appearance(random: np.random.Generator, radius: float, look: Look | None = None) -> Appearance:
    """An appearance for cells of a mean radius in pixels; without a look, stained cells are the most frequent."""
    drawn = LOOKS[int(random.choice(4, p=[0.64, 0.1, 0.13, 0.13]))]
    look = look or drawn
    return Appearance(
        look=look,
        dimmest=float(random.uniform(0.12, 0.95)),
        dome=float(random.uniform(0.0, 1.0)),
        texture=float(random.choice([0.05, 0.2, 0.4])),
        texture_scale=float(np.clip(radius * random.uniform(0.1, 0.4), 1.0, 12.0)),
        ground=float(random.choice([0.0, 0.03, 0.12])) if look != "electron" else float(random.uniform(0.1, 0.4)),
        ground_scale=float(random.uniform(1.0, 10.0)),
        shading=float(random.choice([0.0, 0.1, 0.4])),
        haze=float(random.choice([0.0, 0.1, 0.35])),
        blur=float(np.clip(random.choice([0.4, 0.8, 1.4]) * (0.6 + radius / 30), 0.4, 3.5)),
        blur_z=float(random.choice([0.0, 0.5, 1.0])),
        photons=float(np.exp(random.uniform(np.log(15), np.log(2000)))),
        read_noise=float(random.choice([0.005, 0.02, 0.06])),
        specks=int(random.choice([0, 0, 0, 15])),
    )


def smooth_noise(random: np.random.Generator, size: tuple[int, int], scale: float) -> FloatArray:
    """Noise with a grain, mean near 0 and standard deviation near 1.

    Parameters
    ----------
    random
        Source of randomness.
    size
        (height, width) in pixels.
    scale
        Grain in pixels, 1 or more.

    Returns
    -------
    ndarray
        (y, x) float32.
    """
    if scale < 2.0:
        return random.standard_normal(size, dtype=np.float32)
    # Drawn on a coarse grid and enlarged: the cost does not grow with the grain. Cubic enlarging would be slower.
    coarse = (int(size[0] / scale) + 3, int(size[1] / scale) + 3)
    field = random.standard_normal(coarse, dtype=np.float32)
    rows = np.linspace(0.5, coarse[0] - 1.5, size[0], dtype=np.float32)
    columns = np.linspace(0.5, coarse[1] - 1.5, size[1], dtype=np.float32)
    return _bilinear(field, rows, columns) * np.float32(1.5)


def _bilinear(field: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Sample a (y, x) field at rows x columns with a smoothstep between neighbours, so that no grid lines show."""

    def split(positions: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
        whole = positions.astype(np.intp)
        part = positions - whole
        return whole, np.asarray(part * part * (3 - 2 * part), dtype=np.float32)

    row, row_part = split(rows)
    column, column_part = split(columns)
    across = field[:, column] * (1 - column_part) + field[:, column + 1] * column_part
    return np.asarray(
        across[row] * (1 - row_part[:, None]) + across[row + 1] * row_part[:, None],
        dtype=np.float32,
    )


def render(
    random: np.random.Generator,
    frames: list[DrawnLabels],
    look: Appearance,
    *,
    along_z: bool,
    glow: FloatArray | None = None,
) -> FloatArray:
    """Light from the cells of a stack, before the stretch of :func:`stretch`.

    Parameters
    ----------
    random
        Source of randomness.
    frames
        Labels and depth of each frame, all of one size.
    look
        How the scene looks.
    along_z
        True if the frames are slices: they are then blurred into one another by `look.blur_z`.
    glow
        (label,) float32, a further factor of each cell's brightness, from label 0 to the highest; 1 by default.

    Returns
    -------
    ndarray
        (frame, y, x) float32, in no particular unit.
    """
    size = frames[0].labels.shape
    most = max(int(frame.labels.max()) for frame in frames)
    if look.translucency:
        # a cell that lies under others everywhere shows all the same
        most = max(most, *(int(frame.covered.max()) for frame in frames))
    brightness = random.uniform(look.dimmest, 1.0, most + 1).astype(np.float32)
    if look.skew:
        brightness *= np.exp(np.float32(look.skew) * random.standard_normal(most + 1, dtype=np.float32))
    if glow is not None:
        brightness *= glow[: most + 1]
    brightness[0] = 0.0
    soft = random.random(most + 1) < look.defocused if look.defocused and look.look == "stained" else None
    grain = smooth_noise(random, (size[0], size[1]), look.texture_scale)
    ground = smooth_noise(random, (size[0], size[1]), look.ground_scale)
    sheets = _sheets(random, size, most, grain, look) if look.lamellae else None
    light = np.stack([_body(frame, brightness, grain, ground, look, sheets) for frame in frames])
    if look.bleaching and not along_z:
        left = (1 - look.bleaching) ** np.linspace(0, 1, len(light))
        light *= left.astype(np.float32)[:, None, None]
    for _ in range(look.specks):
        y, x = int(random.integers(size[0])), int(random.integers(size[1]))
        light[int(random.integers(len(light))), y, x] += np.float32(random.uniform(2, 12))
    for index, frame in enumerate(light):
        light[index] = _blurred(frame, None if soft is None else soft[frames[index].labels], look.blur)
        if look.haze:
            light[index] += look.haze * ndimage.uniform_filter(light[index], 31)
    if along_z and look.blur_z and len(light) > 1:
        light = ndimage.gaussian_filter1d(light, look.blur_z, axis=0)
    if look.shading:
        slope = smooth_noise(random, (size[0], size[1]), max(size) / 2.5)
        light *= np.exp(np.float32(look.shading) * slope)
        light += np.float32(0.1 * look.shading) * (1 + slope)
    noisy = random.poisson(np.maximum(light, 0) * look.photons).astype(np.float32) / np.float32(look.photons)
    noisy += np.float32(look.read_noise) * random.standard_normal(light.shape, dtype=np.float32)
    return noisy


def _blurred(light: FloatArray, soft: NDArray[np.bool_] | None, blur: float) -> FloatArray:
    """Blur light (y, x), more where it comes from cells out of focus (``soft``, (y, x))."""
    if soft is None:
        return np.asarray(ndimage.gaussian_filter(light, blur), dtype=np.float32)
    outside = ndimage.gaussian_filter(light * ~soft, blur)
    return np.asarray(outside + ndimage.gaussian_filter(light * soft, 2.5 * blur), dtype=np.float32)


def _sheets(
    random: np.random.Generator, size: tuple[int, ...], most: int, grain: FloatArray, look: Appearance
) -> Callable[[NDArray[np.uint16]], FloatArray]:
    """From a label map (y, x) to the darkness of sheets within its bodies, (y, x); each body's have their direction."""
    direction = random.uniform(0, np.pi, most + 1).astype(np.float32)
    period = np.float32(random.uniform(3.5, 6.0))
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)

    def darkness(labels: NDArray[np.uint16]) -> FloatArray:
        turned = direction[labels]
        wave = np.sin((x * np.cos(turned) + y * np.sin(turned)) * (2 * np.pi / period) + grain)
        return np.asarray(np.float32(0.5 * look.lamellae) * np.maximum(wave, 0), dtype=np.float32)

    return darkness


def _body(
    frame: DrawnLabels,
    brightness: FloatArray,
    grain: FloatArray,
    ground: FloatArray,
    look: Appearance,
    sheets: Callable[[NDArray[np.uint16]], FloatArray] | None = None,
) -> FloatArray:
    """Light of one frame before blur and noise, (y, x) float32."""
    inside = frame.labels > 0
    bright = brightness[frame.labels]
    profile = (1 - look.dome) + look.dome * np.sqrt(frame.depth)
    texture = np.maximum(1 + np.float32(look.texture) * grain, 0.1)
    behind = np.maximum(np.float32(look.ground) * (1 + 0.5 * ground), 0)
    if look.look == "stained":
        body = bright * profile
        if look.translucency:
            below = (1 - look.dome) + look.dome * np.sqrt(frame.covered_depth)
            body = body + np.float32(look.translucency) * brightness[frame.covered] * below
        return np.asarray(np.where(inside, body * texture, 0) + behind, dtype=np.float32)
    if look.look == "membrane":
        rim = np.exp(-np.square(frame.depth / 0.16)) + 0.15
        return np.asarray(np.where(inside, bright * rim * texture, 0) + behind, dtype=np.float32)
    if look.look == "phase":
        halo = ndimage.uniform_filter(inside.astype(np.float32), 9)
        outside = 0.5 + 0.5 * halo + behind
        return np.asarray(np.where(inside, 0.5 - 0.4 * bright * profile * texture, outside), dtype=np.float32)
    membrane = 0.35 * np.exp(-np.square(frame.depth / 0.1))
    body = 0.75 - 0.5 * bright * (0.6 + 0.4 * profile) * texture - membrane
    if sheets is not None:
        body = body - sheets(frame.labels) * np.minimum(4 * frame.depth, 1)
    return np.asarray(np.where(inside, np.maximum(body, 0), 0.85 - 0.5 * behind), dtype=np.float32)


def stretch(random: np.random.Generator, light: FloatArray) -> NDArray[np.uint8]:
    """Grey values between two percentiles of the whole stack, as a viewer shows them.

    Parameters
    ----------
    random
        Source of randomness: mostly percentiles 1 and 99.8, sometimes duller or harder, with a gamma.
    light
        (frame, y, x) float32.

    Returns
    -------
    ndarray
        (frame, y, x) uint8.
    """
    low, high = (1.0, 99.8) if random.random() < 0.7 else (float(random.uniform(0, 5)), float(random.uniform(97, 100)))
    # Every third pixel of each axis is enough for a percentile, at a ninth of the time.
    dark, bright = np.percentile(light[:, ::3, ::3], [low, high])
    shown = np.clip((light - dark) / max(float(bright - dark), 1e-6), 0, 1)
    gamma = float(np.exp(random.normal(0, 0.25))) if random.random() < 0.5 else 1.0
    if random.random() < 0.15:
        shown = shown * float(random.uniform(0.3, 0.9))
    return np.asarray(np.round(255 * shown**gamma), dtype=np.uint8)

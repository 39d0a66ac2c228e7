"""From low-resolution logits to a full-resolution mask, one mask at a time and only where the mask is.

"Segment everything" looks at thousands of candidates. Bilinear interpolation never leaves the range of the four logits
around a pixel, so where a mask can be, and how stable it can be at most, is known from the low-resolution logits alone.
What remains is scaled up inside its own box, in strips of bounded size, and kept as run lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError
from sam2_core.inference.linear_axis import LinearAxis
from sam2_core.inference.run_length import Counts, RunBounds, bounding_box, column_run_bounds, counts_from_bounds

# Pixels scaled up at once; a strip of float32 logits and its neighbours take a few times 4 bytes for each.
STRIP_PIXELS = 1 << 18


@dataclass(frozen=True)
class UpscaledMask:
    """One mask at full resolution.

    Attributes
    ----------
    counts : ndarray of int64
        Run lengths in the whole image, column by column, background first.
    box : [int, int, int, int]
        First and last column, first and last row with a pixel, as x0, y0, x1, y1, in the crop's frame; zeros if empty.
    stability : float
        Pixels above threshold + offset over pixels above threshold - offset, 0-1; 0 where there are none.
    """

    counts: Counts
    box: list[int]
    stability: float


@dataclass(frozen=True)
class MaskWindow:
    """The part of a mask's logits that matters at full resolution.

    Attributes
    ----------
    logits : Tensor
        (h, w) float32, a copy of its own.
    top, left : int
        Where they begin in the low-resolution logits.
    rows, columns : (int, int)
        Pixels of the crop outside which nothing is above threshold - offset: first, and one past the last.
    """

    logits: Tensor
    top: int
    left: int
    rows: tuple[int, int]
    columns: tuple[int, int]


class MaskUpscaler:
    """Scale mask logits to a crop of an image and measure the masks.

    Parameters
    ----------
    low_size : (int, int)
        Height and width of the logits.
    crop_box : [int, int, int, int]
        Where the masks lie in the image: x0, y0, x1, y1 in pixels.
    image_size : (int, int)
        Height and width of the whole image.
    threshold : float
        Logit above which a pixel belongs to the mask.
    offset : float
        By how much the threshold is moved up and down to see how stable the mask is.

    Raises
    ------
    InvalidInputError
        A negative `offset`.
    """

    def __init__(
        self,
        low_size: Sequence[int],
        crop_box: Sequence[int],
        image_size: Sequence[int],
        threshold: float = 0.0,
        offset: float = 1.0,
    ) -> None:
        if offset < 0:
            raise InvalidInputError(f"the stability offset is 0 or more, got {offset}")
        self.origin_x, self.origin_y = crop_box[0], crop_box[1]
        self.image_height, self.image_width = int(image_size[0]), int(image_size[1])
        self.threshold, self.offset = threshold, offset
        self._rows = LinearAxis(int(low_size[0]), crop_box[3] - crop_box[1])
        self._columns = LinearAxis(int(low_size[1]), crop_box[2] - crop_box[0])

    def stability_bounds(self, logits: Tensor) -> Tensor:
        """Give the highest stability each mask can have at full resolution.

        Parameters
        ----------
        logits : Tensor
            (N, h, w) float32.

        Returns
        -------
        Tensor
            (N,), 0-1, in float64. Never below the stability that :meth:`upscale` finds.
        """
        # Square (i, j) lies between the logits i, i + 1 and j, j + 1; beyond the last logit its value is repeated.
        rows = self._rows.pixels_per_interval(logits.device)
        columns = self._columns.pixels_per_interval(logits.device)
        may_be_above = _either_neighbour(logits > self.threshold + self.offset)
        may_be_below = _either_neighbour(logits <= self.threshold - self.offset)
        at_most = (may_be_above.float() @ columns).double() @ rows.double()
        at_least = (rows.sum() * columns.sum()).double() - (may_be_below.float() @ columns).double() @ rows.double()
        return torch.where(at_most == 0, 0.0, (at_most / at_least.clamp(min=1)).clamp(max=1.0))

    def box_bounds(self, logits: Tensor) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Say where the boxes of masks lie at full resolution.

        Parameters
        ----------
        logits : Tensor
            (N, h, w) float32.

        Returns
        -------
        inner, outer : ndarray of int64
            (N, 4) as x0, y0, x1, y1 in the crop's frame, the last pixel included: the mask's box holds the first and
            lies within the second. Where no pixel is certain the first is -1, -1, -1, -1, and the second of no meaning.
        """
        # Interpolation rounds; what is nearer to the threshold than this may fall on either side.
        margin = 1e-4 * (1.0 + abs(self.threshold))
        certain = _both_neighbours(logits > self.threshold + margin)
        possible = _either_neighbour(logits > self.threshold - margin)
        inner, outer = (self._pixel_boxes(squares) for squares in (certain, possible))
        return inner, outer

    def _pixel_boxes(self, squares: Tensor) -> npt.NDArray[np.int64]:
        """Boxes around the pixels of squares (N, h, w) between four logits; -1 where there are none."""
        filled = [axis.pixels_per_interval(squares.device) > 0 for axis in (self._rows, self._columns)]
        squares = squares & filled[0][:, None] & filled[1]
        some = squares.flatten(1).any(dim=1).cpu().numpy()
        sides = []
        for axis, over in ((self._columns, 1), (self._rows, 2)):
            flags = squares.any(dim=over).cpu().numpy()
            first, last = flags.argmax(axis=1), flags.shape[1] - 1 - flags[:, ::-1].argmax(axis=1)
            sides.append((axis.first_pixel(first), axis.last_pixel(last)))
        boxes = np.stack([sides[0][0], sides[1][0], sides[0][1], sides[1][1]], axis=1).astype(np.int64)
        boxes[~some] = -1
        return boxes

    def upscale(self, logits: Tensor) -> UpscaledMask:
        """Scale one mask up and measure it.

        Parameters
        ----------
        logits : Tensor
            (h, w) float32.

        Returns
        -------
        UpscaledMask
        """
        return self.draw(self.cut(logits))

    def cut(self, logits: Tensor) -> MaskWindow:
        """Copy what :meth:`draw` needs of a mask.

        Parameters
        ----------
        logits : Tensor
            (h, w) float32.

        Returns
        -------
        MaskWindow
        """
        above = logits > self.threshold - self.offset
        rows = self._rows.reach(above.any(dim=1).cpu().numpy())
        columns = self._columns.reach(above.any(dim=0).cpu().numpy())
        used_rows, used_columns = self._rows.used(*rows), self._columns.used(*columns)
        return MaskWindow(logits[used_rows, used_columns].clone(), used_rows.start, used_columns.start, rows, columns)

    def draw(self, window: MaskWindow) -> UpscaledMask:
        """Scale up what was cut out of a mask, and measure it.

        Parameters
        ----------
        window : MaskWindow

        Returns
        -------
        UpscaledMask
        """
        (y0, y1), (x0, x1) = window.rows, window.columns
        # Columns of pixels are rows of memory here: run lengths go column by column.
        tall = self._rows.interpolate(window.logits, window.top, y0, y1).T.contiguous()
        strip = max(1, STRIP_PIXELS // max(1, y1 - y0))
        inner = outer = 0
        runs: list[RunBounds] = [np.zeros(0, dtype=np.int64)]
        for start in range(x0, x1, strip):
            pixels = self._columns.interpolate(tall, window.left, start, min(start + strip, x1))
            inner += int(torch.count_nonzero(pixels > self.threshold + self.offset))
            outer += int(torch.count_nonzero(pixels > self.threshold - self.offset))
            mask = (pixels > self.threshold).cpu().numpy()
            runs.append(column_run_bounds(mask, self.image_height, self.origin_x + start, self.origin_y + y0))
        bounds = np.concatenate(runs)
        box = bounding_box(bounds, self.image_height)
        if len(bounds):
            origin = (self.origin_x, self.origin_y) * 2
            box = [side - start for side, start in zip(box, origin, strict=True)]
        counts = counts_from_bounds(bounds, self.image_height * self.image_width)
        return UpscaledMask(counts, box, inner / max(outer, 1))


def _either_neighbour(flags: Tensor) -> Tensor:
    """Whether any corner of each square between four logits is flagged: (N, h, w) bool."""
    wide = flags.clone()
    wide[:, :, :-1] |= flags[:, :, 1:]
    tall = wide.clone()
    tall[:, :-1] |= wide[:, 1:]
    return tall


def _both_neighbours(flags: Tensor) -> Tensor:
    """Whether all corners of each square between four logits are flagged: (N, h, w) bool."""
    wide = flags.clone()
    wide[:, :, :-1] &= flags[:, :, 1:]
    tall = wide.clone()
    tall[:, :-1] &= wide[:, 1:]
    return tall

"""IoU after one, two, … simulated clicks on each object of a frame.

The clicks: the first is the innermost pixel of the object; each further one the pixel that lies deepest in an error,
positive where something is missing and negative where too much was said. After the first click the candidate with the
highest predicted IoU counts and is handed back with the next click; from then on there is a single mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.evaluation.mask_scores import region_similarity
from sam2_core.inference.mask_depth import depth_in


class ClickedModel(Protocol):
    """What is clicked on: :class:`~sam2_core.SAM2ImagePredictor` is one."""

    def set_image(self, image: Any) -> None:
        """Show a picture (y, x, rgb)."""

    def predict(self, point_coords: Any, point_labels: Any, box: Any, mask_input: Any, multimask_output: bool) -> Any:
        """Answer clicks: masks (M, y, x), predicted IoUs (M,) and low-resolution logits (M, h, w)."""


def click_ious(
    model: ClickedModel, frames: Iterable[tuple[NDArray[np.uint8], NDArray[Any]]], clicks: int = 4
) -> NDArray[np.float64]:
    """Click on every object of some frames.

    Parameters
    ----------
    model : ClickedModel
    frames : iterable of (ndarray, ndarray)
        Picture (y, x, rgb) and labels (y, x), 0 for background.
    clicks : int
        On each object.

    Returns
    -------
    ndarray (N, clicks)
        IoU of each object after each click.

    Raises
    ------
    InvalidInputError
        Fewer than one click.
    """
    if clicks < 1:
        raise InvalidInputError(f"At least one click is needed; got {clicks}.")
    found = []
    for picture, labels in frames:
        model.set_image(picture)
        found += [_ious(model, labels == number, clicks) for number in np.unique(labels) if number]
    return np.array(found, np.float64).reshape(-1, clicks)


def mean_click_ious(ious: NDArray[np.float64]) -> Mapping[str, float]:
    """The mean over objects after each click, by name."""
    return {f"IoU after {number}": float(mean) for number, mean in enumerate(ious.mean(axis=0), start=1)}


def next_click(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Where a person would click next.

    Parameters
    ----------
    truth, said : ndarray (y, x) bool

    Returns
    -------
    (int, int, int)
        x, y, and 1 or 0: on the object or not. Where nothing is wrong, in the middle of the object.
    """
    missed, extra = depth_in(truth & ~said), depth_in(said & ~truth)
    if max(missed.max(), extra.max()) == 0:
        missed = depth_in(truth)
    label = int(missed.max() >= extra.max())
    y, x = np.unravel_index(int((missed if label else extra).argmax()), truth.shape)
    return int(x), int(y), label


def _ious(model: ClickedModel, truth: NDArray[np.bool_], clicks: int) -> list[float]:
    said, logits = np.zeros_like(truth), None
    points: list[tuple[int, int]] = []
    labels: list[int] = []
    ious = []
    for _ in range(clicks):
        x, y, label = next_click(truth, said)
        points.append((x, y))
        labels.append(label)
        masks, predicted, low = model.predict(np.array(points), np.array(labels), None, logits, logits is None)
        best = int(np.argmax(predicted))
        said, logits = np.asarray(masks[best]) > 0, low[best : best + 1]
        ious.append(region_similarity(said, truth))
    return ious

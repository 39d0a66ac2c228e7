"""Labels as a view of masks that may overlap: which object a pixel shows is a matter of a stated priority."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
import torch

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_masks import FrameMasks

Priority = Literal["surest", "lower id", "last"] | Sequence[Hashable]


def label_numbers(object_ids: Sequence[Hashable]) -> dict[Hashable, int]:
    """Give each object id the number its pixels get: itself where all are positive integers, else 1, 2, … in order."""
    if all(isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in object_ids):
        return {each: int(str(each)) for each in object_ids}
    return {each: position for position, each in enumerate(object_ids, 1)}


class LabelView:
    """Labels of one frame, made of masks that need not all be there at once.

    Parameters
    ----------
    frame_size : (int, int)
        (height, width).
    numbers : dict
        Number of each object id, of all objects, in the order in which they came.
    priority : {"surest", "lower id", "last"} or sequence of hashable
        Whose a pixel is that several masks hold: of the highest logit; of the lowest number; of the object that came
        last; or of the first one in a list of object ids, which names all.
    device : torch.device
        Where the masks are.

    Raises
    ------
    InvalidInputError
        No such priority, or a list that does not name all objects.
    """

    def __init__(
        self, frame_size: tuple[int, int], numbers: dict[Hashable, int], priority: Priority, device: torch.device
    ) -> None:
        ids = list(numbers)
        if not isinstance(priority, str):
            given = list(priority)
            missing = [object_id for object_id in ids if object_id not in given]
            if missing:
                raise InvalidInputError(f"The order of priority names all objects; {missing!r} are missing.")
            last_first = sorted(ids, key=given.index, reverse=True)
        elif priority == "lower id":
            last_first = sorted(ids, key=numbers.__getitem__, reverse=True)
        elif priority in ("last", "surest"):
            last_first = ids
        else:
            raise InvalidInputError(
                f'priority is "surest", "lower id", "last" or a list of all object ids; got {priority!r}.'
            )
        self._numbers = numbers
        self._weights = None
        if priority != "surest":
            self._weights = {object_id: weight for weight, object_id in enumerate(last_first, 1)}
        self._labels = torch.zeros(*frame_size, dtype=torch.int32, device=device)
        self._best = torch.zeros(*frame_size, device=device)

    def add(self, masks: FrameMasks) -> None:
        """Add the masks of some objects."""
        for row, object_id in enumerate(masks.object_ids):
            window, logits = masks.part(row)
            best, labels = self._best[window.rows, window.columns], self._labels[window.rows, window.columns]
            if self._weights is None:
                wins = logits > best
                best.copy_(torch.where(wins, logits, best))
            else:
                weight = self._weights[object_id]
                wins = (logits > 0) & (best < weight)
                best.masked_fill_(wins, weight)
            labels.masked_fill_(wins, self._numbers[object_id])

    @property
    def labels(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """(y, x) int32 at the size of the frame; 0 where there is no object."""
        found: np.ndarray[Any, np.dtype[np.int32]] = self._labels.cpu().numpy()
        return found


def labels_of(
    masks: FrameMasks, priority: Priority = "surest", numbers: dict[Hashable, int] | None = None
) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Make labels of masks.

    Parameters
    ----------
    masks : FrameMasks
        N objects on a frame.
    priority : {"surest", "lower id", "last"} or sequence of hashable
        Whose a pixel is that several masks hold: of the highest logit; of the lowest number; of the object that came
        last; or of the first one in a list of object ids, which names all.
    numbers : dict, optional
        Number of each object id; by default those of :func:`label_numbers`.

    Returns
    -------
    ndarray
        (y, x) int32 at the size of the frame; 0 where there is no object.

    Raises
    ------
    InvalidInputError
        No such priority, or a list that does not name all objects.
    """
    numbers = label_numbers(masks.object_ids) if numbers is None else numbers
    view = LabelView(masks.frame_size, numbers, priority, masks.low_res_logits.device)
    view.add(masks)
    return view.labels
